"""Data sets of several generators: their plans, labels and files, interruptions, repairs, and the libraries that read them."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.models.columns import Column, LabelColumn
from seedmint.models.directory import SHIPPED
from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.compatibility import check_compatible
from seedmint.service.batch.completeness import complete_shards, orphans
from seedmint.service.batch.estimate import estimate_size
from seedmint.service.batch.formats.base import check_format
from seedmint.service.batch.plan import Plan, read_plan
from seedmint.service.batch.planning import join_splits
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.repair import repair
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator, open_generator
from tests.service.batch.test_data_card_programs import card_programs, pixels, run
from tests.support import generators
from tests.support.batch_jobs import batch, batch_error, finished, hashes, job_status, make_all, plan_for, start
from tests.support.servers import wait_until

FORMATS = ["webdataset", "parquet", "png", "npz", "npy"]
ANIMALS, FRUITS = ("ant", "bee", "cat"), ("apple", "banana", "cherry", "date")
_SEEDS, _SPLITS = join_splits([("train", parse_seeds("0-19,80-89")), ("test", parse_seeds("40-49"))])
_EXPECTED = {"train": [*range(20), *range(80, 90)], "test": list(range(40, 50))}


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generator files: animals and fruits have different classes; animals2 has the classes of animals."""
    directory = tmp_path_factory.mktemp("several")
    for number, (name, classes) in enumerate({"animals": ANIMALS, "fruits": FRUITS, "animals2": ANIMALS}.items()):
        generators.write(directory, name, number, classes=classes)
    generators.write(directory, "plain")
    generators.write(directory, "other.plain", 1)
    generators.write(directory, "large", output=ImageOutput(height=12, width=8, channels=1), classes=ANIMALS)
    return directory


@pytest.fixture(scope="module")
def opened(folder: Path) -> Callable[..., list[Generator]]:
    cache = {path.stem: open_generator(path) for path in folder.glob("*.onnx")}
    return lambda *names: [cache[name] for name in names]


def plan_of(pair: list[Generator], form: str, **changes: Any) -> Plan:
    return plan_for(pair, str(_SEEDS), form, 16, **({"splits": _SPLITS} | changes))


@pytest.mark.parametrize("form", FORMATS)
def test_the_files_agree_with_the_plan_in_any_order(tmp_path: Path, opened: Callable[..., list[Generator]], form: str):
    pair = opened("animals", "fruits")
    plan, output = plan_of(pair, form, labels="balanced"), open_output(str(tmp_path / "out"))
    assert read_plan(plan.to_json(), "plan.json") == plan
    assert plan.count == 80
    make_all(output, plan, pair)
    assert complete_shards(output, plan).all()
    assert list(orphans(output, plan)) == []
    assert list(verify(output, plan, pair, ignore_progress, every_value=True)) == []
    assert not [path for path in (tmp_path / "out").rglob("*") if "@" in path.name]
    again = tmp_path / "again"
    make_all(open_output(str(again)), plan, pair, backwards=True)
    assert hashes(again) == hashes(tmp_path / "out")
    size = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert estimate_size(pair, plan, plan.count).bytes == pytest.approx(size, rel=0.05)


def test_labels_are_those_of_each_generator_in_each_split(opened: Callable[..., list[Generator]]):
    pair = opened("animals", "fruits")
    for labels, expected in (("balanced", (3, 4)), ("per-seed", (3, 4)), ({0: 2, 2: 1}, None), (1, None)):
        plan = plan_of(pair, "npy", labels=labels)
        for part in plan.parts:
            seeds = plan.seed_order.between(part.first_seed, part.first_seed + part.count).array()
            found = plan.labels_of(part.start + np.arange(part.count), seeds)
            assert found is not None
            generator = pair[part.generator]
            if labels == "balanced" and expected:
                assert found.tolist() == [i % expected[part.generator] for i in range(part.count)]
            elif labels == "per-seed":
                assert found.tolist() == generator.labels(seeds).tolist()  # type: ignore[union-attr]
            elif isinstance(labels, dict):
                assert Counter(found.tolist())[0] == pytest.approx(part.count * 2 / 3, abs=1)
            else:
                assert set(found.tolist()) == {1}


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("animals", "large"), "incompatible_generators"),
        (("animals", "plain"), "incompatible_generators"),
        (("animals", "animals"), "duplicate_generator"),
    ],
)
def test_generators_that_do_not_fit_together_are_refused(opened: Callable[..., list[Generator]], names, reason: str):
    with pytest.raises(UserError) as error:
        plan_for(opened(*names))
    assert (error.value.field, error.value.reason) == ("model", reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": [{"name": "x", "type": "integer", "first": 0, "count": 2}]},
        {"columns": [{"name": "x", "type": "text", "categories": ["blue", "red"], "count": 2}]},
        {"columns": None},
    ],
)
def test_tables_with_other_types_are_refused(changes: dict[str, Any]):
    fields = {"kind": "sample", "shape": [1], "names": ["x"]}
    columns = [{"name": "x", "type": "text", "categories": ["red", "blue"], "count": 2}]
    first, other = (
        generators.card(name, output=SampleOutput.model_validate(fields | {"columns": columns} | more))
        for name, more in (("a", {}), ("b", changes))
    )
    with pytest.raises(UserError) as error:
        check_compatible([("0" * 64, first), ("1" * 64, other)])
    assert error.value.reason == "incompatible_generators"


