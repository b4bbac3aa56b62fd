"""A simulated job with many shards, whose workers die at random: no shard is lost, and no shard is recorded twice."""

import json
import re

import pytest

from benchmarks.simulation import Outcome, faults, simulate
from seedmint.service.batch.completeness import complete_shards
from seedmint.service.batch.manifest import MANIFEST


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(8_000, 20, loss=0.01, seed=1)


def test_a_job_with_splits_weights_and_two_generators_loses_no_shard():
    """Each generator has a last shard in each split, so this job has two shards more."""
    splits, names = {"train": 2_995_000, "test": 1_005_000}, ("mnist", "fashion-mnist")
    small = simulate(400, 7, loss=0.05, seed=2, names=names, splits=splits, labels={3: 2, 7: 1})
    assert faults(small) == []
    assert small.plan.num_shards == 802
    assert complete_shards(small.output, small.plan).all()
    assert {"half-way", "unrecorded", "recorded"} == set(small.losses)
    folders = {name.rpartition("/")[0] for name in small.output.files if name.startswith("data/")}
    assert folders == {"data/train", "data/test"}


def test_no_shard_is_lost_or_duplicated(outcome: Outcome):
    assert faults(outcome) == []
    assert outcome.plan.num_shards == 8_000
    assert complete_shards(outcome.output, outcome.plan).all()
    assert json.loads(outcome.output.files[MANIFEST])["totals"] == {"shards": 8_000, "images": 80_000_000, "bytes": 0}


def test_workers_die_at_every_step(outcome: Outcome):
    """Only shards without a record are made again, once for each death."""
    assert set(outcome.losses) == {"half-way", "unrecorded", "recorded"}
    assert min(outcome.losses.values()) > 10
    assert set(outcome.made) == set(range(8_000))
    assert outcome.made.total() - 8_000 == outcome.losses["unrecorded"]


def test_lost_and_duplicated_seeds_are_detected():
    small = simulate(20, 2, loss=0.0)
    manifest = json.loads(small.output.files[MANIFEST])
    shards = manifest["shards"]
    for changed, seeds in (
        (shards[:7] + shards[8:], ["70000", "79999"]),
        (shards[:-1], ["190000"]),
        (shards + shards[3:4], ["30000"]),
    ):
        small.output.files[MANIFEST] = json.dumps(manifest | {"shards": changed}).encode()
        assert [re.findall(r"\d+", fault) for fault in faults(small)] == [seeds]
    small.output.files[MANIFEST] = json.dumps(manifest).encode()
    small.output.writes["records/000003.json"] += 1
    (fault,) = faults(small)
    assert fault.startswith("records/000003.json ")
