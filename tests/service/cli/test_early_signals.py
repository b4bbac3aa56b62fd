"""`seedmint serve` exits with status 0 after a signal during the first moments of its process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.servers import free_port, wait_until

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--")


@contextmanager
def server(directory: Path, *prefix: str, blocked: bool) -> Iterator[subprocess.Popen[str]]:
    """Start `seedmint serve`.

    Args:
        directory: Directory of generators and of temporary files.
        prefix: Command in front.
        blocked: Whether the process starts with blocked signals, as in the image.
    """
    command = [*prefix, sys.executable, "-m", "seedmint", "serve", "--models", str(directory), "--port", str(free_port())]
    previous = signal.pthread_sigmask(signal.SIG_BLOCK if blocked else signal.SIG_UNBLOCK, SIGNALS)
    try:
        process = subprocess.Popen(
            command, env=os.environ | {"TMPDIR": str(directory)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def check_stopped(process: subprocess.Popen[str], directory: Path) -> None:
    _, text = process.communicate(timeout=60)
    assert (process.returncode, text) == (0, "")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("seconds", [0, 0.05, 0.15, 0.3, 0.6])
def test_a_signal_that_waits_for_its_handler_ends_the_server(tmp_path: Path, seconds: float):
    with server(tmp_path, blocked=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGTERM)
        check_stopped(process, tmp_path)


def test_the_server_handles_signals_before_slow_imports(tmp_path: Path):
    with server(tmp_path, blocked=False) as process:
        status = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: caught_signals(status) >> (signal.SIGTERM - 1) & 1)
        process.send_signal(signal.SIGTERM)
        check_stopped(process, tmp_path)


def caught_signals(status: Path) -> int:
    """Return the bit mask of the signals that a process handles."""
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return int(line.split()[1], 16)


def test_process_1_does_not_lose_a_signal(tmp_path: Path):
    if subprocess.run([*AS_PROCESS_1, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot create a PID namespace")
    with server(tmp_path, *AS_PROCESS_1, blocked=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        child = int(wait_until(children.read_text))
        os.kill(child, signal.SIGTERM)
        check_stopped(process, tmp_path)
