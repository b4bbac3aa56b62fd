"""Series as they stand in files: one array for each series, with the rows of the file, for error messages."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.datasets.series.layout import Layout


@dataclass(frozen=True)
class OneSeries:
    """One series.

    Attributes:
        name: Its value in the column of series, its file, or its row.
        values: float64[length, channels], NaN where a value is missing.
        where: The file.
        rows: Row of the file of each step, from 1, or 0 for a step that the file does not have, int64[length]; None if the
            series is one row of the file.
        label: Number of its class, or -1.
    """

    name: str
    values: NDArray[np.float64]
    where: str
    rows: NDArray[np.int64] | None = None
    label: int = -1

    def position(self, step: int) -> str:
        """Return the place of a step, for people.

        Args:
            step: Number of the step, from 0.
        """
        if self.rows is None:
            return f"step {step + 1} of {self.name} of {self.where}"
        row = int(self.rows[step])
        place = f"row {row}" if row else "a step between the rows"
        return f"{place} of {self.where}" + (f" (series {quoted(self.name)})" if self.name else "")

    def part(self, start: int, stop: int) -> "OneSeries":
        """Return some steps.

        Args:
            start: The first step.
            stop: The step after the last.
        """
        return replace(self, values=self.values[start:stop], rows=None if self.rows is None else self.rows[start:stop])


@dataclass(frozen=True)
class RawSeries:
    """All series of a source.

    Attributes:
        series: The series.
        names: Names of the channels.
        classes: Names of the classes, or None.
        step: The time from one step to the next, for people; None if unknown.
        notes: Lines for people: what each column was taken for.
        layout: The columns of series and of times, of a table in long format; None otherwise.
    """

    series: list[OneSeries]
    names: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    step: str | None = None
    notes: tuple[str, ...] = ()
    layout: Layout | None = None

    @property
    def longest(self) -> int:
        """Length of the longest series, in steps; 0 without series."""
        return max((len(one.values) for one in self.series), default=0)
