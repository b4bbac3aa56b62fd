"""Measures a generator of strings: n-grams, lengths, real strings and copies, beside a model of n-grams of the data."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    seeds = f"seeds 0-{len(texts.generated) - 1}"
    found = _measure(texts, texts.generated, seeds, metrics, with_draws)
    if not with_draws:
        return found
    model = NgramModel(texts.train, BASELINE).draw(len(texts.generated))
    name = f"{len(model):,} strings of a {BASELINE}-gram model of the training strings"
    baseline = _measure(texts, model, name, metrics, with_draws)
    return (
        *found,
        *(each.model_copy(update={"metric": f"{each.metric} of a {BASELINE}-gram model"}) for each in baseline),
    )


def _measure(
    texts: Texts, strings: list[str], origin: str, metrics: tuple[SampleMetric, ...], with_draws: bool
) -> tuple[Metric, ...]:
    found: tuple[Metric, ...] = ()
    if "marginals" in metrics:
        found += _distributions(texts, strings, origin, with_draws)
    if "records" in metrics:
        found += _real_strings(texts, strings, origin, with_draws)
        if with_draws:
            found += _copies(texts, strings, origin)
    return found


def _distributions(texts: Texts, strings: list[str], origin: str, with_draws: bool) -> tuple[Metric, ...]:
    n, held_out = len(strings), texts.held_out
    protocol = f"{DRAW}; {origin} against {texts.held_out_name}, {len(held_out):,} strings"

    def compare(a: Sequence[str], b: Sequence[str]) -> tuple[Metric, ...]:
        values: _Values = [
            (
                f"{k}-gram-divergence",
                f"{protocol}; Jensen-Shannon divergence of the {k}-grams of characters, with starts and ends, in bits",
                jensen_shannon(count_ngrams(a, k), count_ngrams(b, k)),
            )
            for k in _NGRAMS
        ]
        lengths = [np.array([len(text) for text in part], np.float32)[:, None] for part in (a, b)]
        values.append(("kolmogorov-smirnov of length", protocol, float(kolmogorov_smirnov(*lengths)[0])))
        return _metrics(values, n)

    found = compare(strings, held_out)
    if not with_draws:
        return found
    both = [*texts.train[:n], *held_out]
    return with_intervals(found, [compare(*_split(both, order, n)) for order in random_orders(len(both), CHEAP_DRAWS)])


def _split(strings: Sequence[str], order: NDArray[np.int64], n: int) -> tuple[list[str], list[str]]:
    drawn = [strings[i] for i in order]
    return drawn[:n], drawn[n:]


def _real_strings(texts: Texts, strings: list[str], origin: str, with_draws: bool) -> tuple[Metric, ...]:
    """Return the shares of real and of different strings. All are 1 for real data without repetitions."""
    known, trained = {*texts.train, *texts.held_out}, {*texts.train}
    n = len(strings)
    values: _Values = [
        (
            "real-share",
            f"{DRAW}; share of {origin} that are strings of the data, in {texts.train_name} or {texts.held_out_name}",
            float(np.mean([text in known for text in strings])),
        ),
        (
            "unseen-real-share",
            f"{DRAW}; share of {origin} that are strings of {texts.held_out_name}, but not of {texts.train_name}",
            float(np.mean([text in known and text not in trained for text in strings])),
        ),
        ("distinct-share", f"{DRAW}; number of different strings over the number of {origin}", len(set(strings)) / n),
    ]
    found = _metrics(values, n)
    if not with_draws:
        return found
    both = [*texts.train, *texts.held_out]
    draws = [
        _metrics([("distinct-share", "", len(set(_split(both, order, n)[0])) / n)], n)
        for order in random_orders(len(both), CHEAP_DRAWS)
    ]
    return with_intervals(found, draws)


def _copies(texts: Texts, strings: list[str], origin: str) -> tuple[Metric, ...]:
    """Return exact copies of training strings, and edit distances to the closest training string."""
    held_out, trained = texts.held_out, {*texts.train}
    copied = np.array([text in trained for text in held_out])
    draws = [_metrics([("exact-copies", "", float(copied[rows].mean()))], 1) for rows in _rows(len(held_out), len(strings))]
    text = f"{DRAW}; share of {origin} that are equal to a training string ({texts.train_name})"
    share = float(np.mean([each in trained for each in strings]))
    found = with_intervals(_metrics([("exact-copies", text, share)], len(strings)), draws)
    made, _ = closest_strings(strings[:_MAX_COMPARED], texts.train)
    real, _ = closest_strings(held_out[:_MAX_COMPARED], texts.train)
    pair = (
        f"the first {len(made):,} of {origin} and their closest training strings ({texts.train_name}, {len(texts.train):,} "
        f"strings) against {len(real):,} of {texts.held_out_name}; edit distance"
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

    n, m = len(made), len(real)
    pairs = zip(_rows(m, n), resamples(m, m, CHEAP_DRAWS, stream=1), strict=True)
    return found + with_intervals(compare(made, real), [compare(real[a], real[b]) for a, b in pairs])


def _rows(n: int, size: int) -> list[NDArray[np.int64]]:
    return list(resamples(n, size, CHEAP_DRAWS))


def _metrics(values: _Values, samples: int) -> tuple[Metric, ...]:
    return tuple(Metric(metric=name, protocol=text, value=value, samples=samples) for name, text, value in values)
