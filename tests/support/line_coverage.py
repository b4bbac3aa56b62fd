"""Line coverage of the test processes: SlipCover records the lines, coverage.py reports them.

On Python 3.11, the tracer of coverage.py slows down all Python code, also that of libraries: tests took up to 75 % longer.
SlipCover inserts probes into the code of Seedmint only.

The environment variable LINE_COVERAGE turns this on: `tests/conftest.py` imports this module before any module of Seedmint.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData
from slipcover import FileMatcher, ImportManager, Slipcover

_ROOT = Path(__file__).parents[2]
_PACKAGES = [_ROOT / name for name in ("seedmint", "models", "service", "training")]
# Number of calls after which SlipCover removes the probes of executed lines. It would replace functions that threads run.
_NEVER = 2**31 - 1

_recorder = Slipcover(d_miss_threshold=_NEVER)
ImportManager(_recorder, FileMatcher(sources=_PACKAGES)).__enter__()


def _executed_lines() -> dict[str, list[int]]:
    files = _recorder.get_coverage()["files"]
    return {str(Path(name).resolve()): found["executed_lines"] for name, found in files.items()}


class LineCoverage:
    """A plugin of pytest: collects the lines of all processes, writes `.coverage`, and prints the report."""

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] = {str(path.resolve()): set() for root in _PACKAGES for path in root.rglob("*.py")}

    def _add(self, lines: Mapping[str, list[int]]) -> None:
        for path, numbers in lines.items():
            self._lines.setdefault(path, set()).update(numbers)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["lines"] = _executed_lines()
        else:
            self._add(_executed_lines())

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error) -> None:  # type: ignore[no-untyped-def]
        if error is None:  # otherwise the process crashed, which pytest-xdist reports as a failure
            self._add(node.workeroutput["lines"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        data = CoverageData(str(_ROOT / ".coverage"))
        data.erase()
        data.add_lines(self._lines)
        data.write()
        report = Coverage(data_file=data.data_filename())
        report.load()
        text = io.StringIO()
        report.report(file=text)
        terminalreporter.section("coverage of the test processes")
        terminalreporter.write(text.getvalue())
