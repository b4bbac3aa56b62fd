"""Reduces the log of a run to the training curve of a card."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from seedmint.models.training_curve import TrainingCurve

NUM_POINTS = 64
_KEYS = {"value": "V", "d_real": "D(x)", "d_fake": "D(G(z))"}


def training_curve(entries: Sequence[dict[str, Any]], step: int, equilibrium: float) -> TrainingCurve | None:
    """Return the means of the statistics of consecutive log entries; None if there are none.

    Args:
        entries: Entries of the log, in their order.
        step: Step of the last entry to use.
        equilibrium: The value of the game where G has learned the data.
    """
    used = [entry for entry in entries if entry["step"] <= step and all(_is_number(entry.get(key)) for key in _KEYS.values())]
    if not used:
        return None
    parts = np.array_split(np.arange(len(used)), min(NUM_POINTS, len(used)))
    means = {field: tuple(_mean([used[i][key] for i in part]) for part in parts) for field, key in _KEYS.items()}
    return TrainingCurve(steps=tuple(used[part[-1]]["step"] for part in parts), equilibrium=equilibrium, **means)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _mean(values: list[float]) -> float:
    return float(f"{math.fsum(values) / len(values):.5g}")
