"""What the tests of faults share: figures held against limits, and a server whose capacity is known beforehand."""

import operator
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import generators

Hold = Callable[..., None]

_HELD = {"<=": operator.le, "=": operator.eq, ">=": operator.ge}

RUN_IMAGES = 8
RUN_TRIPS = 120_000  # of an idle loop: some hundredths of a second for a run, whatever it holds


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Hold:
    """`hold(what, value, limit, unit)`: a figure for the table, which must be at most `limit`, or `exactly` or `at_least`."""

    def held(what: str, value: float, limit: float, unit: str = "", exactly: bool = False, at_least: bool = False) -> None:
        sign = "=" if exactly else ">=" if at_least else "<="
        shown = f"{_short(value)} {unit}".strip(), f"{sign} {_short(limit)} {unit}".strip()
        request.node.user_properties.append(("held", (what, *shown)))
        assert _HELD[sign](value, limit), f"{what}: {value} {unit}, not {sign} {limit}"

    return held


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.2f}"


@pytest.fixture
def paced(tmp_path: Path) -> Path:
    """A models directory with the generator `paced`, whose runs take the same time however many images they hold."""
    generators.write(tmp_path, "paced", 1, idle_trips=RUN_TRIPS)
    return tmp_path
