"""Strings from training to the files of their generator: the same strings in every format."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import seedmint as package
from seedmint.models.table import table_columns
from seedmint.service.encoders.tabular import encode_sample, sample_formats
from seedmint.service.runtime.generator import open_generator
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.single import SampleSpec
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.metrics.ngrams import count_ngrams
from seedmint.training.networks.text import TextG
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.networks import TextGenerator
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.export_run import export_run
from tests.support.commandline import run
from tests.support.errors import raises
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")


def strings(n: int) -> list[str]:
    """Different strings of 2 to 6 characters, with umlauts and spaces: b and d follow a and ö."""
    random = np.random.default_rng(0)
    return ["".join(random.choice(["ab", "öd", "e f"], size=size)) for size in random.integers(1, 3, n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a generator of strings that was trained for a few steps."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "names.txt").write_text("\n".join(strings(400)) + "\n", encoding="utf-8")
    document = recipe_document(
        name="names",
        data={"source": "text", "path": str(folder / "names.txt")},
        z_dim=4,
        generator={"kind": "text", "width": 8},
        discriminator={"kind": "text", "width": 8, "layers": 2},
        objective="relativistic",
        penalty={"r1": 0.1, "r2": 0.1, "every": 4},
        steps=10,
        metrics=["marginals", "records"],
        every={"log": 5, "preview": 10, "checkpoint": 10, "evaluate": 10},
    )
    create_run(folder / "run", validate_recipe(document, "test"), CPU).fit()
    (folder / "models").mkdir()
    (folder / "models" / "names.onnx").write_bytes(export_run(folder / "run", "names", None, None, None))
    return folder


@pytest.fixture(scope="module")
def generator(folder):
    return open_generator(folder / "models" / "names.onnx", "cpu")


def test_the_card_has_the_alphabet_and_the_length(generator):
    output = generator.card.output
    (column,) = output.columns
    assert (output.shape, output.names, output.is_text) == ((6,), ("text",), True)
    assert (column.type, column.alphabet, column.length) == ("string", tuple(" abdefö"), 6)


def test_every_format_returns_the_strings(folder, generator, monkeypatch):
    seeds = np.arange(60, dtype=np.int64)
    codes = generator.generate(seeds)
    texts = table_columns(generator.card, codes, None)["text"]
    assert {*"".join(texts)} <= {*" abdefö"}
    assert len({len(text) for text in texts}) > 1
    ended = np.maximum.accumulate(codes == 0, axis=1)
    assert (codes[ended] == 0).all()  # after the end, there are only ends

    assert sample_formats(generator.card.output) == ("json", "csv", "npy", "png", "txt")
    document = json.loads(encode_sample(generator, codes[7], "json", 7, None, 1.0))
    assert (document["names"], document["values"]) == (["text"], [texts[7]])
    assert encode_sample(generator, codes[7], "txt", 7, None, 1.0).decode() == f"{texts[7]}\n"
    assert encode_sample(generator, codes[7], "csv", 7, None, 1.0).decode().splitlines()[1] == texts[7]
    assert encode_sample(generator, codes[7], "png", 7, None, 1.0).startswith(b"\x89PNG")

    monkeypatch.setenv("SEEDMINT_MODELS", str(folder / "models"))
    for suffix in ("txt", "jsonl", "npy"):
        run("sample", "names", "--seeds", "0-59", "--out", str(folder / f"names-60.{suffix}"))
    assert (folder / "names-60.txt").read_text(encoding="utf-8") == "".join(f"{text}\n" for text in texts)
    lines = [json.loads(line) for line in (folder / "names-60.jsonl").open(encoding="utf-8")]
    assert lines == [{"seed": seed, "text": text} for seed, text in enumerate(texts)]
    np.testing.assert_array_equal(np.load(folder / "names-60.npy"), codes)

    run("batch", "run", "names", "--seeds", "0-59", "--out", str(folder / "job"), "--workers", "1")
    run("batch", "verify", str(folder / "job"))
    table = pq.ParquetDataset(folder / "job" / "data").read()
    assert (table.schema.names, table.schema.types) == (["seed", "text"], [pa.int64(), pa.string()])
    assert table["text"].to_pylist() == texts

    opened = package.load(folder / "models" / "names.onnx")
    assert opened.texts("0-59") == texts
    assert opened.table("0-59") == {"text": texts}


def test_txt_is_only_for_strings(sample_server, generator):
    assert SampleSpec.create(generator, 1, "txt").media_type.startswith("text/plain")
    answer = sample_server.client.get("/v1/models/point/samples/1.txt")
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_format")
    with raises(SpecError, "unknown_format"):
        SampleSpec.create(generator, 1, "webp")


def test_the_run_writes_strings_and_measures_them(folder):
    texts = (folder / "run" / "previews" / "step-000000010.txt").read_text(encoding="utf-8").split("\n")
    assert len(texts) == 1001
    assert (folder / "run" / "previews" / "step-000000010.png").read_bytes().startswith(b"\x89PNG")
    entries = [json.loads(line) for line in (folder / "run" / "log.jsonl").open()]
    assert all("samples/s" in entry and "images/s" not in entry for entry in entries if "V" in entry)
    measured = {metric["metric"] for entry in entries for metric in entry.get("metrics", [])}
    assert measured >= {"1-gram-divergence", "4-gram-divergence", "kolmogorov-smirnov of length", "real-share"}


def test_training_starts_with_the_ngrams_of_the_data(folder):
    train, _ = load_splits(Data(source="text", path=str(folder / "names.txt")))
    (column,) = train.table.columns
    torch.manual_seed(0)
    network = TextG(TextGenerator(kind="text", width=8), train.encoding, 4, "normal").eval()
    network.start_from(torch.from_numpy(train.samples))
    with torch.no_grad():
        rows = network(torch.randn(2000, 4 + train.encoding.slots)).view(2000, column.length, -1)
    assert set(rows.unique().tolist()) == {0.0, 1.0}
    made, real = (count_ngrams(column.values(codes), 1) for codes in (rows.argmax(dim=2).numpy(), train.samples))
    assert made["b"] / made.total() == pytest.approx(real["b"] / real.total(), abs=0.02)
    after_a = count_ngrams(column.values(rows.argmax(dim=2).numpy()), 2)
    assert after_a["ab"] / sum(count for pair, count in after_a.items() if pair[0] == "a") > 0.95
