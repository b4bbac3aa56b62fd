"""Intervals are shown within the possible values of a metric: in reports, in the terminal and in the explorer."""

import json
import math
import re
from pathlib import Path

import pytest

from seedmint.models.provenance import Metric
from seedmint.training.evaluation.metric_families import FAMILIES
from seedmint.training.evaluation.metric_ranges import RANGES, shown_interval
from seedmint.training.evaluation.results import format_interval

EXPLORER = Path(__file__).parents[3] / "service" / "api" / "static" / "explorer" / "metrics.js"


def metric(name: str, interval: tuple[float, float] | None) -> Metric:
    return Metric(metric=name, protocol="p", value=0.5, samples=9, interval=interval)


@pytest.mark.parametrize(
    ("name", "interval", "shown", "text"),
    [
        ("coverage-cnn-v2-mnist", (0.9, 1.25), (0.9, 1.0), "0.9 to 1"),
        ("label-accuracy-cnn-v2-mnist", (0.98, 1.25), (0.98, 1.0), "0.98 to 1"),
        ("frechet-cnn-v2-mnist", (-0.25, 0.5), (0.0, 0.5), "0 to 0.5"),
        ("kid-cnn-v2-mnist", (-0.25, 0.5), (-0.25, 0.5), "-0.25 to 0.5"),
        ("copying", (-0.25, 1.5), (0.0, 1.0), "0 to 1"),
        ("copying-cells", (-3.0, 4.0), (-3.0, 4.0), "-3 to 4"),
        ("closest-record median", (-0.5, 1.5), (0.0, 1.5), "0 to 1.5"),
        ("spectrum-high", (-1.5, 0.5), (-1.0, 0.5), "-1 to 0.5"),
        ("train-on-generated score of income", (-0.5, 1.25), (-0.5, 1.0), "-0.5 to 1"),
        ("exact-copies", (-0.5, -0.25), (0.0, 0.0), "0 to 0"),
        ("of-another-project", (-0.5, 1.5), (-0.5, 1.5), "-0.5 to 1.5"),
        ("coverage", None, None, ""),
    ],
)
def test_an_interval_is_shown_within_the_possible_values(name, interval, shown, text):
    assert shown_interval(metric(name, interval)) == shown
    assert format_interval(metric(name, interval)) == text


def test_every_metric_of_images_has_a_range():
    prefixes = {prefix for family in FAMILIES.values() for prefix in family.prefixes}
    assert all(any(prefix.startswith(name) for name in RANGES) for prefix in prefixes)


def test_the_explorer_has_the_same_ranges():
    found = re.search(r"^const RANGES = (\{.*?^\});", EXPLORER.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    limits = {
        name: (-math.inf if low is None else low, math.inf if high is None else high)
        for name, (low, high) in json.loads(found[1]).items()
    }
    assert limits == RANGES
