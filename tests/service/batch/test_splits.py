"""Splits and label weights: their shards, labels and files, and how readers see them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.completeness import complete_shards, orphans
from seedmint.service.batch.label_weights import MAX_PERIOD, counts, label_sequence
from seedmint.service.batch.plan import Plan, read_plan
from seedmint.service.batch.planning import join_splits
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.batch.verify import verify
from seedmint.service.runtime.generator import Generator
from tests.service.batch.test_plan import CLASSES, plan
from tests.support.batch_jobs import batch, batch_error, hashes, job_status, make_all, plan_for

WEIGHTS = st.dictionaries(st.integers(0, 2), st.integers(1, 40), min_size=1)
SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=4)


def with_splits(sizes: list[int], shard_size: int = 8, labels: object = None) -> Plan:
    job_plan = plan(f"100-{99 + sum(sizes)}", shard_size, labels, CLASSES)  # type: ignore[arg-type]
    return job_plan.model_copy(update={"splits": {f"s{i}": size for i, size in enumerate(sizes)}})


@given(SIZES, st.integers(1, 20))
def test_shards_of_splits_cover_the_seeds_in_order(sizes: list[int], shard_size: int):
    job_plan = with_splits(sizes, shard_size)
    shards = [job_plan.shard(index) for index in range(job_plan.num_shards)]
    assert np.concatenate([shard.seeds.array() for shard in shards]).tolist() == list(range(100, 100 + sum(sizes)))
    assert (
        [shard.count for shard in shards] == job_plan.shard_sizes.tolist() == [job_plan.size(shard.index) for shard in shards]
    )
    names = [job_plan.file_name(shard.index) for shard in shards]
    assert len(set(names)) == len(names)
    for i, split in enumerate(job_plan.parts):
        inside = [shard for shard in shards if f"/s{i}/" in job_plan.file_name(shard.index)]
        assert sum(shard.count for shard in inside) == split.count == sizes[i]
        assert {shard.count for shard in inside[:-1]} <= {shard_size}
    positions = np.arange(sum(sizes))
    expected = np.concatenate([np.full(shard.count, shard.index) for shard in shards])
    assert job_plan.shards_at(positions).tolist() == expected.tolist()


@given(SIZES)
def test_each_split_is_balanced(sizes: list[int]):
    job_plan = with_splits(sizes, labels="balanced")
    for split in job_plan.parts:
        positions = split.start + np.arange(split.count)
        labels = job_plan.labels_of(positions, positions)
        assert labels is not None
        assert labels.tolist() == [i % len(CLASSES) for i in range(split.count)]


@given(WEIGHTS, st.integers(1, 30))
def test_weights_are_exact_counts_and_spread_evenly(weights: dict[int, int], part: int):
    total = sum(weights.values())
    labels = np.resize(label_sequence(weights), total)
    assert {label: int((labels == label).sum()) for label in weights} == weights == counts(weights, total)
    part = min(part, total)
    prefix = counts(weights, part)
    assert sum(prefix.values()) == part
    assert all(abs(prefix[label] - part * weight / total) <= len(weights) for label, weight in weights.items())


def test_the_sequence_of_labels_is_fixed():
    assert label_sequence({7: 500, 3: 1000}).tolist() == [3, 7, 3]
    assert label_sequence({0: 3, 1: 2}).tolist() == [0, 1, 0, 1, 0]


@pytest.mark.parametrize("shard_format", ["webdataset", "parquet", "png", "npz", "npy"])
def test_a_job_with_splits_and_weights(tmp_path: Path, rgb: Generator, shard_format: str):
    out, output = tmp_path / "out", open_output(str(tmp_path / "out"))
    seeds, splits = join_splits([("train", parse_seeds("0-39,80-99")), ("test", parse_seeds("40-59"))])
    job_plan = plan_for(rgb, str(seeds), shard_format, 16, splits=splits, labels={0: 2, 2: 1})
    assert read_plan(job_plan.to_json(), "plan.json") == job_plan
    make_all(output, job_plan, rgb)
    assert complete_shards(output, job_plan).all()
    assert list(orphans(output, job_plan)) == []
    assert list(verify(output, job_plan, [rgb], ignore_progress, every_value=True)) == []
    again = tmp_path / "again"
    make_all(open_output(str(again)), job_plan, rgb, backwards=True)
    assert hashes(again) == hashes(out)
    if shard_format != "png":
        (out / job_plan.file_name(4)).unlink()
        assert complete_shards(output, job_plan).tolist() == [True] * 4 + [False, True]


@pytest.mark.parametrize("shard_format", ["webdataset", "parquet", "png"])
def test_datasets_reads_the_splits(tmp_path: Path, rgb: Generator, shard_format: str, monkeypatch: pytest.MonkeyPatch):
    import datasets

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = tmp_path / "out"
    job_plan = plan_for(rgb, "0-79", shard_format, 16, splits={"train": 60, "test": 20}, labels={0: 2, 2: 1})
    make_all(open_output(str(out)), job_plan, rgb)
    found = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    label, seed = ("cls", "__key__") if shard_format == "webdataset" else ("label", "seed")
    for name, seeds, expected in (("train", range(60), {0: 40, 2: 20}), ("test", range(60, 80), {0: 13, 2: 7})):
        assert sorted(map(int, found[name][seed])) == list(seeds)
        labels = list(found[name][label])
        assert {number: labels.count(number) for number in set(labels)} == expected
        assert found[name].features[label].names == ["ant", "bee", "cat"]


def test_the_command_makes_and_resumes_splits(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    options = ["run", "rgb", "--out", "out", "--workers", "1"]
    batch(*options, "--split", "train=0-19", "--split", "test=20-29", "--labels", "ant:2,2:1", "--format", "npy")
    before = hashes(Path("out"))
    Path("out/data/test/shard-000001.npy").unlink()
    batch(*options)
    assert hashes(Path("out")) == before
    assert job_status("out")["splits"] == "train 20, test 10"
    error = batch_error(*options, "--split", "train=0-9", "--split", "test=20-29")
    assert (error.field, error.reason) == ("seeds", "other_plan")
    error = batch_error(*options, "--split", "train=0-9", "--split", "test=10-29")
    assert (error.field, error.reason) == ("split", "other_plan")


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        (["--split", "train"], "split", "malformed_split"),
        (["--split", "../x=0-9"], "split", "malformed_split"),
        (["--split", "a=0-9", "--split", "a=10-19"], "split", "duplicate_split"),
        (["--split", "a=0-9", "--split", "b=9-19"], "split", "duplicate_seed"),
        (["--split", "a=x"], "split", "malformed_seeds"),
        (["--split", "a=0-9", "--seeds", "0-9"], "split", "conflict"),
        (["--seeds", "0-9", "--labels", "0:1,9:1"], "labels", None),
        (["--seeds", "0-9", "--labels", "0:1,ant:2"], "labels", "duplicate_label"),
        (["--seeds", "0-9", "--labels", "0:0"], "labels", None),
        (["--seeds", "0-9", "--labels", f"0:{MAX_PERIOD},1:1"], "labels", "too_many_labels"),
    ],
)
def test_wrong_splits_and_weights_are_refused(
    models: Path, tmp_path: Path, options: list[str], field: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SEEDMINT_MODELS", str(models))
    error = batch_error("estimate", "rgb", "--out", tmp_path / "out", *options)
    assert error.field == field
    assert reason in (None, error.reason)


def test_weights_of_unknown_labels_are_refused(rgb: Generator):
    with pytest.raises(UserError) as error:
        plan_for(rgb, labels={3: 1})
    assert (error.value.field, error.value.reason) == ("labels", "out_of_range")
