"""Plans: each seed is in one shard, in order; labels are exact; equal plans have equal bytes."""

import itertools
import platform
import random
from typing import get_args

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.noise import LabelRule, labels_of
from seedmint.models.seeds import SEED_LIMIT, Seeds, parse_seeds
from seedmint.service.batch.formats.base import FormatError
from seedmint.service.batch.plan import Plan, PlanError, read_plan
from seedmint.service.batch.plan_comparison import check_same, difference
from seedmint.service.batch.planning import MAX_SHARDS, CheckedGenerator, JobSpec, make_plan, spec_of
from seedmint.service.runtime.output_check import Determinism
from tests.support import generators

DIGEST = "0" * 64
CLASSES = ("ant", "bee", "cat")


def plan(seeds: str, shard_size: int = 10, labels: object = None, classes: tuple[str, ...] | None = None) -> Plan:
    card = generators.card("one", classes=classes)
    spec = JobSpec(parse_seeds(seeds), labels=labels, format="npy", shard_size=shard_size)  # type: ignore[arg-type]
    return make_plan(CheckedGenerator(DIGEST, card), spec)


@st.composite
def sequences(draw: st.DrawFn) -> str:
    """Small ranges that do not overlap, in any order."""
    starts = draw(st.lists(st.integers(0, SEED_LIMIT // 1000 - 1), min_size=1, max_size=8, unique=True))
    return ",".join(f"{start * 1000}-{start * 1000 + draw(st.integers(0, 60))}" for start in starts)


@given(sequences(), st.integers(1, 70), st.integers(1, 64))
def test_each_seed_is_in_one_shard_in_order(seeds: str, shard_size: int, batch: int):
    job_plan = plan(seeds, shard_size)
    shards = [job_plan.shard(index) for index in range(job_plan.num_shards)]
    expected = [seed for r in parse_seeds(seeds).ranges for seed in r]
    assert [seed for shard in shards for seed in shard.seeds.array().tolist()] == expected
    assert [shard.start for shard in shards] == list(range(0, len(expected), shard_size))
    assert [shard.count for shard in shards] == [job_plan.size(index) for index in range(job_plan.num_shards)]
    assert {shard.count for shard in shards[:-1]} <= {shard_size}
    assert job_plan.count == len(expected)
    pieces = [part for shard in shards for part, _ in job_plan.batches(shard, batch)]
    assert np.concatenate(pieces).tolist() == expected
    assert max(map(len, pieces)) <= batch


@given(sequences(), st.integers(1, 70), st.integers(1, 7), st.sampled_from(["balanced", "per-seed", 0]))
def test_labels_do_not_depend_on_shards_or_batches(seeds: str, shard_size: int, batch: int, labels: str | int):
    job_plan = plan(seeds, shard_size, labels, CLASSES)
    found = [
        (int(seed), int(label))
        for index in range(job_plan.num_shards)
        for part, named in job_plan.batches(job_plan.shard(index), batch)
        for seed, label in zip(part, named, strict=True)  # type: ignore[arg-type]
    ]
    every = parse_seeds(seeds).array()
    expected = {"balanced": np.arange(len(every)) % 3, "per-seed": labels_of(every, 3), "0": np.zeros(len(every))}[str(labels)]
    assert found == list(zip(every.tolist(), expected.tolist(), strict=True))
    if labels == "balanced":
        counts = np.bincount(np.array(found)[:, 1], minlength=3)
        assert counts.max() - counts.min() <= 1


def test_labels_of_seeds_follow_the_class_weights_of_the_card():
    card = generators.card("one", classes=CLASSES, class_weights=(1, 0, 9))
    spec = JobSpec(parse_seeds("0-99"), labels="per-seed", format="npy", shard_size=30)
    job_plan, every = make_plan(CheckedGenerator(DIGEST, card), spec), np.arange(100)
    found = job_plan.labels_at(0, every)
    assert found is not None
    assert found.tolist() == LabelRule(3, (1, 0, 9)).labels(every).tolist()
    assert set(found.tolist()) == {0, 2}


@given(sequences(), st.integers(1, 70))
def test_a_plan_round_trips_through_json(seeds: str, shard_size: int):
    written = plan(seeds, shard_size, "balanced", CLASSES)
    back = read_plan(written.to_json(), "plan.json")
    assert back == written
    assert back.to_json() == written.to_json()
    assert back.digest == written.digest


def test_a_plan_of_a_million_shards_lists_none_of_them():
    job_plan = plan("0-9999999999", 10_000)
    assert job_plan.num_shards == MAX_SHARDS
    for index in random.Random(0).sample(range(MAX_SHARDS), 1000):
        assert job_plan.shard(index).seeds == Seeds((range(index * 10_000, (index + 1) * 10_000),))
    assert job_plan.file_name(MAX_SHARDS - 1).endswith("999999.npy")


@pytest.mark.parametrize("index", [-1, 2])
def test_a_shard_index_out_of_range_is_an_error(index: int):
    with pytest.raises(IndexError):
        plan("0-19").shard(index)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"seeds": "0-9,5"}, "seeds", "duplicate_seed"),
        ({"seeds": "7,7"}, "seeds", "duplicate_seed"),
        ({"seeds": "0-10000000000", "shard_size": 10_000}, "shard_size", "too_many_shards"),
        ({"shard_size": 0}, "shard_size", "out_of_range"),
        ({"labels": "balanced"}, "labels", "not_conditional"),
    ],
)
def test_invalid_options_are_refused(changes: dict[str, object], field: str, reason: str):
    with pytest.raises(UserError) as error:
        plan(**({"seeds": "0-9"} | changes))  # type: ignore[arg-type]
    assert (error.value.field, error.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("form", "names", "reason"),
    [("webdataset", ("x",), "format_mismatch"), ("parquet", ("seed",), "column_conflict")],
)
def test_a_format_that_cannot_hold_the_samples_is_refused(form: str, names: tuple[str, ...], reason: str):
    card = generators.card("one", output=SampleOutput(kind="sample", shape=(1,), names=names))
    with pytest.raises(FormatError) as error:
        make_plan(CheckedGenerator(DIGEST, card), JobSpec(parse_seeds("0"), format=form))  # type: ignore[arg-type]
    assert (error.value.field, error.value.reason) == ("format", reason)


