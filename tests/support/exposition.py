"""Reads values from the text of /metrics."""

import re


def total(text: str, name: str, model: str) -> float:
    """Return the sum of a metric over all versions of a generator; 0 before its first value.

    Args:
        text: The text of /metrics.
        name: Name of the metric.
        model: Name of the generator.
    """
    labels = rf'{re.escape(name)}\{{(?:[^}}]*,)?model="{re.escape(model)}"[^}}]*\}} (\S+)'
    return sum(float(value) for value in re.findall(labels, text))
