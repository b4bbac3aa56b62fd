"""Decides which checkpoint of a run is the best, by one metric."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from seedmint.models.provenance import Metric
from seedmint.training.recipes.schema import BestMetric


class _Criterion(NamedTuple):
    """Attributes:
    prefix: Beginning of the metric's name; the first metric with this beginning counts.
    higher_is_better: Whether a larger value is better.
    """

    prefix: str
    higher_is_better: bool


_CRITERIA: dict[BestMetric, _Criterion] = {
    "parzen": _Criterion("parzen-log-likelihood", True),
    "frechet": _Criterion("frechet", False),
    "kid": _Criterion("kid", False),
    "prdc": _Criterion("coverage", True),
    "labels": _Criterion("label-accuracy", True),
    "modes": _Criterion("modes", True),
    "spectrum": _Criterion("spectrum-difference", False),
    "patches": _Criterion("patches", False),
    "random-features": _Criterion("random-conv-v1-frechet", False),
}


class Best(NamedTuple):
    """The best measurement of a run.

    Attributes:
        metric: The family that decides; see `BestMetric`.
        value: Its best value.
        step: Step of the best value.
        waited: Number of measurements since.
    """

    metric: str
    value: float
    step: int
    waited: int


def update_best(best: Best | None, family: BestMetric, metrics: Sequence[Metric], step: int) -> Best | None:
    """Return the best measurement after a new measurement. Its `step` is the current step if the new value is better.

    Args:
        best: The best measurement before; ignored if another family decided.
        family: The family that decides.
        metrics: The new measurements.
        step: The current step.
    """
    prefix, higher_is_better = _CRITERIA[family]
    value = next((metric.value for metric in metrics if metric.metric.startswith(prefix)), None)
    if best is not None and best.metric != family:
        best = None
    if value is None:
        return best
    if best is None or (value > best.value if higher_is_better else value < best.value):
        return Best(family, value, step, 0)
    return best._replace(waited=best.waited + 1)


def best_of_document(document: Any) -> Best | None:
    """Return the best measurement from the JSON values in a checkpoint.

    Args:
        document: A list of the four values, or None.
    """
    return None if document is None else Best(*document)