@pytest.mark.parametrize("name", ["seed", "generator"])
def test_a_column_of_labels_does_not_hide_a_column_of_the_data_set(name: str):
    output = SampleOutput.model_construct(
        kind="sample",
        shape=(1,),
        names=("x",),
        columns=(Column(name="x", type="boolean", count=2),),
        label=LabelColumn(name=name),
    )
    card = generators.card("a", classes=("p", "q")).model_copy(update={"output": output})
    with pytest.raises(UserError) as error:
        check_format("parquet", card, has_origin=True)
    assert error.value.reason == "column_conflict"


def test_labels_that_do_not_fit_all_generators_are_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEEDMINT_MODELS", str(folder))
    options = ["estimate", "animals", "fruits", "--seeds", "0-9", "--out", str(tmp_path / "out"), "--labels"]
    assert batch_error(*options, "3").field == "labels"
    assert batch_error(*options, "ant").field == "labels"
    assert batch_error(*options, "0:1,3:1").field == "labels"
    batch("estimate", "animals", "animals2", *options[3:], "bee")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("names", [("animals", "fruits"), ("animals", "animals2"), ("plain", "other.plain")])
def test_datasets_reads_images_seeds_labels_and_generators(
    tmp_path: Path, opened: Callable[..., list[Generator]], form: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    pair, out = opened(*names), tmp_path / "out"
    plan = plan_of(pair, form)
    make_all(open_output(str(out)), plan, pair)
    rows = run(card_programs(out)["datasets"], out, monkeypatch)["rows"]
    image, origins = "png" if form == "webdataset" else "image", [each.reference for each in plan.generators]
    found: dict[tuple[str, int], Any] = {}
    for row in rows:
        keys = row["json"] if form == "webdataset" else row
        found[keys["generator"], keys["seed"]] = row
    assert len(found) == len(rows) == 60
    assert sorted(found) == sorted((origin, seed) for origin in origins for seed in _EXPECTED["train"])
    seeds = np.array(_EXPECTED["train"])
    label = "cls" if form == "webdataset" else "label"
    for origin, generator in zip(origins, pair, strict=True):
        expected, labels = generator.generate(seeds), generator.labels(seeds)
        for i, seed in enumerate(seeds.tolist()):
            row = found[origin, seed]
            assert np.array_equal(pixels(row[image]), expected[i])
            if labels is not None:
                assert row[label] == labels[i]
    if names[0] == "plain":
        assert label not in rows.features
    else:
        assert getattr(rows.features[label], "names", None) == (list(ANIMALS) if "animals2" in names else None)
    if form in ("webdataset", "parquet", "png"):
        card = yaml.safe_load((out / "README.md").read_text().split("---")[1])
        assert {feature["name"] for feature in card["dataset_info"]["features"]} == set(rows.features)


@pytest.mark.parametrize(
    ("form", "library"),
    [
        *(("webdataset", "webdataset"), ("parquet", "DuckDB"), ("parquet", "pandas"), ("parquet", "Polars")),
        *(("npz", "NumPy"), ("npy", "NumPy")),
    ],
)
def test_programs_of_the_data_card_run(
    tmp_path: Path, opened: Callable[..., list[Generator]], form: str, library: str, monkeypatch: pytest.MonkeyPatch
):
    pair, out = opened("animals", "fruits"), tmp_path / "out"
    plan = plan_of(pair, form, labels=2)
    make_all(open_output(str(out)), plan, pair)
    found = run(card_programs(out)[library], out, monkeypatch)
    first, last = (each.reference for each in plan.generators)
    match library:
        case "webdataset":
            assert (found["generator"], found["seed"], found["label"], found["name"]) == (last, 89, 2, "cherry")
        case "DuckDB":
            assert sorted(found["rows"]) == sorted((seed, 2, origin) for seed in range(5) for origin in (first, last))
        case "pandas" | "Polars":
            assert len(found["frame"]) == 60
            assert set(found["frame"]["generator"]) == {first, last}
        case "NumPy":
            assert found.get("generator", first) == first
            assert set(found.get("generators", [first])) == {first}
            assert np.array_equal(found["images"], pair[0].generate(found["seeds"], np.full(16, 2)))


def test_filters_use_the_classifier_of_each_generator(tmp_path: Path):
    pair = [open_generator(SHIPPED / "mnist.onnx"), open_generator(SHIPPED / "fashion-mnist.onnx")]
    plan, output = plan_for(pair, "0-29", "parquet", 16, filter="margin > 0.9"), open_output(str(tmp_path / "out"))
    filters = [each.filter for each in plan.generators]
    assert len({each.classifier for each in filters if each is not None}) == 2
    make_all(output, plan, pair)
    assert list(verify(output, plan, pair, ignore_progress, every_value=True)) == []


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        ("webdataset", "0902c550b9402bf5b8ecc7ebcebae192242d577ea5c6ff1425d48283781b009e"),
        ("npy", "1984f9b32accb7ab7c283f47c1e84d912ca49f3d0232167c84e4e3581015b2b5"),
        ("png", "238fa1ef8767cb46f4d728ac14ae7d6ce8d7ece7ba79d004679ff829743f5e9a"),
    ],
)
def test_a_set_of_one_generator_keeps_its_bytes(tmp_path: Path, form: str, digest: str):
    """The digests were recorded before sets could have several generators, and then with the present digest of `digits`."""
    digits = open_generator(SHIPPED / "digits.onnx")
    plan = plan_for(digits, "0-79", form, 16, splits={"train": 60, "test": 20}, labels={3: 2, 7: 1})
    make_all(open_output(str(tmp_path)), plan, digits)
    files = sorted((name, value) for name, value in hashes(tmp_path).items() if name.endswith((".tar", ".npy", ".png")))
    assert sha256(repr(files).encode()).hexdigest() == digest
    fields = "schema model card provider seeds labels truncation format shard_size splits batch toolchain"
    assert list(json.loads((tmp_path / "plan.json").read_text())) == fields.split()


