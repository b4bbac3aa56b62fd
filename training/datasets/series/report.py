"""Describes series for people, and chooses the settings that a recipe for them needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seedmint.models.series import series_lengths
from seedmint.training.datasets.dataset import Dataset
from seedmint.training.datasets.series.files import read_series
from seedmint.training.datasets.series.load import dataset_of, memory_bytes
from seedmint.training.datasets.series.missing import MissingValues, find_missing, without_empty_ends
from seedmint.training.datasets.series.raw import RawSeries
from seedmint.training.recipes.data import Data

_MAX_LENGTH = 1024  # longer series are cut into windows
_WINDOW = 64
_MIN_SERIES = 20  # fewer series are cut into windows
_MIN_WINDOWS = 10  # of a series, one after the other
_MIN_WINDOW = 8
_MAX_INTERPOLATED = 0.05  # share of missing values up to which they are interpolated


@dataclass(frozen=True)
class SeriesReport:
    """Series that are ready to be learned.

    Attributes:
        data: The section `data` of a recipe, with `window` and `missing` where the series need them.
        dataset: All series or windows.
        missing: The missing values of the file.
    """

    data: Data
    dataset: Dataset
    missing: list[MissingValues]

    def lines(self) -> list[str]:
        """Return the summary: the series, each channel, and notes."""
        assert self.dataset.series is not None
        info, samples = self.dataset.series, self.dataset.samples
        low, high = self._lengths()
        length = f"{high} steps" if low == high else f"{low} to {high} steps"
        kind = "series" if self.data.window is None else "windows"
        lines = [f"{self.data.path}: {len(self.dataset):,} {kind} of {length}, one in five held out"]
        lines[0] += "" if info.step is None else f"; a step is {info.step}"
        names = self.dataset.names or ()
        width = max(map(len, names))
        missing = {each.name: each for each in self.missing}
        for i, name in enumerate(names):
            unit = "" if info.units is None or info.units[i] is None else f" {info.units[i]}"
            limits = f"{float(np.nanmin(samples[:, :, i])):g} to {float(np.nanmax(samples[:, :, i])):g}{unit}"
            found = missing.get(name)
            more = "" if found is None else f", {found.count:,} missing ({found.share:.1%}), the first in {found.first}"
            lines.append(f"  {name.ljust(width)}  channel, {limits}{more}")
        if self.dataset.classes is not None:
            lines.append(f"  label: {len(self.dataset.classes)} classes")
        if self.missing:
            chosen = "a line between their neighbors" if self.data.missing == "interpolate" else "not learned (mask)"
            lines.append(f"  missing values: {chosen}; data.missing chooses interpolate or mask")
        lines += [f"  note: {note}" for note in info.notes]
        megabytes = memory_bytes(len(self.dataset), *samples.shape[1:]) / 1e6
        return [*lines, f"  memory of the series in the training: {megabytes:,.1f} MB"]

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        assert self.dataset.series is not None
        low, high = self._lengths()
        return {
            "path": self.data.path,
            "series": len(self.dataset),
            "lengths": [low, high],
            "channels": list(self.dataset.names or ()),
            "units": self.dataset.series.units,
            "step": self.dataset.series.step,
            "classes": self.dataset.classes,
            "window": self.data.window,
            "missing": {each.name: {"count": each.count, "first": each.first} for each in self.missing},
            "missing_values": self.data.missing,
            "memory_bytes": memory_bytes(len(self.dataset), *self.dataset.samples.shape[1:]),
            "notes": list(self.dataset.series.notes),
        }

    def _lengths(self) -> tuple[int, int]:
        assert self.dataset.series is not None
        samples = self.dataset.samples
        shortest = int(series_lengths(samples).min()) if self.dataset.series.has_lengths else samples.shape[1]
        return shortest, samples.shape[1]


def inspect_series(data: Data) -> SeriesReport:
    """Read series, and choose a window and what happens to missing values, unless the section sets them.

    Args:
        data: The section `data` of a recipe, with source `series`.

    Raises:
        DataError: See `seedmint.training.datasets.series.load.load_series`.
    """
    raw = without_empty_ends(read_series(data))
    missing = find_missing(raw)
    changes: dict[str, Any] = {}
    if raw.layout is not None:
        changes = {"layout": "long", "id": raw.layout.id, "time": raw.layout.time}
    if data.window is None and (window := _window(raw)) is not None:
        changes["window"] = window
    if missing and data.missing is None:
        share = sum(each.count for each in missing) / sum(one.values.size for one in raw.series)
        can_interpolate = all((~np.isnan(one.values)).any(axis=0).all() for one in raw.series)
        changes["missing"] = "interpolate" if share <= _MAX_INTERPOLATED and can_interpolate else "mask"
    data = data.model_copy(update=changes)
    return SeriesReport(data, dataset_of(raw, data), missing)


def _window(raw: RawSeries) -> int | None:
    """Return the length of windows for few or long series; None if the series are learned whole."""
    if len(raw.series) >= _MIN_SERIES and raw.longest <= _MAX_LENGTH:
        return None
    window = _WINDOW
    while window > _MIN_WINDOW and window * _MIN_WINDOWS > raw.longest:
        window //= 2
    return window if window * 2 <= raw.longest else None
