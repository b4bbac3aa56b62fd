"""Detects known failures of GAN training in the statistics and previews of a run."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.recipes.schema import Watch

MAX_EXAMPLES = 1000
"""Number of data examples whose pairwise distances are the reference for diversity."""


@dataclass(frozen=True)
class Diagnostic:
    """A condition found in a run.

    Attributes:
        kind: `saturated`, `equilibrium`, `overfitting`, `collapsed`, `column`, `emulated` or `not_recorded`.
        message: One line for people.
        is_warning: Whether the condition is a failure.
    """

    kind: str
    message: str
    is_warning: bool = True


@dataclass(frozen=True)
class ColumnState:
    """A column of generated rows, compared with the data.

    Attributes:
        distance: See `column_distance`.
        absent: See `absent_share`.
    """

    distance: float
    absent: float


class Diagnostics:
    """Counts consecutive observations of each condition, and reports a condition once when its count reaches the threshold.

    Args:
        watch: The thresholds.
        counts: Counts to continue from; None starts at zero.
    """

    def __init__(self, watch: Watch, counts: dict[str, int] | None = None) -> None:
        self._watch = watch
        self.counts = dict(counts or {})

    @property
    def at_equilibrium(self) -> bool:
        """Whether D(x) and D(G(z)) have been near 1/2 in the last `watch.reports` log entries."""
        return self.counts.get("equilibrium", 0) >= self._watch.reports

    def check_statistics(self, d_real: float, d_fake: float) -> tuple[Diagnostic, ...]:
        """Check one log entry for saturation and equilibrium.

        Saturation: if D is certain, log(1 - D(G(z))) is flat and G hardly learns (Goodfellow et al., 2014, section 3).
        Equilibrium: D = 1/2 everywhere, which holds at p_g = p_data (theorem 1) and also if D is too weak.

        Args:
            d_real: Mean of D(x).
            d_fake: Mean of D(G(z)).

        Returns:
            The conditions whose count reaches the threshold with this entry.
        """
        watch, found = self._watch, []
        evidence = f"in {watch.reports} consecutive log entries, now D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}"
        if self._reaches("saturated", d_real > 1 - watch.saturation and d_fake < watch.saturation, watch.reports):
            message = f"D is saturated {evidence}; G hardly learns: resume with a lower rule.discriminator.learning_rate"
            found.append(Diagnostic("saturated", message))
        if self._reaches("equilibrium", max(abs(d_real - 0.5), abs(d_fake - 0.5)) <= watch.epsilon, watch.reports):
            message = f"equilibrium {evidence}: D does not separate data from generated examples"
            found.append(Diagnostic("equilibrium", message, is_warning=False))
        return tuple(found)

    def check_memorization(self, preference: float) -> tuple[Diagnostic, ...]:
        """Check one log entry for overfitting: D prefers the training examples to held-out examples.

        Args:
            preference: See `HeldOutLogits.preference`.

        Returns:
            The condition, if its count reaches the threshold with this entry.
        """
        watch = self._watch
        if not self._reaches("overfitting", preference > watch.memorization, watch.reports):
            return ()
        message = (
            f"D learns the training examples by heart in {watch.reports} consecutive log entries: it prefers a training "
            f"example to a held-out one with probability {preference:.2f}, above {watch.memorization}; train a new run with "
            "more data, augmentation.kind=ada or a larger penalty.r1, or stop here"
        )
        return (Diagnostic("overfitting", message),)

    def check_diversity(self, diversity: float) -> tuple[Diagnostic, ...]:
        """Check one preview for mode collapse: G generates few different examples.

        Args:
            diversity: Diversity of the preview; 1 is the diversity of the data.

        Returns:
            The condition, if its count reaches the threshold with this preview.
        """
        if not self._reaches("collapsed", diversity < self._watch.collapse, self._watch.previews):
            return ()
        message = (
            f"mode collapse in {self._watch.previews} consecutive previews: the mean distance between generated examples is "
            f"{diversity:.3f} times the mean distance in the data, below {self._watch.collapse}; "
            "resume with a lower rule.generator.learning_rate, or train a new run with a larger penalty.r1"
        )
        return (Diagnostic("collapsed", message),)

    def check_columns(self, columns: dict[str, "ColumnState"]) -> tuple[Diagnostic, ...]:
        """Check one preview of a table for columns that have collapsed: each column is reported once.

        Args:
            columns: The state of each column, by its name.

        Returns:
            A condition for each column whose count reaches the threshold with this preview.
        """
        found, watch = [], self._watch
        for name, state in columns.items():
            if self._reaches(f"column {name}", state.distance > watch.column or state.absent > 0, watch.previews):
                problem = f"its distribution has a distance of {state.distance:.2f} from the data"
                if state.absent:
                    problem += f", and a value of {state.absent:.0%} of the data never occurs"
                message = (
                    f"column {quoted(name)} has collapsed in {watch.previews} consecutive previews: {problem}; train longer, "
                    "or train a new run with a larger m or penalty.r1"
                )
                found.append(Diagnostic("column", message))
        return tuple(found)

    def _reaches(self, kind: str, observed: bool, threshold: int) -> bool:
        """Count one observation. Return whether the count reaches the threshold now."""
        self.counts[kind] = self.counts.get(kind, 0) + 1 if observed else 0
        return self.counts[kind] == threshold


class Diversity:
    """Diversity of generated examples, relative to the data.

    Args:
        data: [n, ...]; up to `MAX_EXAMPLES` of them, evenly spaced, are used.
        labels: int64[n]; None without labels.
    """

    def __init__(self, data: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        rows = np.linspace(0, len(data) - 1, min(len(data), MAX_EXAMPLES)).astype(np.int64)
        self._data_distance = mean_distance(data[rows], None if labels is None else labels[rows])

    def measure(self, generated: NDArray[Any], labels: NDArray[np.int64] | None) -> float | None:
        """Return the `mean_distance` of generated examples divided by that of the data.

        Args:
            generated: [n, ...], in the units of the data.
            labels: int64[n]; None without labels.

        Returns:
            The ratio; None if one of the two distances is undefined or the data's distance is 0.
        """
        distance = mean_distance(generated, labels)
        return distance / self._data_distance if distance is not None and self._data_distance else None


def mean_distance(examples: NDArray[Any], labels: NDArray[np.int64] | None) -> float | None:
    """Return the mean Euclidean distance between two examples.

    With labels, only pairs with the same label count. Otherwise a generator with one image per class would seem diverse.

    Args:
        examples: [n, ...] of any dtype.
        labels: int64[n]; None without labels.

    Returns:
        The distance in the unit of the examples; None if there is no pair.
    """
    pairs = np.triu(np.ones((len(examples), len(examples)), dtype=bool), 1)
    if labels is not None:
        pairs &= labels[:, None] == labels
    if not pairs.any():
        return None
    flat = torch.from_numpy(examples.reshape(len(examples), -1).astype(np.float64))
    return float(torch.cdist(flat, flat).numpy()[pairs].mean())