def test_repair_makes_the_same_bytes(tmp_path: Path, opened: Callable[..., list[Generator]]):
    pair = opened("animals", "fruits")
    out, plan = tmp_path / "out", plan_of(pair, "png")
    output = open_output(str(out))
    make_all(output, plan, pair)
    expected = hashes(out)
    images = sorted((out / "data").rglob("*.png"))
    images[0].unlink()
    images[-1].write_bytes(b"")
    stray = images[0].parents[2] / "nobody-000000000000" / "0" / "1.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"")
    faults = list(verify(output, plan, pair, ignore_progress))
    assert sorted(fault.reason for fault in faults) == ["missing_file", "orphan", "other_hash"]

    def engine(shards: Any, on_progress: Any) -> None:
        for index in shards:
            make_shard(pair[plan.part_of(index).generator], plan, index, output)

    assert repair(output, plan, pair, faults, engine, ignore_progress).faults == ()
    stray.parent.rmdir()
    stray.parent.parent.rmdir()
    assert hashes(out) == expected


def test_the_commands(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEEDMINT_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    digest = open_generator(folder / "fruits.onnx").digest[:12]
    run_options = ["run", "animals", f"fruits@{digest}", "--out", "out", "--workers", "1"]
    plan_options = ["--seeds", "0-39", "--shard-size", "16", "--format", "parquet"]
    batch(*run_options, *plan_options, "--dry-run")
    assert not Path("out").exists()
    batch(*run_options, *plan_options)
    before = hashes(Path("out"))
    assert job_status("out")["images"] == "80 of 80 (100.0%)"
    Path("out/data/shard-000004.parquet").write_bytes(b"")
    assert job_status("out")["state"] == "damaged"
    batch("verify", "out", "--all", "--repair", "--workers", "1")
    assert hashes(Path("out")) == before
    batch("verify", "out", "--model", "animals", "--model", "fruits", "--workers", "1")
    batch(*run_options)
    assert batch_error("verify", "out", "--model", "animals").reason == "other_generator"
    assert batch_error("run", "animals", "--out", "out").reason == "other_generator"
    assert batch_error("run", "fruits", "animals", "--out", "out").reason == "other_generator"
    part = ["--workers", "1", "--shard-index", "1", "--num-shards", "2"]
    batch("run", "animals", "fruits", "--out", "part", *plan_options, *part)
    assert sorted(path.name for path in Path("part/records").iterdir()) == ["000001.json", "000003.json", "000005.json"]


def test_a_job_that_was_killed_is_resumed_with_the_same_bytes(tmp_path: Path):
    names = [SHIPPED / "digits.onnx", generators.write(tmp_path, "again", 3, classes=tuple("0123456789"))]
    out = ["--workers", "1", "--out", tmp_path / "out"]
    process = start(*names, "--seeds", "0-9999", "--shard-size", "500", "--format", "npz", *out)
    wait_until(lambda: (tmp_path / "out/records/000001.json").exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    status, _, stderr = finished(*names, *out)
    assert status == 0, stderr
    pair = [open_generator(path) for path in names]
    make_all(open_output(str(tmp_path / "whole")), plan_for(pair, "0-9999", "npz", 500), pair)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "whole")
