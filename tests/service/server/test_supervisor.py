"""The supervisor restarts workers after any exit, delays restarts after repeated failures, and ends the workers on a signal."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from seedmint.service.server.supervisor import listen
from seedmint.service.settings import SettingsError, read_settings
from tests.support.servers import free_port, has_ended, wait_until

SUPERVISOR = """
import sys
from seedmint.service.server.supervisor import Supervisor, listen, log_to_stdout
from seedmint.service.settings import read_settings
log_to_stdout()
listener = listen(read_settings({"SEEDMINT_PORT": sys.argv[1]}))
Supervisor("small_worker", listener, 2).run()
print("stopped", flush=True)
"""
# Answers each connection with its process id. Like a worker of the service, it ends when its parent ends.
WORKER = """
import asyncio, os, socket, sys
from seedmint.service.server.supervisor import end_with_supervisor, supervisor_pid

async def answer(_, writer):
    writer.write(b"%d" % os.getpid())
    writer.close()

async def main():
    watch = asyncio.create_task(end_with_supervisor(supervisor_pid()))
    async with await asyncio.start_server(answer, sock=socket.socket(fileno=int(sys.argv[1]))) as server:
        await server.serve_forever()

asyncio.run(main())
"""
FAILING_WORKER = "raise SystemExit(3)"


@contextmanager
def supervised(directory: Path, worker: str) -> Iterator[subprocess.Popen[str]]:
    (directory / "small_worker.py").write_text(textwrap.dedent(worker))
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(free_port())],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(directory), *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        children = psutil.Process(process.pid).children() if process.poll() is None else []
        process.kill()
        process.wait()
        for child in children:
            child.kill()


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def wait_for_two_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    def two_workers() -> list[psutil.Process] | None:
        running = workers(process)
        return running if len(running) == 2 else None

    return wait_until(two_workers)


def stop_and_read_lines(process: subprocess.Popen[str]) -> list[str]:
    """Stop the supervisor, and return the lines of its output."""
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=30)
    return text.splitlines()


def test_a_killed_worker_is_replaced_within_a_second_and_a_half_and_logged(tmp_path: Path):
    with supervised(tmp_path, WORKER) as process:
        killed, other = wait_for_two_workers(process)
        killed.kill()
        start = time.monotonic()
        wait_until(lambda: killed not in wait_for_two_workers(process))
        assert time.monotonic() - start < 1.5
        assert other in workers(process)
        lines = stop_and_read_lines(process)
    assert process.returncode == 0
    assert len([line for line in lines if "SIGKILL" in line]) == 1
    assert lines[-1] == "stopped"


def test_workers_end_when_the_supervisor_is_killed(tmp_path: Path):
    with supervised(tmp_path, WORKER) as process:
        started = wait_for_two_workers(process)
        process.kill()
        wait_until(lambda: all(has_ended(worker) for worker in started), 10)


def test_workers_that_fail_at_start_are_restarted_with_a_delay(tmp_path: Path):
    with supervised(tmp_path, FAILING_WORKER) as process:
        time.sleep(3)
        lines = stop_and_read_lines(process)
    exits = [line for line in lines if "exited with status 3" in line]
    assert 4 <= len(exits) <= 10
    assert lines[-1] == "stopped"


def test_port_in_use_is_reported_for_the_field_port():
    settings = read_settings({"SEEDMINT_PORT": str(free_port())})
    with listen(settings), pytest.raises(SettingsError) as error:
        listen(settings)
    assert (error.value.field, error.value.reason) == ("port", "unavailable")


def test_an_ipv6_socket_also_accepts_ipv4():
    settings = read_settings({"SEEDMINT_HOST": "::", "SEEDMINT_PORT": str(free_port())})
    with listen(settings) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5):
        pass
