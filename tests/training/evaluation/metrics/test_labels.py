"""Label accuracy and the divergence of histograms, against SciPy and closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import binom, entropy

from seedmint.training.evaluation.metrics.labels import histogram, kl_divergence, label_accuracy


def test_the_divergence_is_scipys_entropy():
    random = np.random.default_rng(0)
    counts, reference = random.integers(0, 50, 30), random.integers(1, 900, 30)
    counts[3] = 0
    assert kl_divergence(counts, reference) == pytest.approx(entropy(counts, reference), rel=1e-12)


def test_the_divergence_of_one_class_from_ten_equal_ones_is_log_10():
    assert kl_divergence(np.array([7] + [0] * 9), np.full(10, 100)) == pytest.approx(math.log(10), rel=1e-12)
    assert kl_divergence(np.full(10, 3), np.full(10, 100)) == pytest.approx(0, abs=1e-12)
    assert kl_divergence(np.array([1, 1]), np.array([1, 0])) == math.inf


def test_the_histogram_counts_classes_that_never_occur():
    assert histogram(np.array([2, 0, 2]), 4).tolist() == [1, 0, 2, 0]


def test_the_accuracy_and_its_standard_error_are_the_binomials():
    asked = np.arange(200) % 10
    seen = np.where(np.arange(200) < 30, (asked + 1) % 10, asked)
    share, error = label_accuracy(seen, asked)
    assert share == 170 / 200
    assert error == pytest.approx(binom(200, share).std() / 200, rel=1e-12)
