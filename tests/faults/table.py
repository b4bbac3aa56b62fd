"""A pytest plugin that prints the table of faults of `make faults`.

The table has a row for each value that a test compared with a limit, and one row for a test without such values.
"""

import platform
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from seedmint.models.files import write_whole

_HEAD = ("fault", "measured", "", "limit", "")
_ROWS = pytest.StashKey[list[tuple[str, ...]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults-table", type=Path, help="Write the table of faults to this file.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []
    config.pluginmanager.register(_Rows(config.stash[_ROWS]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (fault := item.get_closest_marker("fault")) is not None:
            item.user_properties.append(("fault", fault.args[0]))


class _Rows:
    def __init__(self, rows: list[tuple[str, ...]]) -> None:
        self._rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        fault = next((str(value) for name, value in report.user_properties if name == "fault"), None)
        if fault is None or (report.when != "call" and report.passed):
            return
        outcome = "passed" if report.passed else "skipped" if report.skipped else "FAILED"
        held = [value for name, value in report.user_properties if name == "held"]
        test = report.location[2].partition("[")[0].removeprefix("test_").replace("_", " ")
        for what, value, limit in held or [(test, "", "")]:  # type: ignore[misc]
            row = (fault, str(what), str(value), str(limit), outcome)
            if held or row not in self._rows:
                self._rows.append(row)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[_ROWS]
    if not rows:
        return
    text = f"{_table(sorted(rows))}\n{_machine()}\n"
    terminalreporter.write_line("\n" + text)
    if path := config.getoption("--faults-table"):
        write_whole(path, text.encode())


def _table(rows: list[tuple[str, ...]]) -> str:
    rows = [_HEAD, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = []
    for before, row in zip([_HEAD, *rows], rows, strict=False):
        shown = ("" if row[0] == before[0] and row is not _HEAD else row[0], *row[1:])
        aligned = (shown[0].ljust(widths[0]), shown[1].ljust(widths[1]), shown[2].rjust(widths[2]), shown[3].rjust(widths[3]))
        lines.append("  ".join((*aligned, shown[4])).rstrip())
    return "\n".join(lines)


def _machine() -> str:
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = (line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name"))
        name = next(models, name).partition(":")[2].strip() or name
    memory = psutil.virtual_memory().total / 2**30
    return f"{psutil.cpu_count()} cores of {name}, {memory:.0f} GiB, Python {platform.python_version()}"
