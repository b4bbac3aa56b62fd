"""A session of ONNX Runtime whose runs end: one that takes too long is stopped, for a graph may hold a loop without end."""

import threading
import time
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.models.runtime.memory import bound_memory

RUN_SECONDS = 30.0  # as long as anybody waits for an image

_ARENA_IS_FULL = "BFCArena"  # the part of ONNX Runtime that says so
_LOOK_SECONDS = 0.5
_ADVICE = "it was stopped; smaller ones may do (SEEDMINT_MAX_BATCH)"
_FATAL = 4  # what goes wrong in a run is raised, and told once


class TooSlowError(UserError):
    """A run was stopped."""


class TooLargeError(UserError):
    """A run needs more memory than there is for all."""


class Session:
    """Runs one graph. Safe to use from several threads."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def run(
        self, outputs: list[str] | None, inputs: dict[str, NDArray[Any]], options: ort.RunOptions | None = None
    ) -> list[Any]:
        """What the graph makes of its inputs.

        Args:
            options: of this run alone; new ones if there are none.

        Raises:
            TooSlowError: it did not end within `RUN_SECONDS`.
            TooLargeError: the arena does not hold what it needs.
            Exception: whatever ONNX Runtime raises.
        """
        options = options or ort.RunOptions()
        options.log_severity_level = _FATAL
        began = time.monotonic()
        _WATCH.under_way[options] = began + RUN_SECONDS
        try:
            made: list[Any] = self._session.run(outputs, inputs, options)
        except Exception as error:
            size = max(len(value) for value in inputs.values())
            if options.terminate:
                raise TooSlowError(f"a run of {size} took longer than {RUN_SECONDS:g} seconds: {_ADVICE}") from None
            if _ARENA_IS_FULL in str(error):
                most = f"{bound_memory() / 2**30:.1f} GiB"
                raise TooLargeError(
                    f"a run of {size} needs more memory than the {most} that there are for generators"
                ) from None
            raise
        finally:
            del _WATCH.under_way[options]
        return made


class _Watch:
    """Stops the runs of this process whose time is over. One thread for all, so that a run pays for no timer of its own.

    Attributes:
        under_way: the options of each run, by which it is stopped, and when that is to be.
    """

    def __init__(self) -> None:
        self.under_way: dict[ort.RunOptions, float] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch, once in a process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="seedmint-watch", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(_LOOK_SECONDS)
            now = time.monotonic()
            for options, until in self.under_way.copy().items():
                if now > until:
                    options.terminate = True


_WATCH = _Watch()


def watched(session: ort.InferenceSession) -> Session:
    """A session whose runs end."""
    _WATCH.start()
    return Session(session)
