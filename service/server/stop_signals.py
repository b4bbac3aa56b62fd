"""The signals of `seedmint serve`: SIGTERM and SIGINT stop the server, SIGHUP reloads its state.

The kernel also sends SIGHUP when the terminal of the server is closed. Then the server stops, unless `nohup` started it.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType

_SAME_SECONDS = 0.5  # process managers may send one signal twice, to the process and to its group


class StopSignals(AbstractContextManager["StopSignals"]):
    """Handles the signals that stop the server. The previous handlers return at the end of the context. In the main thread.

    Until `hold` is called, a signal ends the process at once with status 0. Afterwards signals are only recorded.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._are_held = False
        self._is_reload_due = False
        self._terminal: int | None = None
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "StopSignals":
        is_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._terminal = None if is_nohup else _terminal()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler or signal.SIG_DFL)

    @property
    def received(self) -> bool:
        """Whether a signal has arrived."""
        return bool(self._times)

    @property
    def repeated(self) -> bool:
        """Whether a second signal has arrived, half a second or more after the first one."""
        return bool(self._times) and self._times[-1] - self._times[0] >= _SAME_SECONDS

    def take_reload(self) -> bool:
        """Return whether SIGHUP has asked for a reload since the last call."""
        is_due, self._is_reload_due = self._is_reload_due, False
        return is_due

    def hold(self) -> None:
        """Record signals from now on. Call it before the first step that must be undone when the server stops."""
        self._are_held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and (self._terminal is None or os.isatty(self._terminal)):
            self._is_reload_due = True
            return
        self._times.append(time.monotonic())
        if not self._are_held:
            raise SystemExit(0)


def _terminal() -> int | None:
    """Return the descriptor of the standard input if it is a terminal. A closed terminal is no terminal any more."""
    try:
        return sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    except (OSError, ValueError):
        return None
