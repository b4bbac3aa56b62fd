"""The possible values of each metric.

An interval from real-against-real draws is symmetric around their mean, so that its ends can be impossible values. Reports, the
terminal and the explorer show the interval within the possible values; cards and JSON documents keep the computed ends.
"""

import math

from seedmint.models.provenance import Metric

_ANY = (-math.inf, math.inf)
_SHARE = (0.0, 1.0)
_NOT_NEGATIVE = (0.0, math.inf)

# The explorer has the same table in service/api/static/explorer/metrics.js; a test compares them.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("label-accuracy", "precision", "recall", "coverage", "copying", "copying-near"), _SHARE),
    **dict.fromkeys(("closest-record", "closest-record-near", "nearer-to-training", "exact-copies"), _SHARE),
    **dict.fromkeys(("kolmogorov-smirnov", "total-variation", "contingency-difference", "detection-auc"), _SHARE),
    **dict.fromkeys(("high-quality-share", "mode-share", "mode-ks"), _SHARE),
    **dict.fromkeys(("frechet", "random-conv", "class-kl", "mode-kl", "density", "patches"), _NOT_NEGATIVE),
    **dict.fromkeys(("spectrum-difference", "wasserstein-1", "closest-record median"), _NOT_NEGATIVE),
    **dict.fromkeys(("mode-width", "mode-offset", "distinct-values"), _NOT_NEGATIVE),
    **dict.fromkeys(("correlation-difference", "channel-correlation-difference", "autocorrelation-difference"), (0.0, 2.0)),
    "discriminative-score": (0.0, 0.5),
    "predictive-score": _NOT_NEGATIVE,
    **dict.fromkeys((f"{n}-gram-divergence" for n in (1, 2, 3, 4)), _SHARE),
    **dict.fromkeys(("real-share", "unseen-real-share", "distinct-share"), _SHARE),
    "edit-distance": _NOT_NEGATIVE,
    "modes": _NOT_NEGATIVE,
    "spectrum-high": (-1.0, math.inf),
    "train-on-generated": (-math.inf, 1.0),  # an R² has no lower limit
    **dict.fromkeys(("kid", "copying-cells", "closest-record-cells", "parzen-log-likelihood"), _ANY),
}
"""The smallest and the largest possible value, by the beginning of a metric's name. The longest beginning counts."""


def shown_interval(metric: Metric) -> tuple[float, float] | None:
    """Return the interval of a metric within its possible values; None if it was not measured.

    Args:
        metric: A metric. If its name is unknown, all values are possible.
    """
    if metric.interval is None:
        return None
    beginning = max((name for name in RANGES if metric.metric.startswith(name)), key=len, default=None)
    lowest, highest = _ANY if beginning is None else RANGES[beginning]
    low, high = (min(max(end, lowest), highest) for end in metric.interval)
    return low, high
