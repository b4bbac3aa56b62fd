"""The signals that stop `seedmint serve`: SIGTERM, SIGINT and SIGHUP."""

import signal
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
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` ignores SIGHUP
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

    def hold(self) -> None:
        """Record signals from now on. Call it before the first step that must be undone when the server stops."""
        self._are_held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._times.append(time.monotonic())
        if not self._are_held:
            raise SystemExit(0)
