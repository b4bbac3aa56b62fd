"""Measures a generator of strings: n-grams, lengths, real strings and copies, beside a model of n-grams of the data."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import Column
from seedmint.models.provenance import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.draw import NAME as DRAW
from seedmint.training.evaluation.metrics.cells import near_share
from seedmint.training.evaluation.metrics.edit_distance import closest_strings
from seedmint.training.evaluation.metrics.marginals import kolmogorov_smirnov
from seedmint.training.evaluation.metrics.nearest import copying
from seedmint.training.evaluation.metrics.ngrams import NgramModel, count_ngrams, jensen_shannon
from seedmint.training.evaluation.real_draws import CHEAP_DRAWS, random_orders, resamples, with_intervals
from seedmint.training.recipes.schema import SampleMetric

BASELINE = 4
"""Length of the n-grams of the model beside the generator."""

_NGRAMS = (1, 2, 3, 4)
_MAX_COMPARED = 1000  # generated, and held-out, by edit distance

_Values = list[tuple[str, str, float]]  # name, protocol, value


@dataclass(frozen=True)
class Texts:
    """Strings to compare.

    Attributes:
        generated: Generated strings.
        held_out: Strings held out from training, in the order of the draw.
        train: The training strings, in the order of the draw.
        held_out_name: Name of the held-out strings.
        train_name: Name of the training strings.
    """

    generated: list[str]
    held_out: list[str]
    train: list[str]
    held_out_name: str
    train_name: str


def texts_of(column: Column, codes: NDArray[np.float32], held_out: Dataset, train: Dataset) -> Texts:
    """Return the strings to compare.

    Args:
        column: The column of strings.
        codes: float32[n, length], generated, of seeds from 0.
        held_out: Strings held out from training.
        train: The training strings.
    """
    held_out_texts, train_texts = (column.values(part.samples[part.draw_order]) for part in (held_out, train))
    return Texts(column.values(codes), held_out_texts, train_texts, held_out.name, train.name)


def measure_texts(texts: Texts, metrics: tuple[SampleMetric, ...], with_draws: bool) -> tuple[Metric, ...]:
    """Return the metrics of strings, and with draws also those of a model of n-grams of the training strings.

    Args:
        texts: The strings.
        metrics: `marginals` measures n-grams and lengths; `records` measures real strings and copies.
        with_draws: Whether to measure also real data and the model of n-grams, for intervals and standard errors.
    """
    n = len(texts.generated)
    real = RealStrings(texts, n) if with_draws else None
    found = _measure(texts, texts.generated, f"seeds 0-{n - 1}", metrics, real)
    if real is None:
        return found
    model = NgramModel(texts.train, BASELINE).draw(n)
    name = f"{n:,} strings of a {BASELINE}-gram model of the training strings"
    baseline = _measure(texts, model, name, metrics, real)
    return (
        *found,
        *(each.model_copy(update={"metric": f"{each.metric} of a {BASELINE}-gram model"}) for each in baseline),
    )


class RealStrings:
    """Scores of real strings in place of generated strings. They serve the generator and the model of n-grams.

    Args:
        texts: The strings.
        n: Number of generated strings.
    """

    def __init__(self, texts: Texts, n: int) -> None:
        self._texts, self._n = texts, n

    @cached_property
    def distributions(self) -> list[tuple[Metric, ...]]:
        """The scores of `_distributions` for each draw."""
        both = [*self._texts.train[: self._n], *self._texts.held_out]
        return [_compare(*_split(both, order, self._n), "") for order in random_orders(len(both), CHEAP_DRAWS)]

    @cached_property
    def distinct(self) -> list[tuple[Metric, ...]]:
        """The share of different strings for each draw."""
        both = [*self._texts.train, *self._texts.held_out]
        parts = (_split(both, order, self._n)[0] for order in random_orders(len(both), CHEAP_DRAWS))
        return [_metrics([("distinct-share", "", len(set(part)) / self._n)], self._n) for part in parts]

    @cached_property
    def copies(self) -> list[tuple[Metric, ...]]:
        """The share of training strings for each draw."""
        trained = {*self._texts.train}
        copied = np.array([text in trained for text in self._texts.held_out])
        rows = resamples(len(copied), self._n, CHEAP_DRAWS)
        return [_metrics([("exact-copies", "", float(copied[each].mean()))], self._n) for each in rows]

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Edit distances of the first held-out strings to the closest training string."""
        return closest_strings(self._texts.held_out[:_MAX_COMPARED], self._texts.train)[0]


