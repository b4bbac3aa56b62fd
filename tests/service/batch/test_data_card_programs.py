"""The programs of the data card read the data: each is run with its library, in the folder of the job."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import make_all, plan_for
from tests.support.other_readers import run_with_readers

SEEDS = "0-19,40-49"
EVERY = parse_seeds(SEEDS).array()
NAMES = [f"class: {i}" for i in range(100)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A generator with more classes than images."""
    return open_generator(generators.write(tmp_path_factory.mktemp("many"), "many", classes=tuple(NAMES)))


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def programs(out: Path, generator: Generator, form: str, **changes: Any) -> dict[str, str]:
    """Make a job and return the programs of its data card by library."""
    make_all(open_output(str(out)), plan_for(generator, SEEDS, form, 16, **changes), generator)
    return card_programs(out)


def card_programs(out: Path) -> dict[str, str]:
    """Return the programs of the data card of a job by library."""
    return dict(re.findall(r"### (.+?)\n\n```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL))


def run(program: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a program in the folder of a job, and return its variables."""
    monkeypatch.chdir(out)
    variables: dict[str, Any] = {"__name__": "program"}
    exec(program, variables)
    return variables


def pixels(picture: Any) -> np.ndarray[Any, Any]:
    values = np.asarray(picture)
    return values[:, :, None] if values.ndim == 2 else values


LIBRARIES = {
    "webdataset": {"webdataset", "datasets", "PyTorch"},
    "parquet": {"datasets", "PyTorch", "pandas", "Polars", "DuckDB", "MosaicML Streaming"},
    "png": {"datasets", "PyTorch", "torchvision"},
    "npz": {"NumPy", "datasets"},
    "npy": {"NumPy", "datasets"},
}


@pytest.mark.parametrize("form", LIBRARIES)
def test_datasets_has_images_seeds_labels_and_class_names(
    tmp_path: Path, many: Generator, form: str, monkeypatch: pytest.MonkeyPatch
):
    found = programs(tmp_path / "out", many, form)
    assert set(found) == LIBRARIES[form]
    variables = run(found["datasets"], tmp_path / "out", monkeypatch)
    rows = variables["rows"]
    image, label = ("png", "cls") if form == "webdataset" else ("image", "label")
    assert rows.features[label].names == NAMES
    seeds = list(map(int, rows["__key__"])) if form == "webdataset" else rows["seed"]
    assert sorted(seeds) == EVERY.tolist()
    expected = dict(zip(EVERY.tolist(), many.labels(EVERY).tolist(), strict=True))  # type: ignore[union-attr]
    assert dict(zip(seeds, rows[label], strict=True)) == expected
    images = many.generate(np.array(seeds))
    np.testing.assert_array_equal(np.stack([pixels(row[image]) for row in rows]), images)
    if "streamed" in variables:
        assert [row[label] for row in variables["streamed"]] == rows[:][label]
        tensor = variables["tensors"][3]
        np.testing.assert_array_equal(tensor[image].numpy().transpose(1, 2, 0), images[3])
        assert int(tensor[label]) == expected[int(seeds[3])]


@pytest.mark.parametrize("form", LIBRARIES)
def test_datasets_has_the_kept_images_of_a_filter(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch):
    digits, out = open_generator(find_generator("digits", SHIPPED)), tmp_path / "out"
    make_all(open_output(str(out)), plan_for(digits, "0-59", form, 20, filter="margin > 0.95"), digits)
    shards = json.loads((out / "manifest.json").read_text())["shards"]
    refused = [seed for shard in shards if shard["refused"] for seed in parse_seeds(shard["refused"]).array().tolist()]
    assert refused
    rows = run(card_programs(out)["datasets"], out, monkeypatch)["rows"]
    seeds = list(map(int, rows["__key__"])) if form == "webdataset" else rows["seed"]
    assert sorted(seeds) == sorted(set(range(60)) - set(refused))
    found = np.stack([pixels(row["png" if form == "webdataset" else "image"]) for row in rows])
    np.testing.assert_array_equal(found, digits.generate(np.array(seeds)))


@pytest.mark.parametrize("name", ["point", "wave", "grey"])
@pytest.mark.parametrize("form", ["parquet", "npz", "npy"])
def test_datasets_reads_samples_and_images_without_labels(
    tmp_path: Path, name: str, form: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    generator: Generator = request.getfixturevalue(name)
    rows = run(programs(tmp_path / "out", generator, form)["datasets"], tmp_path / "out", monkeypatch)["rows"]
    assert rows["seed"] == EVERY.tolist()
    if generator.card.classes is not None:
        assert rows["label"] == generator.labels(EVERY).tolist()  # type: ignore[union-attr]
        assert rows.features["label"].names == list(generator.card.classes)
    if name == "grey":
        found = np.stack([pixels(row["image"]) for row in rows])
    elif form == "parquet":
        found = np.stack([np.array(rows[column], np.float32) for column in generator.card.output.names], axis=-1)  # type: ignore[union-attr]
    else:
        found = np.array(rows["sample"], np.float32)
    np.testing.assert_array_equal(found, generator.generate(EVERY))


def test_webdataset(tmp_path: Path, many: Generator, grey: Generator, monkeypatch: pytest.MonkeyPatch):
    last = int(EVERY[-1])
    found = run(programs(tmp_path / "many", many, "webdataset")["webdataset"], tmp_path / "many", monkeypatch)
    label = int(many.labels(np.array([last]))[0])  # type: ignore[index]
    assert (found["seed"], found["label"], found["name"]) == (last, label, NAMES[label])
    found = run(programs(tmp_path / "grey", grey, "webdataset")["webdataset"], tmp_path / "grey", monkeypatch)
    assert found["seed"] == last


@pytest.mark.parametrize("name", ["many", "point", "wave"])
@pytest.mark.parametrize("library", ["pandas", "Polars", "DuckDB"])
def test_tables(tmp_path: Path, name: str, library: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    generator: Generator = request.getfixturevalue(name)
    found = run(programs(tmp_path / "out", generator, "parquet")[library], tmp_path / "out", monkeypatch)
    if library == "DuckDB":
        assert [row[0] for row in found["rows"]] == EVERY[:10].tolist()
        return
    frame = found["frame"]
    assert list(frame["seed"]) == EVERY.tolist()
    if generator.card.classes is not None:
        assert list(frame["label"]) == generator.labels(EVERY).tolist()  # type: ignore[union-attr]
    if name != "many":
        columns = [np.stack([np.asarray(value) for value in frame[column]]) for column in generator.card.output.names]  # type: ignore[union-attr]
        np.testing.assert_array_equal(np.stack(columns, axis=-1), generator.generate(EVERY))


@pytest.mark.parametrize("form", ["npz", "npy"])
def test_numpy(tmp_path: Path, many: Generator, form: str, monkeypatch: pytest.MonkeyPatch):
    found = run(programs(tmp_path / "out", many, form)["NumPy"], tmp_path / "out", monkeypatch)
    np.testing.assert_array_equal(found["seeds"], EVERY[:16])
    np.testing.assert_array_equal(found["images"], many.generate(EVERY[:16]))
    np.testing.assert_array_equal(found["labels"], many.labels(EVERY[:16]))


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test downloads the packages
@pytest.mark.parametrize("splits", [None, {"train": 20, "test": 10}])
def test_torchvision(tmp_path: Path, many: Generator, splits: dict[str, int] | None):
    program = programs(tmp_path / "out", many, "png", splits=splits)["torchvision"]
    end = """import json

print(json.dumps([[*sample, image.size] for sample, (image, label) in zip(images.samples, images) if label == sample[1]]))"""
    found = json.loads(run_with_readers(f"{program}\n{end}\n", tmp_path / "out"))
    seeds = EVERY if splits is None else EVERY[:20]
    labels = {int(Path(path).stem): label for path, label, _ in found}
    assert labels == dict(zip(seeds.tolist(), many.labels(seeds).tolist(), strict=True))  # type: ignore[union-attr]
    assert {tuple(size) for _, _, size in found} == {(8, 8)}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["webdataset", "parquet", "png"])
def test_a_data_loader_with_spawned_workers(tmp_path: Path, many: Generator, form: str):
    program = tmp_path / "program.py"
    program.write_text(programs(tmp_path / "out", many, form)["PyTorch"] + "    print(images.shape)\n")
    result = subprocess.run([sys.executable, program], cwd=tmp_path / "out", capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "torch.Size([30, 1, 8, 8])"


@pytest.mark.slow
@pytest.mark.timeout(900)  # the first test downloads the packages
@pytest.mark.parametrize("name", ["many", "grey"])
def test_mosaicml_streaming(tmp_path: Path, name: str, request: pytest.FixtureRequest):
    generator: Generator = request.getfixturevalue(name)
    program = programs(tmp_path / "out", generator, "parquet")["MosaicML Streaming"]
    end = """import json
import numpy as np

print(json.dumps([row | {"image": np.asarray(row["image"]).tolist()} for row in rows]))"""
    rows = json.loads(run_with_readers(f"{program}\n{end}\n", tmp_path / "out"))
    assert [row["seed"] for row in rows] == EVERY.tolist()
    if generator.card.classes is not None:
        assert [row["label"] for row in rows] == generator.labels(EVERY).tolist()  # type: ignore[union-attr]
    images = np.stack([pixels(np.array(row["image"], np.uint8)) for row in rows])
    np.testing.assert_array_equal(images, generator.generate(EVERY))
