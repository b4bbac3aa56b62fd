"""Loads series for training: missing values, windows, and one array of the length of the longest series."""

from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
from numpy.typing import NDArray

from seedmint.models.card import MAX_VALUES
from seedmint.models.runtime.memory import container_memory
from seedmint.training.datasets.dataset import DataError, Dataset, SeriesInfo
from seedmint.training.datasets.series.files import read_series
from seedmint.training.datasets.series.missing import find_missing, resolve_missing, without_empty_ends
from seedmint.training.datasets.series.raw import OneSeries, RawSeries
from seedmint.training.datasets.series.windows import cut_windows, plan_windows
from seedmint.training.recipes.data import Data

_COPIES = 2  # of the samples: in their own units, and standardized for the networks


def load_series(data: Data) -> Dataset:
    """Return all series of a source as float32[n, length, channels].

    Args:
        data: The section `data` of a recipe, with source `series`.

    Raises:
        DataError: The path does not exist, or an array, a column or a value is wrong; or the series need more memory than
            is free.
    """
    return dataset_of(without_empty_ends(read_series(data)), data)


def dataset_of(raw: RawSeries, data: Data) -> Dataset:
    """Return series as a data set.

    Args:
        raw: Series without empty steps at their ends.
        data: The section `data` of a recipe.

    Raises:
        DataError: See `load_series`.
    """
    resolved = resolve_missing(raw, data.missing)
    is_masked = bool(find_missing(resolved))
    notes = resolved.notes
    if data.window is None:
        series, groups = resolved.series, None
    else:
        windows, window_notes = plan_windows(resolved, data.window, data.stride, data.holdout)
        check_memory(sum(windows.counts), data.window, len(raw.names))
        series, groups = cut_windows(windows)
        notes = (*notes, *window_notes)
        if is_masked:
            series, groups, notes = _with_values(series, groups, notes)
    lengths = {len(one.values) for one in series}
    longest = max(lengths)
    check_memory(len(series), longest, len(raw.names))
    values = np.full((len(series), longest, len(raw.names)), np.nan, np.float32)
    for i, one in enumerate(series):
        values[i, : len(one.values)] = one.values
    values[np.isnan(values)] = np.nan  # the same bits on every machine, for the digest
    labels = None if raw.classes is None else np.array([one.label for one in series], np.int64)
    units = data.units or {}
    unknown = [name for name in units if name not in (*raw.names, None if raw.layout is None else raw.layout.time)]
    if unknown:
        message = f"{unknown[0]!r} is none of the channels {', '.join(raw.names)}"
        raise DataError(message, field="data.units", reason="no_such_column")
    known = tuple(units.get(name) for name in raw.names)
    info = SeriesInfo(known if any(known) else None, raw.step, len(lengths) > 1, is_masked, notes)
    return Dataset(Path(str(data.path)).stem, values, labels, raw.classes, data.licence, raw.names, None, None, info, groups)


def memory_bytes(count: int, length: int, channels: int) -> int:
    """Return the memory that series need during the training, in bytes.

    Args:
        count: Number of series or windows.
        length: Length of the longest, in steps.
        channels: Number of channels.
    """
    return _COPIES * 4 * count * length * channels


def check_memory(count: int, length: int, channels: int) -> None:
    """Refuse series that are too long, or that do not fit into the free memory, before they are copied.

    Args:
        count: Number of series or windows.
        length: Length of the longest, in steps.
        channels: Number of channels.

    Raises:
        DataError: They are too long, or too many.
    """
    if length * channels > MAX_VALUES:
        message = (
            f"a series of {length:,} steps and {channels:,} channels has more than {MAX_VALUES:,} values: set a window of at "
            f"most {MAX_VALUES // channels:,} steps"
        )
        raise DataError(message, field="data.window", reason="too_long")
    needed, free = memory_bytes(count, length, channels), int(psutil.virtual_memory().available)
    container = container_memory()
    free = free if container is None else min(free, container.limit - container.working_set)
    if needed > free:
        message = (
            f"{count:,} series of {length:,} steps and {channels:,} channels need {needed / 1e9:.3g} GB, and {free / 1e9:.3g} "
            "GB are free: set a larger stride or a smaller window"
        )
        raise DataError(message, field="data.stride", reason="too_large")


def _with_values(
    series: list[OneSeries], groups: NDArray[np.int64], notes: tuple[str, ...]
) -> tuple[list[OneSeries], NDArray[np.int64], tuple[str, ...]]:
    """Return the windows that have a value."""
    kept = np.array([bool(np.isfinite(one.values).any()) for one in series])
    if kept.all():
        return series, groups, notes
    note = f"left out: {int((~kept).sum()):,} windows without values"
    return [one for one, keep in zip(series, kept.tolist(), strict=True) if keep], groups[kept], (*notes, note)
