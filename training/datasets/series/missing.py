"""Missing values of series: where they are, and the choice of `data.missing`."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import quoted
from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.series.raw import OneSeries, RawSeries
from seedmint.training.recipes.data import Missing

_SHOWN = 4  # channels in an error


@dataclass(frozen=True)
class MissingValues:
    """The missing values of a channel.

    Attributes:
        name: Name of the channel.
        count: Number of missing values.
        share: Their share of the channel.
        first: The place of the first, for people.
    """

    name: str
    count: int
    share: float
    first: str


def find_missing(raw: RawSeries) -> list[MissingValues]:
    """Return the missing values of each channel that has some.

    Args:
        raw: Series without empty steps at their ends.
    """
    total = sum(len(one.values) for one in raw.series)
    found = []
    for channel, name in enumerate(raw.names):
        counts = [int(np.isnan(one.values[:, channel]).sum()) for one in raw.series]
        if any(counts):
            one = raw.series[next(i for i, count in enumerate(counts) if count)]
            first = one.position(int(np.flatnonzero(np.isnan(one.values[:, channel]))[0]))
            found.append(MissingValues(name, sum(counts), sum(counts) / total, first))
    return found


def without_empty_ends(raw: RawSeries) -> RawSeries:
    """Return series without the steps at their ends that have no value, and without series that have none.

    Args:
        raw: The series.

    Raises:
        DataError: No series has a value.
    """
    series, empty = [], []
    for one in raw.series:
        known = np.flatnonzero(~np.isnan(one.values).all(axis=1))
        if len(known):
            series.append(one.part(0, int(known[-1]) + 1))
        else:
            empty.append(one)
    if not series:
        raise DataError("the series have no values", field="data.path", reason="empty_series")
    notes = raw.notes
    if empty:
        first = empty[0]
        notes = (*notes, f"left out: {len(empty):,} series without values, the first is {first.name} of {first.where}")
    return replace(raw, series=series, notes=notes)


def resolve_missing(raw: RawSeries, choice: Missing | None) -> RawSeries:
    """Return series whose missing values are interpolated, or kept as NaN, as the recipe says.

    Args:
        raw: Series without empty steps at their ends.
        choice: `interpolate`, `mask`, or None, with which a missing value is an error.

    Raises:
        DataError: Values are missing without a choice, or a channel of a series has no value to interpolate.
    """
    missing = find_missing(raw)
    if not missing or choice == "mask":
        return raw
    if choice is None:
        places = "; ".join(
            f"column {quoted(each.name)}: {each.count:,}, the first in {each.first}" for each in missing[:_SHOWN]
        )
        more = f"; and {len(missing) - _SHOWN} more columns" if len(missing) > _SHOWN else ""
        message = (
            f"values are missing: {places}{more}. Set interpolate (lines between neighbors) or mask (they are not learned), "
            "or correct the file"
        )
        raise DataError(message, field="data.missing", reason="missing_value")
    return replace(raw, series=[_interpolated(one, raw.names) for one in raw.series])


def _interpolated(one: OneSeries, names: tuple[str, ...]) -> OneSeries:
    values: NDArray[np.float64] = one.values.copy()
    steps = np.arange(len(values))
    for channel, name in enumerate(names):
        known = ~np.isnan(values[:, channel])
        if not known.any():
            message = (
                f"column {quoted(name)} has no value in series {quoted(one.name)} of {one.where}: remove the series, leave the "
                "column out, or set mask"
            )
            raise DataError(message, field="data.missing", reason="missing_value")
        if not known.all():
            values[:, channel] = np.interp(steps, steps[known], values[known, channel])
    return replace(one, values=values)
