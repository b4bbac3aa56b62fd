"""What the theory says goes wrong, noticed in what a run reports anyway."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seedmint.training.recipes.schema import Watch

EXAMPLES = 1000  # of the data, at most, whose pairwise distance generated examples are held against


@dataclass(frozen=True)
class Note:
    """Something noticed: a word for programs, a line for people, and whether it is a warning."""

    kind: str
    text: str
    warning: bool = True


class Diagnostics:
    """Counts how many reports in a row show the same trouble, and tells it once when they are enough.

    Args:
        watch: what counts as trouble, and how many are enough.
        counts: where to go on counting, as `counts` was; None begins.
    """

    def __init__(self, watch: Watch, counts: dict[str, int] | None = None) -> None:
        self._watch = watch
        self.counts = dict(counts or {})

    @property
    def at_equilibrium(self) -> bool:
        """Whether D has not told data from generated examples for `watch.reports` reports, and does not now."""
        return self.counts.get("equilibrium", 0) >= self._watch.reports

    def statistics(self, real: float, fake: float) -> tuple[Note, ...]:
        """What a report's mean D(x) and D(G(z)) show.

        Saturation: where D is sure, log(1 - D(G(z))) is flat and G learns next to nothing (Goodfellow et al., 2014, section 3).
        Equilibrium: D = 1/2 everywhere, as it is at p_g = p_data (theorem 1), and also where D is too weak to tell.
        """
        watch, found = self._watch, []
        lasted = f"in {watch.reports} reports in a row, now D(x) {real:.3f}, D(G(z)) {fake:.3f}"
        if self._enough("saturated", real > 1 - watch.saturation and fake < watch.saturation, watch.reports):
            found.append(
                Note("saturated", f"D is saturated {lasted}: G hardly learns; try a lower rule.discriminator.learning_rate")
            )
        if self._enough("equilibrium", max(abs(real - 0.5), abs(fake - 0.5)) <= watch.epsilon, watch.reports):
            found.append(Note("equilibrium", f"equilibrium {lasted}: D does not tell data from generated", warning=False))
        return tuple(found)

    def preview(self, diversity: float) -> tuple[Note, ...]:
        """What a preview's diversity, a fraction of the data's, shows: collapse is G making few images for all z."""
        if not self._enough("collapsed", diversity < self._watch.collapse, self._watch.previews):
            return ()
        text = (
            f"G is collapsing: in {self._watch.previews} previews in a row, generated examples differ among each other less "
            f"than {self._watch.collapse} times as much as the data do, now {diversity:.3f} times"
        )
        return (Note("collapsed", text),)

    def _enough(self, kind: str, so: bool, reports: int) -> bool:
        """Whether this report is the one that makes the row long enough."""
        self.counts[kind] = self.counts.get(kind, 0) + 1 if so else 0
        return self.counts[kind] == reports


class Diversity:
    """How different generated examples are from each other, the data being 1.

    Args:
        data: [n, …], of which some, evenly spaced, are looked at.
        labels: int64[n], or None.
    """

    def __init__(self, data: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        rows = np.linspace(0, len(data) - 1, min(len(data), EXAMPLES)).astype(np.int64)
        self._data = spread(data[rows], None if labels is None else labels[rows])

    def of(self, generated: NDArray[Any], labels: NDArray[np.int64] | None) -> float | None:
        """The `spread` of [n, …] generated examples over that of the data; None where one of them has none."""
        found = spread(generated, labels)
        return found / self._data if found is not None and self._data else None


def spread(examples: NDArray[Any], labels: NDArray[np.int64] | None) -> float | None:
    """The mean Euclidean distance of two examples; with labels, of two with the same label, so that a generator that makes one
    image a class does not look diverse.

    Args:
        examples: [n, …] of any type.
        labels: int64[n], or None.

    Returns:
        the distance, in the examples' unit; None where there is no such pair.
    """
    pairs = np.triu(np.ones((len(examples), len(examples)), dtype=bool), 1)
    if labels is not None:
        pairs &= labels[:, None] == labels
    if not pairs.any():
        return None
    flat = torch.from_numpy(examples.reshape(len(examples), -1).astype(np.float64))
    return float(torch.cdist(flat, flat).numpy()[pairs].mean())
