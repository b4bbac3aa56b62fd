"""A table from training to the files of its generator: names, order, types and values in every format."""

import csv
import datetime
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

import seedmint as package
from seedmint.models.errors import UserError
from seedmint.models.table import table_rows
from seedmint.service.encoders.tabular import encode_sample
from seedmint.service.runtime.generator import open_generator
from seedmint.training.datasets import DataError, load_splits
from seedmint.training.evaluation.table_metrics import table_rows_of
from seedmint.training.export.table_codes import ToCodes
from seedmint.training.networks.mlp import MlpG
from seedmint.training.networks.table import TableG
from seedmint.training.recipes.data import Data
from seedmint.training.recipes.networks import MlpGenerator
from seedmint.training.recipes.schema import Watch, validate_recipe
from seedmint.training.runs.diagnostics import ColumnState, Diagnostics
from seedmint.training.runs.directory import create_run
from seedmint.training.runs.export_run import export_run
from tests.support.commandline import run
from tests.support.errors import raises
from tests.support.faulty_table import NAMES, write_faulty_table
from tests.support.recipes import recipe_document

CPU = torch.device("cpu")
REGIONS = ("east", "north", "rare", "south")


def train(folder, name, label):
    """Train a generator for a few steps, and export it."""
    mlp = {"kind": "mlp", "width": 16}
    document = recipe_document(
        name=name,
        data={"source": "table", "path": str(folder / "people.csv"), "label": label, "units": {"income": "EUR"}},
        conditional=True,
        z_dim=8,
        generator=mlp,
        discriminator=mlp,
        m=32,
        steps=20,
    )
    create_run(folder / name, validate_recipe(document, "test"), CPU).fit()
    (folder / "models" / f"{name}.onnx").write_bytes(export_run(folder / name, name, None, None, None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the table, and a generator of it with `region` as the label."""
    folder = tmp_path_factory.mktemp("table")
    write_faulty_table(folder / "people.csv", 1500)
    (folder / "models").mkdir()
    train(folder, "people", "region")
    return folder


@pytest.fixture(scope="module")
def generator(folder):
    return open_generator(folder / "models" / "people.onnx", "cpu")


def test_card_has_the_schema_of_the_table(generator):
    output, columns = generator.card.output, {column.name: column for column in generator.card.output.columns}
    assert output.names == tuple(name for name in NAMES if name != "region")
    assert (output.label.name, output.label.position) == ("region", 1)
    assert generator.card.classes == ("east", "north", "rare", "south")
    assert {name: column.type for name, column in columns.items()} == {
        "age": "integer",
        "member": "boolean",
        "claims": "integer",
        "income": "number",
        "since": "date",
        "score": "number",
        "height": "number",
        "flag": "integer",
    }
    assert (columns["age"].first, columns["age"].count) == (18, 73)
    assert (columns["income"].decimals, columns["income"].step, columns["income"].unit) == (2, 1, "EUR")
    assert [name for name, column in columns.items() if column.nullable] == ["height"]


def cell(value):
    """Return the text of a value in CSV."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_format_returns_the_schema(folder, generator, monkeypatch):
    seeds = np.arange(200, dtype=np.int64)
    labels, codes = generator.labels(seeds), generator.generate(seeds)
    rows = list(table_rows(generator.card, codes, labels))
    kinds = [{type(value) for value in column} for column in zip(*rows, strict=True)]
    assert kinds == [{int}, {str}, {bool}, {int}, {float}, {str}, {float}, {float, type(None)}, {int}]
    assert all(18 <= row[0] <= 90 and row[8] in (0, 1) and datetime.date.fromisoformat(row[5]) for row in rows)

    document = json.loads(encode_sample(generator, codes[0], "json", 0, int(labels[0]), 1.0))
    assert (tuple(document["names"]), document["values"]) == (NAMES, rows[0])
    first = list(csv.reader(io.StringIO(encode_sample(generator, codes[0], "csv", 0, int(labels[0]), 1.0).decode())))
    texts = [[cell(value) for value in row] for row in rows]
    assert first == [list(NAMES), texts[0]]
    assert encode_sample(generator, codes[0], "png", 0, int(labels[0]), 1.0).startswith(b"\x89PNG")

    monkeypatch.setenv("SEEDMINT_MODELS", str(folder / "models"))
    for suffix in ("csv", "jsonl", "npy"):
        run("sample", "people", "--seeds", "0-199", "--out", str(folder / f"p.{suffix}"))
    run("batch", "run", "people", "--seeds", "0-199", "--out", str(folder / "job"), "--workers", "1")
    run("batch", "verify", str(folder / "job"))
    lines = list(csv.reader((folder / "p.csv").open(newline="")))
    assert lines[0] == ["seed", *NAMES]
    assert [line[1:] for line in lines[1:]] == texts
    objects = [json.loads(line) for line in (folder / "p.jsonl").open()]
    assert objects == [{"seed": seed} | dict(zip(NAMES, row, strict=True)) for seed, row in enumerate(rows)]
    np.testing.assert_array_equal(np.load(folder / "p.npy"), codes)

    table = pq.ParquetDataset(folder / "job" / "data").read()
    assert table.schema.names == ["seed", *NAMES]
    assert table.schema.types[1:] == [
        *(pa.int64(), pa.string(), pa.bool_(), pa.int64(), pa.float64(), pa.date32(), pa.float64(), pa.float64(), pa.int64())
    ]
    columns = package.load(folder / "models" / "people.onnx").table("0-199")
    assert table.drop_columns("seed").to_pydict() == columns
    assert [list(row) for row in zip(*columns.values(), strict=True)] == [
        [datetime.date.fromisoformat(value) if i == 5 else value for i, value in enumerate(row)] for row in rows
    ]


def test_untrained_generator_has_the_marginals_of_the_data(folder):
    """The logarithms of the shares start the logits: before training, each category has its share in the data."""
    train, _ = load_splits(Data(source="table", path=str(folder / "people.csv")))
    encoding = train.encoding
    torch.manual_seed(0)
    network = MlpG(MlpGenerator(kind="mlp", width=16), 8, (encoding.width,), 0)
    generator = TableG(network, network.last, encoding, 8, "normal").eval()
    z = torch.randn(20_000, 8 + encoding.slots)
    with torch.no_grad():
        encoded = generator(z)
        codes = ToCodes(encoding)(encoded, z).numpy()
    assert set(encoded[:, encoding.continuous :].unique().tolist()) == {0.0, 1.0}
    names = [column.name for column in train.table.columns]
    for name in ("region", "member", "flag"):
        i = names.index(name)
        for code in np.unique(train.samples[:, i]):
            assert abs((codes[:, i] == code).mean() - (train.samples[:, i] == code).mean()) < 0.015
    claims, height = (codes[:, names.index(name)] for name in ("claims", "height"))
    assert abs((claims == 0).mean() - 0.9) < 0.03
    assert abs((height == -1).mean() - 0.15) < 0.03


def test_encoded_data_decode_to_the_same_codes(folder):
    train, _ = load_splits(Data(source="table", path=str(folder / "people.csv")))
    encoded = torch.from_numpy(train.encoding.standardize(train.samples))
    codes = ToCodes(train.encoding)(encoded, torch.randn(len(train), 4)).numpy()
    for i, column in enumerate(train.table.columns):
        assert column.check_codes(codes[:, i])
        if column.count <= 100:  # columns with more codes than 32,768 come back in the same segment of the distribution
            assert np.mean(codes[:, i] == train.samples[:, i]) > 0.99


def test_gradients_reach_the_logits(folder):
    train, _ = load_splits(Data(source="table", path=str(folder / "people.csv")))
    encoding = train.encoding
    network = MlpG(MlpGenerator(kind="mlp", width=16), 8, (encoding.width,), 0)
    generator = TableG(network, network.last, encoding, 8, "uniform").train()
    encoded = generator(torch.rand(64, 8 + encoding.slots) - 0.5)
    (encoded * torch.randn(encoding.width)).sum().backward()
    assert network.last.bias.grad[encoding.continuous :].abs().max() > 0
    assert set(encoded.detach()[:, encoding.continuous :].round(decimals=5).unique().tolist()) <= {-0.0, 0.0, 1.0}


def test_collapsed_columns_are_reported_once():
    diagnostics = Diagnostics(Watch(previews=2))
    bad, good = ColumnState(0.2, 0.2), ColumnState(0.01, 0.0)
    found = [diagnostics.check_columns({"flag": state, "age": good}) for state in (bad, bad, bad, good, bad, bad)]
    assert [[each.kind for each in step] for step in found] == [[], ["column"], [], [], [], ["column"]]


def test_combinations_of_several_columns_are_the_classes(folder, monkeypatch):
    train(folder, "two", ["member", "region"])
    generator = package.load(folder / "models" / "two.onnx")
    card, seeds = generator.card, range(300)
    assert card.classes == tuple(f"{member} / {region}" for member in ("false", "true") for region in REGIONS)
    assert [(column.name, column.position) for column in card.output.labels] == [("member", 2), ("region", 1)]
    rows = generator.table(seeds)
    assert tuple(rows) == NAMES
    south = generator.table(seeds, labels={"region": "south", "member": False})
    assert (set(south["region"]), set(south["member"])) == ({"south"}, {False})
    chosen = generator.table(seeds, labels={"region": "north"})
    assert set(chosen["region"]) == {"north"}
    assert 0.1 < np.mean(chosen["member"]) < 0.3  # 20% of the table
    # The seed and the class are the address: a choice of classes gives the rows of these classes.
    numbers = generator.label_array({"region": "north"}, seeds)
    assert generator.table(seeds, labels=numbers) == chosen
    with raises(UserError, "not_conditional", "labels"):
        generator.table(seeds, labels={"age": 20})

    monkeypatch.setenv("SEEDMINT_MODELS", str(folder / "models"))
    run("sample", "two", "--seeds", "0-299", "--label", "region=north", "--out", str(folder / "north.csv"))
    lines = list(csv.DictReader((folder / "north.csv").open(newline="")))
    assert [line["member"] for line in lines] == [str(value).lower() for value in chosen["member"]]

    data = Data(source="table", path=str(folder / "people.csv"), label=["member", "region"])
    training, held_out = load_splits(data)
    found = table_rows_of(training.table, generator.samples(seeds), generator.labels(seeds), held_out, training)
    assert [column.name for column in found.columns[-2:]] == ["member", "region"]
    for i, name in ((-2, "member"), (-1, "region")):
        column = found.columns[i]
        texts = [str(value).lower() for value in rows[name]]
        assert column.values(found.generated[:, i]) == texts


def test_labels_with_too_many_combinations_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("x,a,b\n" + "".join(f"{i % 3},{i // 40},{i % 40}\n" for i in range(1600)))
    with raises(DataError, "too_many_classes", "data.label"):
        load_splits(Data(source="table", path=str(tmp_path / "t.csv"), label=["a", "b"]))
    for wrong in ([], ["a", "a"]):
        with pytest.raises(ValidationError):
            Data(source="table", path=str(tmp_path / "t.csv"), label=wrong)
