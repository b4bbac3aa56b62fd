"""Positions and labels of seeds in a plan, by which PNG files are assigned to shards."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedmint.models.seeds import SEED_LIMIT, parse_seeds
from tests.service.batch.test_plan import CLASSES, plan, sequences


@given(sequences(), st.sampled_from(["balanced", "per-seed", 0]), st.randoms(use_true_random=False))
def test_positions_of_seeds_in_the_plan(seeds: str, labels: str | int, chance: random.Random):
    job_plan = plan(seeds, 10, labels, CLASSES)
    all_seeds = parse_seeds(seeds).array()
    order = np.array(chance.sample(range(len(all_seeds)), len(all_seeds)))
    assert job_plan.seed_order.positions(all_seeds[order]).tolist() == order.tolist()
    in_order, anywhere = job_plan.labels_at(0, all_seeds), job_plan.labels_of(order, all_seeds[order])
    assert in_order is not None
    assert anywhere is not None
    assert anywhere.tolist() == in_order[order].tolist()
    others = np.setdiff1d(np.concatenate([all_seeds - 1, all_seeds + 1, [-1, SEED_LIMIT - 1]]), all_seeds)
    assert set(job_plan.seed_order.positions(others).tolist()) == {-1}