def _measure(
    texts: Texts, strings: list[str], origin: str, metrics: tuple[SampleMetric, ...], real: RealStrings | None
) -> tuple[Metric, ...]:
    found: tuple[Metric, ...] = ()
    if "marginals" in metrics:
        protocol = f"{DRAW}; {origin} against {texts.held_out_name}, {len(texts.held_out):,} strings"
        scores = _compare(strings, texts.held_out, protocol)
        found += scores if real is None else with_intervals(scores, real.distributions)
    if "records" in metrics:
        scores = _real_strings(texts, strings, origin)
        found += scores if real is None else with_intervals(scores, real.distinct) + _copies(texts, strings, origin, real)
    return found


def _compare(strings: list[str], held_out: list[str], protocol: str) -> tuple[Metric, ...]:
    values: _Values = [
        (
            f"{k}-gram-divergence",
            f"{protocol}; Jensen-Shannon divergence of the {k}-grams of characters, with starts and ends, in bits",
            jensen_shannon(count_ngrams(strings, k), count_ngrams(held_out, k)),
        )
        for k in _NGRAMS
    ]
    a, b = (np.array([[len(text)] for text in part], np.float32) for part in (strings, held_out))
    values.append(("kolmogorov-smirnov of length", protocol, float(kolmogorov_smirnov(a, b)[0])))
    return _metrics(values, len(strings))


def _split(strings: list[str], order: NDArray[np.int64], n: int) -> tuple[list[str], list[str]]:
    drawn = [strings[i] for i in order.tolist()]
    return drawn[:n], drawn[n:]


def _real_strings(texts: Texts, strings: list[str], origin: str) -> tuple[Metric, ...]:
    """Return the shares of real and of different strings. All are 1 for real data without repetitions."""
    trained, held_out = {*texts.train}, {*texts.held_out}
    n = len(strings)
    return _metrics(
        [
            (
                "real-share",
                f"{DRAW}; share of {origin} that are strings of the data, in {texts.train_name} or {texts.held_out_name}",
                sum(text in trained or text in held_out for text in strings) / n,
            ),
            (
                "unseen-real-share",
                f"{DRAW}; share of {origin} that are strings of {texts.held_out_name}, but not of {texts.train_name}",
                sum(text in held_out and text not in trained for text in strings) / n,
            ),
            ("distinct-share", f"{DRAW}; number of different strings over the number of {origin}", len(set(strings)) / n),
        ],
        n,
    )


def _copies(texts: Texts, strings: list[str], origin: str, real: RealStrings) -> tuple[Metric, ...]:
    """Return exact copies of training strings, and edit distances to the closest training string."""
    trained = {*texts.train}
    text = f"{DRAW}; share of {origin} that are equal to a training string ({texts.train_name})"
    share = sum(each in trained for each in strings) / len(strings)
    found = with_intervals(_metrics([("exact-copies", text, share)], len(strings)), real.copies)
    made, held_out = closest_strings(strings[:_MAX_COMPARED], texts.train)[0], real.distances
    pair = (
        f"the first {len(made):,} of {origin} and their closest training strings ({texts.train_name}, {len(texts.train):,} "
        f"strings) against {len(held_out):,} of {texts.held_out_name}; edit distance"
    )

    def compare(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[Metric, ...]:
        value, error = copying(a, b)
        rows: list[tuple[str, str, float, float | None]] = [
            ("edit-distance", "mean number of edits to the closest training string", float(a.mean()), None),
            ("closest-record", "chance that a generated string is nearer than a real string", value, error),
            ("closest-record-near", "share nearer than 99% of real strings", near_share(a, b), None),
        ]
        return tuple(
            Metric(metric=name, protocol=f"{DRAW}; {what}; {pair}", value=number, samples=len(a), standard_error=each)
            for name, what, number, each in rows
        )

    n, m = len(made), len(held_out)
    pairs = zip(resamples(m, n, CHEAP_DRAWS), resamples(m, m, CHEAP_DRAWS, stream=1), strict=True)
    return found + with_intervals(compare(made, held_out), [compare(held_out[a], held_out[b]) for a, b in pairs])


def _metrics(values: _Values, samples: int) -> tuple[Metric, ...]:
    return tuple(Metric(metric=name, protocol=text, value=value, samples=samples) for name, text, value in values)
