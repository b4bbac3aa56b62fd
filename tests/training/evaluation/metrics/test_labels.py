"""Label accuracy and the divergence of histograms, compared with SciPy and closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import binom, entropy

from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence, label_accuracy


def test_divergence_matches_scipy():
    random = np.random.default_rng(0)
    counts, reference = random.integers(0, 50, 30), random.integers(1, 900, 30)
    counts[3] = 0
    assert kl_divergence(counts, reference) == pytest.approx(entropy(counts, reference), rel=1e-12)


def test_divergence_in_closed_form():
    assert kl_divergence(np.array([7] + [0] * 9), np.full(10, 100)) == pytest.approx(math.log(10), rel=1e-12)
    assert kl_divergence(np.full(10, 3), np.full(10, 100)) == pytest.approx(0, abs=1e-12)
    assert kl_divergence(np.array([1, 1]), np.array([1, 0])) == math.inf


def test_histogram_counts_missing_classes():
    assert histogram(np.array([2, 0, 2]), 4).tolist() == [1, 0, 2, 0]


def test_accuracy_and_its_standard_error_are_binomial():
    requested = np.arange(200) % 10
    recognized = np.where(np.arange(200) < 30, (requested + 1) % 10, requested)
    share, error = label_accuracy(recognized, requested)
    assert share == 170 / 200
    assert error == pytest.approx(binom(200, share).std() / 200, rel=1e-12)
