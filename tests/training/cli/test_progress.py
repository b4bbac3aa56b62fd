import io

import pytest
from rich.console import Console

from seedmint.training.cli.progress import ProgressDisplay, format_statistics
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.runs.progress import HELD_OUT_JSD, HELD_OUT_JSD_ERROR, ProgressEvent

STATISTICS = {"V": -1.234, "JSD": 0.05, "D(x)": 0.6, "D(G(z))": 0.4, "p": 0.1, "memorized": 0.5, "images/s": 12345.0}


@pytest.mark.parametrize("width", [60, 80, 200])
def test_step_bar_and_remaining_time_fit_on_the_line(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    display = ProgressDisplay(0, 100_000, OBJECTIVES["non-saturating"], console)
    display.show(ProgressEvent(60_000, STATISTICS))
    with console.capture() as captured:
        console.print(display._bar.get_renderable())
    (line,) = captured.get().strip().splitlines()
    assert "60000/100000" in line
    assert "━" * 5 in line
    assert " left" in line
    assert ("images/s" in line) == (width == 200)


def test_the_estimate_on_held_out_data_has_an_error():
    statistics = {**STATISTICS, HELD_OUT_JSD: 0.041, HELD_OUT_JSD_ERROR: 0.006}
    assert "JSD 0.050 (held out 0.041 ± 0.006)" in format_statistics(statistics, OBJECTIVES["non-saturating"])


@pytest.mark.parametrize(("rate", "other"), [("images/s", "samples/s"), ("samples/s", "images/s")])
def test_the_rate_is_that_of_the_data(rate, other):
    statistics = {name: value for name, value in STATISTICS.items() if name != "images/s"} | {rate: 12345.0}
    line = format_statistics(statistics, OBJECTIVES["non-saturating"])
    assert f"12,345 {rate}" in line
    assert other not in line
