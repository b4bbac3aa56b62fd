"""Progress of a run, as data."""

from dataclasses import dataclass, field
from typing import Literal

from seedmint.models.provenance import Metric
from seedmint.training.runs.diagnostics import Diagnostic

HELD_OUT_JSD = "JSD held out"
"""Name of the JSD estimate on held-out data. `JSD` minus this is D's overfitting."""

HELD_OUT_JSD_ERROR = "JSD held out, standard error"
"""Name of the standard error of `HELD_OUT_JSD`, from the numbers of training and of held-out examples that D is compared on."""

RATES = ("images/s", "samples/s")
"""Names of the number of training examples per second: the name depends on the data."""


@dataclass(frozen=True)
class ProgressEvent:
    """One event of a run. Each event carries statistics, metrics, diagnostics or strings; the other fields are empty.

    Attributes:
        step: Number of finished iterations.
        statistics: Means since the last event with statistics, by name: `V`, `D(x)`, `D(G(z))`, and one of `RATES`; `JSD`,
            `HELD_OUT_JSD` and `HELD_OUT_JSD_ERROR` in nats, if the objective estimates it; and `p`, the probability of ADA.
        metrics: Metrics measured at this step.
        weights: The generator's weights that `metrics` describe.
        diagnostics: Conditions found at this step.
        texts: Strings of the first seeds, from a preview.
    """

    step: int
    statistics: dict[str, float] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    weights: Literal["last", "ema"] = "last"
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: tuple[str, ...] = ()
