"""Fixtures of the fault tests: values compared with limits, and a generator of known speed."""

import operator
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import generators

Hold = Callable[..., None]

_OPERATORS = {"<=": operator.le, "=": operator.eq, ">=": operator.ge}

RUN_IMAGES = 8
RUN_TRIPS = 120_000  # iterations of an idle loop: some hundredths of a second per batch of any size


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Hold:
    """`hold(what, value, limit, unit)` adds a value to the table. It must be at most, `exactly` or `at_least` the limit."""

    def held(what: str, value: float, limit: float, unit: str = "", exactly: bool = False, at_least: bool = False) -> None:
        sign = "=" if exactly else ">=" if at_least else "<="
        cells = f"{_short(value)} {unit}".strip(), f"{sign} {_short(limit)} {unit}".strip()
        request.node.user_properties.append(("held", (what, *cells)))
        assert _OPERATORS[sign](value, limit), f"{what}: {value} {unit}, not {sign} {limit}"

    return held


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.2f}"


@pytest.fixture
def paced(tmp_path: Path) -> Path:
    """A directory with the generator `paced`, whose batches take the same time at any size."""
    generators.write(tmp_path, "paced", 1, idle_trips=RUN_TRIPS)
    return tmp_path