def test_the_first_difference_of_two_plans_is_named():
    here = plan("0-99", 10, "balanced", CLASSES)
    check_same(here, plan("0-99", 10, "balanced", CLASSES), "out")
    approximate = make_plan(CheckedGenerator(DIGEST, here.card, determinism="approximate"), spec_of(here))
    numpy = here.toolchain | {"numpy": "0.1"}
    others = [
        (plan("0-98", 10, "balanced", CLASSES), "seeds", "other_plan"),
        (plan("0-99", 11, "balanced", CLASSES), "shard_size", "other_plan"),
        (plan("0-99", 10, 1, CLASSES), "labels", "other_plan"),
        (here.model_copy(update={"model": "1" * 64}), "model", "other_generator"),
        (approximate, None, "other_toolchain"),
        (here.model_copy(update={"toolchain": numpy}), None, "other_toolchain"),
    ]
    for other, field, reason in others:
        with pytest.raises(PlanError) as error:
            check_same(here, other, "out")
        assert (error.value.field, error.value.reason) == (field, reason)
    digests = [other.digest for other in (here, *(other for other, _, _ in others))]
    assert all(one != two for one, two in itertools.combinations(digests, 2))


def test_plans_of_two_kinds_of_machines_are_equal_only_if_both_are_exact(monkeypatch: pytest.MonkeyPatch):
    def plans() -> list[Plan]:
        spec = JobSpec(parse_seeds("0-99"), format="npy", shard_size=10)
        checked = [CheckedGenerator(DIGEST, generators.card("one"), "cpu", found) for found in get_args(Determinism)]
        return [make_plan(generator, spec) for generator in checked]

    exact, approximate = plans()
    assert exact.toolchain == {"determinism": "exact", "numpy": np.__version__}
    here = {"machine": platform.machine(), "onnxruntime": onnxruntime.__version__}
    assert approximate.toolchain == {"determinism": "approximate", "numpy": np.__version__} | here
    monkeypatch.setattr("platform.machine", lambda: "z80")
    monkeypatch.setattr("onnxruntime.__version__", "0.1")
    elsewhere, approximate_elsewhere = plans()
    assert elsewhere.to_json() == exact.to_json()
    check_same(exact, elsewhere, "out")
    for one, other in ((approximate, approximate_elsewhere), (exact, approximate_elsewhere), (approximate, elsewhere)):
        with pytest.raises(PlanError) as error:
            check_same(one, other, "out")
        assert error.value.reason == "other_toolchain"


def test_a_difference_of_toolchains_names_both_versions():
    assert difference({"machine": "x86_64", "numpy": "2.0"}, {"machine": "z80", "numpy": "2.0"}) == "machine x86_64 (here: z80)"
    assert difference({"png": "1"}, {}) == "png 1 (here: none)"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema": 2}'])
def test_an_unreadable_plan_is_refused(content: bytes):
    with pytest.raises(PlanError) as error:
        read_plan(content, "out/plan.json")
    assert error.value.reason == "unreadable_plan"
