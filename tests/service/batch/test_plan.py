"""The plan: every seed lies in one shard, in order; labels are exact; one plan has one spelling."""

import itertools
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.card import SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.models.seeds import SEED_LIMIT, Seeds, parse_seeds
from seedmint.service.batch.plan import MAX_SHARDS, Plan, PlanError, check_same, make_plan, read_plan
from tests.support import generators

DIGEST = "0" * 64
CLASSES = ("ant", "bee", "cat")


def plan(seeds: str, shard_size: int = 10, labels: object = None, classes: tuple[str, ...] | None = None) -> Plan:
    card = generators.card("one", classes=classes)
    return make_plan(DIGEST, card, "cpu", parse_seeds(seeds), labels, 1.0, "npy", shard_size)  # type: ignore[arg-type]


@st.composite
def sequences(draw: st.DrawFn) -> str:
    """Ranges that do not overlap, in any order; small ones, far apart."""
    starts = draw(st.lists(st.integers(0, SEED_LIMIT // 1000 - 1), min_size=1, max_size=8, unique=True))
    return ",".join(f"{start * 1000}-{start * 1000 + draw(st.integers(0, 60))}" for start in starts)


@given(sequences(), st.integers(1, 70), st.integers(1, 64))
def test_every_seed_lies_in_one_shard_in_order(seeds: str, shard_size: int, batch: int):
    made = plan(seeds, shard_size)
    shards = [made.shard(index) for index in range(made.shards)]
    expected = [seed for r in parse_seeds(seeds).ranges for seed in r]
    assert [seed for shard in shards for seed in shard.seeds.array().tolist()] == expected
    assert [shard.start for shard in shards] == list(range(0, len(expected), shard_size))
    assert [shard.count for shard in shards] == [made.size(index) for index in range(made.shards)]
    assert {shard.count for shard in shards[:-1]} <= {shard_size}
    assert made.count == len(expected)
    pieces = [part for shard in shards for part, _ in made.pieces(shard, batch)]
    assert np.concatenate(pieces).tolist() == expected
    assert max(map(len, pieces)) <= batch


@given(sequences(), st.integers(1, 70), st.integers(1, 7), st.sampled_from(["balanced", "per-seed", 0]))
def test_labels_do_not_depend_on_shards_or_batches(seeds: str, shard_size: int, batch: int, labels: str | int):
    made = plan(seeds, shard_size, labels, CLASSES)
    found = [
        (int(seed), int(label))
        for index in range(made.shards)
        for part, named in made.pieces(made.shard(index), batch)
        for seed, label in zip(part, named, strict=True)  # type: ignore[arg-type]
    ]
    every = parse_seeds(seeds).array()
    expected = {"balanced": np.arange(len(every)) % 3, "per-seed": labels_of(every, 3), "0": np.zeros(len(every))}[str(labels)]
    assert found == list(zip(every.tolist(), expected.tolist(), strict=True))
    if labels == "balanced":
        counts = np.bincount(np.array(found)[:, 1], minlength=3)
        assert counts.max() - counts.min() <= 1


@given(sequences(), st.integers(1, 70))
def test_a_plan_is_read_as_it_was_written(seeds: str, shard_size: int):
    written = plan(seeds, shard_size, "balanced", CLASSES)
    back = read_plan(written.to_json(), "plan.json")
    assert back == written
    assert back.to_json() == written.to_json()
    assert back.digest == written.digest


def test_a_million_shards_cost_nothing():
    began = time.process_time()
    made = plan("0-9999999999", 10_000)
    assert made.shards == MAX_SHARDS
    for index in random.Random(0).sample(range(MAX_SHARDS), 1000):
        assert made.shard(index).seeds == Seeds((range(index * 10_000, (index + 1) * 10_000),))
    assert made.file_name(MAX_SHARDS - 1).endswith("999999.npy")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_other_shard(index: int):
    with pytest.raises(IndexError):
        plan("0-19").shard(index)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": "0-9,5"}, "--seeds: 5 comes twice"),
        ({"seeds": "7,7"}, "--seeds: 7 comes twice"),
        (
            {"seeds": "0-10000000000", "shard_size": 10_000},
            "--shard-size 10000 makes more than 1,000,000 shards: take at least 10,001",
        ),
        ({"labels": "balanced"}, "--labels: generator 'one' is not conditional"),
    ],
)
def test_options_that_make_no_plan(changes: dict[str, object], said: str):
    with pytest.raises(UserError, match=said):
        plan(**({"seeds": "0-9"} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "names", "said"),
    [("webdataset", ("x",), "for images, and 'one' makes samples"), ("parquet", ("seed",), "its own column 'seed'")],
)
def test_a_format_that_cannot_hold_the_samples(form: str, names: tuple[str, ...], said: str):
    card = generators.card("one", output=SampleOutput(kind="sample", shape=(1,), names=names))
    with pytest.raises(UserError, match=said):
        make_plan(DIGEST, card, "cpu", parse_seeds("0"), None, 1.0, form, 1)  # type: ignore[arg-type]


def test_another_plan_is_told_apart_by_its_first_difference():
    here = plan("0-99", 10, "balanced", CLASSES)
    check_same(here, plan("0-99", 10, "balanced", CLASSES), "out")
    others = {
        "--seeds is 0-99 there, and 0-98 here": plan("0-98", 10, "balanced", CLASSES),
        "--shard-size is 10 there, and 11 here": plan("0-99", 11, "balanced", CLASSES),
        "--labels is balanced there, and 1 here": plan("0-99", 10, 1, CLASSES),
        "out holds a job of one@000000000000, and this generator is one@1111": here.model_copy(update={"model": "1" * 64}),
        r"begun with machine \S+ \(here: z80\), which may write other bytes": here.model_copy(
            update={"libraries": here.libraries | {"machine": "z80"}}
        ),
        r"begun with onnxruntime [\d.]+ \(here: 0\.1\), .*go on with": here.model_copy(
            update={"libraries": here.libraries | {"onnxruntime": "0.1"}}
        ),
    }
    for said, other in others.items():
        with pytest.raises(PlanError, match=said):
            check_same(here, other, "out")
    digests = [other.digest for other in (here, *others.values())]
    assert all(one != two for one, two in itertools.combinations(digests, 2))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema": 2}'])
def test_what_is_no_plan(content: bytes):
    with pytest.raises(PlanError, match=r"out/plan\.json is not a plan"):
        read_plan(content, "out/plan.json")
