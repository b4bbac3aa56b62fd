"""Precision, recall, density and coverage, compared with the package prdc by the authors of density and coverage."""

from dataclasses import asdict

import numpy as np
import pytest
from prdc import compute_prdc

from seedmint.training.evaluation.metrics import prdc as module
from seedmint.training.evaluation.metrics.prdc import Prdc, prdc


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("block_size", [1, 3000, 10**9])
def test_metrics_match_the_package_prdc(monkeypatch, k, block_size):
    monkeypatch.setattr(module, "_BLOCK_SIZE", block_size)
    random = np.random.default_rng(0)
    real = random.standard_normal((400, 8)).astype(np.float32)
    generated = (random.standard_normal((250, 8)) * 0.9 + 0.3).astype(np.float32)
    expected = compute_prdc(real, generated, k)
    assert asdict(prdc(real, generated, k)) == pytest.approx({key: float(value) for key, value in expected.items()}, abs=1e-12)
    assert 0 < expected["recall"] < expected["precision"] < 1  # the values are not trivial


def test_distant_sets_score_0():
    random = np.random.default_rng(1)
    real = random.standard_normal((100, 4))
    assert prdc(real, random.standard_normal((100, 4)) + 50) == Prdc(0, 0, 0, 0)


def test_repeated_point_has_full_precision_and_low_coverage():
    real = np.random.default_rng(2).standard_normal((500, 4))
    result = prdc(real, np.tile(real[7] + 0.01, (300, 1)))
    assert result.precision == 1
    assert result.recall == 0
    assert result.coverage < 0.05
