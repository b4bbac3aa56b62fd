"""The training curve of a card, from the log of a run."""

import json

import numpy as np
import pytest

from seedmint.models.training_curve import TrainingCurve
from seedmint.training.runs.curve import NUM_POINTS, training_curve


def entry(step, value=-1.0, **other):
    return {"step": step, "V": value, "D(x)": 0.5 + step / 10_000, "D(G(z))": 0.5 - step / 10_000, **other}


def test_each_point_is_the_mean_of_its_part():
    values = np.random.default_rng(0).normal(size=1000).round(6)
    curve = training_curve([entry(10 * i + 10, value) for i, value in enumerate(values)], 10_000, -1.386)
    assert len(curve.steps) == NUM_POINTS
    assert curve.steps[-1] == 10_000
    starts = (0, *(step // 10 for step in curve.steps[:-1]))
    means = [values[start : step // 10].mean() for start, step in zip(starts, curve.steps, strict=True)]
    assert curve.value == pytest.approx(means, rel=1e-4)
    assert TrainingCurve(**json.loads(curve.model_dump_json())) == curve


def test_other_entries_and_numbers_that_are_not_finite_are_left_out():
    entries = [entry(1), {"step": 1, "diversity": 1}, entry(2, float("nan")), entry(3), entry(9)]
    assert training_curve(entries, 5, 0).steps == (1, 3)
    assert training_curve(entries[1:2], 5, 0) is None
