"""Scores of real data against real data: what a perfect generator scores.

Again and again, real data are divided at random into a part in place of the generated data and a part in place of the
reference, each as large as in the measurement. The scores of these draws give the mean and the standard error of a perfect
generator, and an interval that contains the score of a perfect generator with probability `LEVEL`. The interval assumes that
scores are normal, or, for squared distances, divergences and scores of models, no heavier in the tail than the square of a
normal number.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from seedmint.models.provenance import Metric

CHEAP_DRAWS, COSTLY_DRAWS = 24, 8
"""Number of draws of metrics that are quick, and of metrics that need seconds for each draw."""
LEVEL = 0.999
_MIN_DRAWS = 2  # of an interval
_KEY = 7  # of Philox
_DIVERGENCES = ("class-kl", "mode-kl", "1-gram", "2-gram", "3-gram", "4-gram")
_SQUARES = ("frechet", "kid", "random-conv", *_DIVERGENCES)  # metrics that are squares near their best value
# The score of a model is bounded, and is far worse for unlucky rows.
_SKEWED = (*_SQUARES, "train-on-generated", "predictive-score", "discriminative-score")
# Ratio of the upper quantiles of (chi-squared - 1) / sqrt 2 with one degree of freedom and of a normal number.
_TAIL_OF_SQUARES = (stats.chi2.ppf(LEVEL, 1) - 1) / math.sqrt(2) / stats.norm.ppf(LEVEL)


def random_orders(n: int, draws: int) -> Iterator[NDArray[np.int64]]:
    """Yield fixed random permutations of n rows.

    Args:
        n: Number of rows.
        draws: Number of permutations.
    """
    for draw in range(draws):
        yield np.argsort(np.random.Philox(key=(_KEY << 64) + draw).random_raw(n), kind="stable")


def random_group_orders(groups: NDArray[np.int64], draws: int) -> Iterator[NDArray[np.int64]]:
    """Yield fixed random permutations of rows in which the rows of a group follow each other.

    Windows of one series overlap. If they stood on both sides of a draw, real data would seem to be copies of each other.

    Args:
        groups: int64[n], the group of each row.
        draws: Number of permutations.
    """
    numbers, index = np.unique(groups, return_inverse=True)
    for order in random_orders(len(numbers), draws):
        yield np.argsort(np.argsort(order)[index], kind="stable")


def resamples(n: int, size: int, draws: int, stream: int = 0) -> Iterator[NDArray[np.int64]]:
    """Yield fixed random samples of rows, drawn with replacement.

    Args:
        n: Number of rows.
        size: Number of drawn rows.
        draws: Number of samples.
        stream: Number of the random stream; other streams give independent samples.
    """
    for draw in range(draws):
        words = np.random.Philox(key=(_KEY << 64) + ((stream + 1) << 32) + draw).random_raw(size)
        yield (words % np.uint64(n)).astype(np.int64)


def with_intervals(metrics: Sequence[Metric], draws: Sequence[Sequence[Metric]]) -> tuple[Metric, ...]:
    """Add to each metric the mean score of real data, the interval, and a standard error if it has none.

    Args:
        metrics: The scores of a generator.
        draws: The scores of real data, by draw. A metric that fewer than two draws have gets no interval.
    """
    finished = []
    for metric in metrics:
        values = np.array([other.value for draw in draws for other in draw if other.metric == metric.metric])
        if len(values) < _MIN_DRAWS:
            finished.append(metric)
            continue
        tail = _TAIL_OF_SQUARES if metric.metric.startswith(_SKEWED) else 1.0
        mean, error, interval = prediction_interval(values, metric.samples, tail)
        known = metric.standard_error
        changes = {"real": mean, "interval": interval, "standard_error": error if known is None else known}
        finished.append(metric.model_copy(update=changes))
    return tuple(finished)


def prediction_interval(
    values: NDArray[np.float64], samples: int, tail: float = 1.0
) -> tuple[float, float, tuple[float, float]]:
    """Return the mean and the standard deviation of scores, and the interval of one further score.

    Args:
        values: float64[draws], scores of real data.
        samples: Number of samples of each score. If all scores are equal, the interval has the width that `samples` examples
            without an exception allow.
        tail: How many times farther the tail reaches than that of a normal number.
    """
    mean, error = float(values.mean()), float(values.std(ddof=1))
    factor = tail * float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * math.sqrt(1 + 1 / len(values))
    half = factor * error if error > 0 else -math.log(1 - LEVEL) / samples
    return mean, error, (mean - half, mean + half)
