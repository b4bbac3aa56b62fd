"""An ONNX Runtime session with a time limit for each run, because a graph can contain an endless loop."""

import os
import threading
import time
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.models.runtime.memory import bound_memory

RUN_SECONDS = 30.0  # maximum time that a client waits for an image

_ARENA_FULL = "BFCArena"  # ONNX Runtime names this class in the error message when the arena is full
_CHECK_SECONDS = 0.5
_FATAL = 4  # ONNX Runtime raises the other errors, so it need not log them too


class TooSlowError(UserError):
    """A run exceeded the time limit and was stopped."""

    reason = "too_slow"


class TooLargeError(UserError):
    """A run needs more memory than the arena of the process holds."""

    reason = "too_large"


class Session:
    """Runs one graph. Safe to use from several threads."""

    def __init__(self, session: ort.InferenceSession) -> None:
        """
        Args:
            session: An ONNX Runtime session. Create it with `seedmint.models.runtime.provider.open_session`.
        """
        self._session = session
        _WATCHDOG.start()

    @property
    def num_graphs(self) -> int:
        """Number of batch sizes that run as CUDA graphs."""
        return 0

    def run(
        self, outputs: list[str] | None, inputs: dict[str, NDArray[Any]], options: ort.RunOptions | None = None
    ) -> list[Any]:
        """Run the graph once.

        Args:
            outputs: Names of the outputs to compute; None for all.
            inputs: The input arrays by name.
            options: Options of this run; None for the defaults.

        Returns:
            The output arrays, in the order of `outputs`.

        Raises:
            TooSlowError: The run did not end within `RUN_SECONDS`.
            TooLargeError: The arena is too small for the run.
            Exception: Any other error of ONNX Runtime.
        """
        options = options or ort.RunOptions()
        options.log_severity_level = _FATAL
        _WATCHDOG.deadlines[options] = time.monotonic() + RUN_SECONDS
        try:
            results = self._execute(outputs, inputs, options)
        except Exception as error:
            batch = max(len(value) for value in inputs.values())
            if options.terminate:
                raise TooSlowError(
                    f"a run of {batch} took longer than {RUN_SECONDS:g} seconds and was stopped: use smaller batches "
                    "(SEEDMINT_MAX_BATCH)"
                ) from None
            if _ARENA_FULL in str(error):
                limit = f"{bound_memory() / 2**30:.1f} GiB"
                raise TooLargeError(f"a run of {batch} needs more memory than the limit of {limit} for generators") from None
            raise
        finally:
            del _WATCHDOG.deadlines[options]
        return results

    def _execute(self, outputs: list[str] | None, inputs: dict[str, NDArray[Any]], options: ort.RunOptions) -> list[Any]:
        results: list[Any] = self._session.run(outputs, inputs, options)
        return results


class _Watchdog:
    """Stops runs that exceed their deadline. One thread checks all runs of the process.

    Attributes:
        deadlines: The `RunOptions` of each run in progress -> its deadline, in seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.deadlines: dict[ort.RunOptions, float] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once in a process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="seedmint-watchdog", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(_CHECK_SECONDS)
            now = time.monotonic()
            for options, deadline in self.deadlines.copy().items():
                if now > deadline:
                    options.terminate = True

    def forget(self) -> None:
        """Forget the thread and the runs of the parent process, after a fork."""
        self.deadlines, self._thread = {}, None


_WATCHDOG = _Watchdog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_WATCHDOG.forget)
