"""Windows of long series, and the groups of windows that are held out together.

Windows of the training data and windows of the held-out data never share a step: they are from different series or, with few
series, from different blocks of time, and no window reaches from one block into the next.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.series.raw import OneSeries, RawSeries
from seedmint.training.recipes.data import Holdout

DEFAULT_WINDOWS = 20_000
"""About as many windows are cut without `data.stride`."""

_MIN_SERIES = 10  # with fewer series, blocks of time are held out
_MIN_BLOCKS, _MAX_BLOCKS = 5, 10  # of all series together
_BLOCK_WINDOWS = 4  # length of a block of a long series, in windows
_MIN_GROUPS = 2


@dataclass(frozen=True)
class Windows:
    """Where the windows are.

    Attributes:
        blocks: The series, or their blocks of time. Each block is a group.
        length: Steps of a window.
        stride: Steps from one window to the next.
        holdout: What is held out: whole series, or blocks of time.
    """

    blocks: list[OneSeries]
    length: int
    stride: int
    holdout: Literal["series", "time"]

    @property
    def counts(self) -> list[int]:
        """Number of windows of each block."""
        return [(len(one.values) - self.length) // self.stride + 1 for one in self.blocks]


def plan_windows(raw: RawSeries, length: int, stride: int | None, holdout: Holdout | None) -> tuple[Windows, tuple[str, ...]]:
    """Return the windows of series, and notes. Nothing is copied.

    Args:
        raw: The series.
        length: Steps of a window.
        stride: Steps from one window to the next; None for about `DEFAULT_WINDOWS` windows, or all.
        holdout: `series` or `time`; None for whole series if there are ten of them.

    Raises:
        DataError: No series is long enough, or nothing can be held out.
    """
    long = [one for one in raw.series if len(one.values) >= length]
    short = len(raw.series) - len(long)
    notes = [f"left out: {short:,} series with fewer than {length} steps"] if short else []
    if not long:
        message = f"no series has {length} steps: the longest has {raw.longest}"
        raise DataError(message, field="data.window", reason="too_long")
    kind: Literal["series", "time"] = holdout or ("series" if len(long) >= _MIN_SERIES else "time")
    blocks = long if kind == "series" else _time_blocks(long, length)
    if len(blocks) < _MIN_GROUPS:
        cure = "set a smaller one" if kind == "time" else "set data.holdout=time"
        message = (
            f"windows of {length} steps leave nothing to hold out, because there is one series of {raw.longest} steps: {cure}"
        )
        raise DataError(message, field="data.window", reason="too_few_windows")
    windows = Windows(blocks, length, 1, kind)
    step = stride or max(1, sum(windows.counts) // DEFAULT_WINDOWS)
    windows = replace(windows, stride=step)
    every = "each step" if step == 1 else f"every {step} steps"
    held_out = "whole series" if kind == "series" else f"{len(blocks):,} blocks of time"
    notes.append(
        f"{sum(windows.counts):,} windows of {length} steps start at {every}; held out: one in five of {held_out}, so that no "
        "step is in both parts"
    )
    return windows, tuple(notes)


def cut_windows(windows: Windows) -> tuple[list[OneSeries], np.ndarray]:
    """Return the windows as series, and the number of the block of each, int64[n]. The windows share their memory.

    Args:
        windows: See `plan_windows`.
    """
    found, groups = [], []
    for group, (one, count) in enumerate(zip(windows.blocks, windows.counts, strict=True)):
        for start in range(0, count * windows.stride, windows.stride):
            found.append(one.part(start, start + windows.length))
            groups.append(group)
    return found, np.array(groups, np.int64)


def _time_blocks(series: list[OneSeries], length: int) -> list[OneSeries]:
    """Return blocks of time, at least as long as a window: five of all series together, or ten of long series."""
    fewest, most = (-(-count // len(series)) for count in (_MIN_BLOCKS, _MAX_BLOCKS))
    blocks = []
    for one in series:
        wanted = min(most, max(fewest, len(one.values) // (_BLOCK_WINDOWS * length)))
        count = max(1, min(wanted, len(one.values) // length))
        edges = np.linspace(0, len(one.values), count + 1).astype(int).tolist()
        blocks += [one.part(start, stop) for start, stop in itertools.pairwise(edges)]
    return blocks
