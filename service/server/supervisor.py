"""The supervisor of `seedmint serve`: starts the worker processes on one socket, and replaces each one that exits.

The supervisor also leads: its parts hold the state that all workers share, and tell each worker over a connection of its own.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seedmint.service.server.control_channel import ChannelClosedError, ControlChannel, Message, channel_pair
from seedmint.service.server.stop_signals import StopSignals

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_STABLE_SECONDS = 10.0  # a worker that ran this long is replaced at once, even after repeated exits of earlier workers
_MAX_DELAY_SECONDS = 5.0
_MAX_FAILURES = 5  # the supervisor gives up if every worker failed this often in succession and none was ever stable
_KILL_SECONDS = 28.0  # more than the workers need to finish the requests in flight; less than the 30 seconds of Kubernetes


class Part(Protocol):
    """A part of the state that all workers share."""

    def attach(self, link: ControlChannel) -> None:
        """Send the state to a new worker.

        Args:
            link: The connection to the worker.
        """

    def detach(self, link: ControlChannel) -> None:
        """Forget a worker that has exited.

        Args:
            link: The connection to the worker.
        """

    def handle(self, link: ControlChannel, message: Message) -> None:
        """Handle a message of a worker.

        Args:
            link: The connection to the worker.
            message: The message.
        """

    def poll(self) -> None:
        """Look for changes. Called about ten times a second."""

    def reload(self) -> None:
        """Read the state again, because the operator has sent SIGHUP."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process.

    Attributes:
        number: Number of the worker in the log, from 1.
        process: The process; None while the supervisor waits before it starts the next one.
        link: The connection to the process; None without a process.
        started: When the process started, in monotonic seconds.
        restarts: Number of earlier processes.
        failures: Number of processes in succession that exited within `_STABLE_SECONDS`, or did not start.
        start_at: When the next process starts, in monotonic seconds. Used only while `process` is None.
    """

    number: int
    process: subprocess.Popen[bytes] | None = None
    link: ControlChannel | None = None
    started: float = 0.0
    restarts: int = 0
    failures: int = 0
    start_at: float = 0.0


class Supervisor:
    """Runs `workers` processes of one command until a signal stops the server.

    The first signal lets the workers finish their requests in flight. A second signal kills them.
    """

    def __init__(
        self,
        module: str,
        listener: socket.socket,
        workers: int,
        signals: StopSignals,
        parts: dict[str, Part] | None = None,
    ) -> None:
        """
        Args:
            module: Python module that a worker runs. Its arguments are the file descriptor of the socket, the process id of
                the supervisor, the number of earlier processes of the worker, and the file descriptor of its connection to the
                supervisor.
            listener: The socket from which all workers accept connections.
            workers: Number of worker processes.
            signals: The signals that stop the server, or let the parts read their state again.
            parts: The parts of the common state, by the `about` of their messages.
        """
        # Workers import from the same places as this process: from the current directory only if this process does.
        safe_path = [] if _imports_from_current_directory() else ["-P"]
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as `multiprocessing` does
        self._command = [sys.executable, *flags, *safe_path, "-m", module, str(listener.fileno()), str(os.getpid())]
        self._listener = listener
        self._workers = [_Worker(number) for number in range(1, workers + 1)]
        self._signals = signals
        self._parts = parts or {}
        self._was_stable = False

    def run(self) -> int:
        """Start the workers and supervise them until they have ended after a signal.

        Returns:
            Exit status of the server: 0 after a signal, 1 if all workers failed repeatedly from the start.
        """
        self._signals.hold()
        try:
            while not self._signals.received:
                self._start_due()
                self._lead()
                for worker, status in self._reap():
                    self._handle_exit(worker, status)
                if self._is_hopeless():
                    _LOG.error("every worker failed %d times; stopping", _MAX_FAILURES)
                    return 1
            return 0
        finally:
            self._stop()

    def _lead(self) -> None:
        """Exchange messages with the workers, for about `_POLL_SECONDS` at most, and let the parts look for changes."""
        links = {worker.link: worker for worker in self._workers if worker.link is not None}
        unsent = [link for link in links if link.has_unsent]
        try:
            readable, writable, _ = select.select(list(links), unsent, [], _POLL_SECONDS)
        except InterruptedError:
            return
        for link in writable:
            link.flush()
        for link in readable:
            self._receive(link, links[link])
        if self._signals.take_reload():
            _LOG.info("reloading")
            for part in self._parts.values():
                part.reload()
        for part in self._parts.values():
            part.poll()

    def _receive(self, link: ControlChannel, worker: _Worker) -> None:
        try:
            messages = link.receive()
        except ChannelClosedError:  # the worker exits, or has exited
            self._disconnect(worker)
            return
        for message, file in messages:
            if file is not None:
                os.close(file)
            self._parts[message["about"]].handle(link, message)

    def _disconnect(self, worker: _Worker) -> None:
        if worker.link is not None:
            for part in self._parts.values():
                part.detach(worker.link)
            worker.link.close()
            worker.link = None

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is None and now >= worker.start_at and not self._signals.received:
                worker.started = now
                try:
                    self._start(worker)
                except OSError as error:  # too many processes, or not enough memory
                    self._schedule(worker, f"did not start ({error.strerror})")

    def _start(self, worker: _Worker) -> None:
        link, inherited = channel_pair()
        try:
            # A new process group, so that Ctrl-C in a terminal reaches only the supervisor.
            worker.process = subprocess.Popen(
                [*self._command, str(worker.restarts), str(inherited.fileno())],
                cwd=_working_directory(),
                stdin=subprocess.DEVNULL,
                pass_fds=[self._listener.fileno(), inherited.fileno()],
                process_group=0,
            )
        except OSError:
            link.close()
            raise
        finally:
            inherited.close()
        worker.link = link
        for part in self._parts.values():
            part.attach(link)

    def _reap(self) -> list[tuple[_Worker, int]]:
        """Return each worker that has exited, with its exit status; the status is -N after signal N.

        The supervisor may be process 1 of a container. Then it also reaps orphaned processes of dead workers.
        """
        exited = []
        with contextlib.suppress(ChildProcessError):  # there are no child processes
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                status = os.waitstatus_to_exitcode(found[1])
                for worker in self._workers:
                    if worker.process is not None and worker.process.pid == found[0]:
                        worker.process.returncode = status
                        worker.process = None
                        exited.append((worker, status))
        return exited

    def _handle_exit(self, worker: _Worker, status: int) -> None:
        self._was_stable |= time.monotonic() - worker.started >= _STABLE_SECONDS
        worker.restarts += 1
        self._disconnect(worker)
        self._schedule(worker, f"was killed by {_signal_name(-status)}" if status < 0 else f"exited with status {status}")

    def _schedule(self, worker: _Worker, reason: str) -> None:
        """Log the exit of a worker, and schedule its replacement: at once, or with a delay after repeated early exits."""
        now = time.monotonic()
        worker.failures = worker.failures + 1 if now - worker.started < _STABLE_SECONDS else 0
        delay = min(_MAX_DELAY_SECONDS, 0.5 * 2 ** (worker.failures - 2)) if worker.failures > 1 else 0.0
        worker.start_at = now + delay
        _LOG.error("worker %d %s; starting a new worker in %g s", worker.number, reason, delay)

    def _is_hopeless(self) -> bool:
        """Return whether each worker failed repeatedly and none of them ever was stable."""
        now = time.monotonic()
        self._was_stable |= any(worker.process and now - worker.started >= _STABLE_SECONDS for worker in self._workers)
        return not self._was_stable and all(worker.failures >= _MAX_FAILURES for worker in self._workers)

    def _stop(self) -> None:
        """End all workers: with SIGTERM; with SIGKILL after a second signal or `_KILL_SECONDS`."""
        self._listener.close()
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + _KILL_SECONDS
        while any(worker.process for worker in self._workers):
            if self._signals.repeated or time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            self._reap()
            _pause()

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)


def _pause() -> None:
    # `time.sleep` waits for an absolute time: libfaketime, which tests use to shift clocks, makes it fail.
    select.select([], [], [], _POLL_SECONDS)


def _working_directory() -> str | None:
    """Return the working directory of a new worker; None for the directory of this process."""
    try:
        Path.cwd()
    except FileNotFoundError:  # Python does not start in a directory that was removed
        return "/"
    return None


def _imports_from_current_directory() -> bool:
    try:
        return sys.path[0] in ("", str(Path.cwd()))
    except FileNotFoundError:  # the current directory was removed
        return sys.path[0] == ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
