"""A job of very many shards, whose workers are lost at random: nothing is lost, and nothing is there twice."""

import json

import pytest

from benchmarks.simulation import Outcome, faults, simulate
from seedmint.service.batch.completeness import done
from seedmint.service.batch.manifest import MANIFEST


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(8_000, 20, loss=0.01, seed=1)


def test_nothing_is_lost_and_nothing_is_there_twice(outcome: Outcome):
    assert faults(outcome) == []
    assert outcome.plan.shards == 8_000
    assert done(outcome.output, outcome.plan).all()
    assert json.loads(outcome.output.files[MANIFEST])["totals"] == {"shards": 8_000, "images": 80_000_000, "bytes": 0}


def test_workers_were_lost_at_every_moment(outcome: Outcome):
    """Only what was not recorded is made again, once for each loss."""
    assert set(outcome.losses) == {"half-way", "unrecorded", "recorded"}
    assert min(outcome.losses.values()) > 10
    assert set(outcome.made) == set(range(8_000))
    assert outcome.made.total() - 8_000 == outcome.losses["unrecorded"]


def test_what_is_lost_or_twice_would_be_seen():
    small = simulate(20, 2, loss=0.0)
    manifest = json.loads(small.output.files[MANIFEST])
    shards = manifest["shards"]
    for changed, said in (
        (shards[:7] + shards[8:], "seeds 70000 to 79999 are lost"),
        (shards[:-1], "seeds from 190000 on are lost"),
        (shards + shards[3:4], "seeds from 30000 on are there twice"),
    ):
        small.output.files[MANIFEST] = json.dumps(manifest | {"shards": changed}).encode()
        assert said in faults(small)
    small.output.writes["records/000003.json"] += 1
    assert "records/000003.json was written twice" in faults(small)
