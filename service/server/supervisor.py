"""The supervisor of `seedmint serve`: starts the worker processes on one socket, and replaces each one that exits."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from seedmint.service.settings import Settings, SettingsError

_LOG = logging.getLogger(__name__)
_BACKLOG = 2048  # connections that the kernel keeps until a worker accepts them
_POLL_SECONDS = 0.1
_STABLE_SECONDS = 10.0  # a worker that ran this long is replaced at once, even after repeated exits of earlier workers
_MAX_DELAY_SECONDS = 5.0
_KILL_SECONDS = 60.0  # more than the workers need to finish the requests in flight
_PARENT_POLL_SECONDS = 1.0
_PID_VARIABLE = "SEEDMINT_SUPERVISOR_PID"


def log_to_stdout() -> None:
    """Write log records to standard output: warnings and errors, and more from the loggers of Seedmint."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.WARNING,
        format="%(asctime)s [%(levelname)s] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on `settings.host` and `settings.port`.

    Args:
        settings: The settings of the server.

    Raises:
        SettingsError: The address is in use or not available.
    """
    address = (str(settings.host), settings.port)
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    is_dual_stack = settings.host.version == 6 and settings.host.is_unspecified and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual_stack)
    except OSError as error:
        message = f"cannot listen on {settings.host} port {settings.port}: {os.strerror(error.errno or 0)}"
        raise SettingsError(message, field="port", reason="unavailable") from None


@dataclass(slots=True)
class _Worker:
    """A worker process.

    Attributes:
        process: The process; None while the supervisor waits before it starts the next one.
        started: When the process started, in monotonic seconds.
        failures: Number of processes in succession that exited within `_STABLE_SECONDS`.
        start_at: When the next process starts, in monotonic seconds. Used only while `process` is None.
    """

    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0


class Supervisor:
    """Runs `workers` processes of one command until SIGTERM or SIGINT.

    The first signal lets the workers finish their requests in flight. A second signal ends them at once.
    """

    def __init__(self, module: str, listener: socket.socket, workers: int) -> None:
        """
        Args:
            module: Python module that a worker runs. Its argument is the file descriptor of the socket.
            listener: The socket from which all workers accept connections.
            workers: Number of worker processes.
        """
        # Workers import from the same places as this process: from the current directory only if this process does.
        safe_path = [] if sys.path[0] in ("", str(Path.cwd())) else ["-P"]
        self._command = [sys.executable, *safe_path, "-m", module, str(listener.fileno())]
        self._environment = os.environ | {_PID_VARIABLE: str(os.getpid())}
        self._listener = listener
        self._workers = [_Worker() for _ in range(workers)]
        self._signals: list[int] = []

    def run(self) -> None:
        """Start the workers and supervise them until they have ended after a signal. Call in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._signals:
            self._start_due()
            time.sleep(_POLL_SECONDS)
            for worker, status in self._exited():
                self._schedule(worker, status)
        self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and now >= worker.start_at and not self._signals:
                # A new process group, so that Ctrl-C in a terminal reaches only the supervisor.
                worker.process = subprocess.Popen(
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[self._listener.fileno()],
                    process_group=0,
                )
                worker.started = now

    def _exited(self) -> Iterator[tuple[_Worker, int]]:
        """Yield each worker that has exited, with its exit status; the status is -N after signal N.

        The supervisor may be process 1 of a container. Then it also reaps orphaned processes of dead workers.
        """
        with contextlib.suppress(ChildProcessError):  # there are no child processes
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                status = os.waitstatus_to_exitcode(found[1])
                for worker in self._workers:
                    if worker.process is not None and worker.process.pid == found[0]:
                        worker.process.returncode = status
                        worker.process = None
                        yield worker, status

    def _schedule(self, worker: _Worker, status: int) -> None:
        """Log the exit of a worker, and schedule its replacement: at once, or with a delay after repeated early exits."""
        now = time.monotonic()
        worker.failures = worker.failures + 1 if now - worker.started < _STABLE_SECONDS else 0
        delay = min(_MAX_DELAY_SECONDS, 0.5 * 2 ** (worker.failures - 2)) if worker.failures > 1 else 0.0
        worker.start_at = now + delay
        reason = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        _LOG.error("worker %d %s; starting a new worker in %g s", self._workers.index(worker) + 1, reason, delay)

    def _stop(self) -> None:
        self._listener.close()
        forwarded = 0
        deadline = time.monotonic() + _KILL_SECONDS
        while any(worker.process for worker in self._workers):
            if forwarded < len(self._signals):
                forwarded = len(self._signals)
                self._send(signal.SIGTERM)
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            list(self._exited())
            time.sleep(_POLL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)


def supervisor_pid() -> int:
    """Return the process id of the supervisor of this worker: `seedmint serve`, or otherwise the parent process."""
    return int(os.environ.get(_PID_VARIABLE) or os.getppid())


async def end_with_supervisor(supervisor: int) -> None:
    """Send SIGTERM to this process when its supervisor has exited. A worker without supervisor would keep the port forever.

    Args:
        supervisor: Process id of the supervisor, which is the parent of this process while it runs.
    """
    while os.getppid() == supervisor:
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    _LOG.error("the supervisor has exited; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
