"""Precision, recall, density and coverage, against the prdc package of the authors of density and coverage."""

from dataclasses import asdict

import numpy as np
import pytest
from prdc import compute_prdc

from seedmint.training.evaluation.metrics import prdc as module
from seedmint.training.evaluation.metrics.prdc import Prdc, prdc


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("at_once", [1, 3000, 10**9])
def test_it_is_what_the_prdc_package_computes(monkeypatch, k, at_once):
    monkeypatch.setattr(module, "_DISTANCES_AT_ONCE", at_once)
    random = np.random.default_rng(0)
    real = random.standard_normal((400, 8)).astype(np.float32)
    generated = (random.standard_normal((250, 8)) * 0.9 + 0.3).astype(np.float32)
    expected = compute_prdc(real, generated, k)
    assert asdict(prdc(real, generated, k)) == pytest.approx({key: float(value) for key, value in expected.items()}, abs=1e-12)
    assert 0 < expected["recall"] < expected["precision"] < 1  # of nothing that is trivial


def test_far_away_all_are_0():
    random = np.random.default_rng(1)
    real = random.standard_normal((100, 4))
    assert prdc(real, random.standard_normal((100, 4)) + 50) == Prdc(0, 0, 0, 0)


def test_one_point_repeated_is_precise_and_covers_almost_nothing():
    real = np.random.default_rng(2).standard_normal((500, 4))
    found = prdc(real, np.tile(real[7] + 0.01, (300, 1)))
    assert found.precision == 1
    assert found.recall == 0
    assert found.coverage < 0.05
