"""The supervisor restarts workers after any exit, gives up after repeated failures, and ends the workers on a signal."""

import os
import pty
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from seedmint.service.server import stop_signals, supervisor
from seedmint.service.server.graceful_shutdown import DRAIN_SECONDS
from seedmint.service.server.listener import inherited_listener, listen
from seedmint.service.server.stop_signals import StopSignals
from seedmint.service.server.supervisor import Supervisor
from seedmint.service.settings import SettingsError, read_settings
from tests.support.servers import PATIENCE, free_port, has_ended, running_children, wait_until

SUPERVISOR = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run below nohup
from seedmint.service.server import supervisor
from seedmint.service.server.listener import listen
from seedmint.service.server.stop_signals import StopSignals
from seedmint.service.settings import read_settings
from seedmint.service.telemetry.logs import log_to_stdout
log_to_stdout()
with StopSignals() as signals:
    listener = listen(read_settings({"SEEDMINT_PORT": sys.argv[1]}))
    exec(sys.argv[2])
    status = supervisor.Supervisor("small_worker", listener, 2, signals).run()
print("stopped", flush=True)
sys.exit(status)
"""
# Answers each connection with its process id. Like a worker of the service, it ends when its parent ends.
WORKER = """
import asyncio, os, socket, sys
from seedmint.service.server.parent_watch import end_with_supervisor

async def answer(_, writer):
    writer.write(b"%d" % os.getpid())
    writer.close()

async def main():
    watch = asyncio.create_task(end_with_supervisor(int(sys.argv[2])))
    async with await asyncio.start_server(answer, sock=socket.socket(fileno=int(sys.argv[1]))) as server:
        await server.serve_forever()

asyncio.run(main())
"""
# Records SIGTERM in a file, and continues.
STUBBORN_WORKER = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(f"{os.getpid()}.signalled").touch())
pathlib.Path(f"{os.getpid()}.started").touch()
end = time.monotonic() + 60
while time.monotonic() < end:
    time.sleep(0.1)
"""
FAILING_WORKER = "raise SystemExit(3)"


@contextmanager
def supervised(directory: Path, worker: str, setup: str = "", flags: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run a supervisor of two workers.

    Args:
        directory: Working directory.
        worker: Source of the worker module.
        setup: Python code that runs before the supervisor is created.
        flags: Options of the interpreter.
    """
    (directory / "small_worker.py").write_text(textwrap.dedent(worker))
    process = subprocess.Popen(
        [sys.executable, *flags, "-c", SUPERVISOR, str(free_port()), textwrap.dedent(setup)],
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
    return running_children(process.pid)


def wait_for_two_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    def two_workers() -> list[psutil.Process] | None:
        running = workers(process)
        return running if len(running) == 2 else None

    return wait_until(two_workers)


def stop_and_read_lines(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """Stop the supervisor, and return the lines of its output."""
    process.send_signal(number)
    text, _ = process.communicate(timeout=PATIENCE)
    return text.splitlines()


def wait_for_files(directory: Path, pattern: str, count: int = 2) -> None:
    wait_until(lambda: len(list(directory.glob(pattern))) >= count)


def test_a_killed_worker_is_replaced_and_logged(tmp_path: Path):
    with supervised(tmp_path, WORKER) as process:
        killed, other = wait_for_two_workers(process)
        killed.kill()
        wait_until(lambda: killed not in wait_for_two_workers(process))
        assert other in workers(process)
        lines = stop_and_read_lines(process)
    assert process.returncode == 0
    assert len([line for line in lines if "SIGKILL" in line]) == 1
    assert lines[-1] == "stopped"


def test_only_repeated_early_exits_delay_the_next_start(monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now)

    def delay_after(seconds: float) -> float:
        """Return the delay before the next start of a worker that ran for some seconds."""
        worker.started = now - seconds
        running._schedule(worker, "exited with status 3")
        return worker.start_at - now

    with StopSignals() as signals, listen(read_settings({"SEEDMINT_PORT": str(free_port())})) as listener:
        running = Supervisor("small_worker", listener, 1, signals)
        (worker,) = running._workers
        assert [delay_after(9.9) for _ in range(7)] == [0, 0.5, 1, 2, 4, 5, 5]
        assert [delay_after(seconds) for seconds in (10, 0, 0)] == [0, 0, 0.5]


def test_workers_end_when_the_supervisor_is_killed(tmp_path: Path):
    with supervised(tmp_path, WORKER) as process:
        started = wait_for_two_workers(process)
        process.kill()
        wait_until(lambda: all(has_ended(worker) for worker in started))


def test_workers_that_fail_at_start_are_restarted_until_the_server_gives_up(tmp_path: Path):
    with supervised(tmp_path, FAILING_WORKER, "supervisor._MAX_DELAY_SECONDS = 0.05") as process:
        text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    lines = text.splitlines()
    for number in (1, 2):
        assert len([line for line in lines if f"worker {number} exited with status 3" in line]) >= 5
    assert lines[-1] == "stopped"


def test_a_server_that_was_stable_does_not_give_up(tmp_path: Path):
    setup = "supervisor._STABLE_SECONDS, supervisor._MAX_DELAY_SECONDS, supervisor._MAX_FAILURES = 0.0, 0.0, 2"
    with supervised(tmp_path, FAILING_WORKER + "  # number 3", setup) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(12)]
        assert process.poll() is None
        stop_and_read_lines(process)
    assert all("exited with status 3" in line for line in lines)
    assert process.returncode == 0


def test_sigint_stops_the_server(tmp_path: Path):
    with supervised(tmp_path, WORKER) as process:
        wait_for_two_workers(process)
        assert stop_and_read_lines(process, signal.SIGINT)[-1] == "stopped"
    assert process.returncode == 0


def test_sighup_reloads_and_keeps_the_workers(tmp_path: Path):
    setup = """
        import pathlib
        supervisor.Supervisor.__init__.__defaults__ = ({"part": type("Part", (), {
            "attach": lambda *_: None, "detach": lambda *_: None, "poll": lambda *_: None,
            "reload": lambda *_: pathlib.Path("reloaded").touch()})()},)
    """
    with supervised(tmp_path, WORKER, setup) as process:
        pair = wait_for_two_workers(process)
        process.send_signal(signal.SIGHUP)
        wait_for_files(tmp_path, "reloaded", 1)
        assert wait_for_two_workers(process) == pair
        stop_and_read_lines(process)
    assert process.returncode == 0


def test_the_end_of_the_terminal_stops_the_server(tmp_path: Path):
    code = """
import os, signal, sys, time
from seedmint.service.server.stop_signals import StopSignals
with StopSignals() as signals:
    signals.hold()
    os.kill(os.getpid(), signal.SIGHUP)  # the terminal is open
    assert signals.take_reload() and not signals.received
    os.write(1, b"started")  # in one piece: the test closes the terminal when it has read the text
    while not signals.received:
        time.sleep(0.02)
open(sys.argv[1], "w").write("stopped")
"""
    result = tmp_path / "result"
    pid, terminal = pty.fork()
    if not pid:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execv(sys.executable, [sys.executable, "-c", code, str(result)])
    assert b"started" in os.read(terminal, 100)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert result.read_text() == "stopped"


def test_a_second_signal_kills_the_workers(tmp_path: Path):
    with supervised(tmp_path, STUBBORN_WORKER) as process:
        wait_for_files(tmp_path, "*.started")
        process.send_signal(signal.SIGTERM)
        wait_for_files(tmp_path, "*.signalled")
        time.sleep(stop_signals._SAME_SECONDS + 0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(supervisor._KILL_SECONDS / 2) == 0


def test_workers_that_ignore_the_signal_are_killed_after_the_deadline(tmp_path: Path):
    assert DRAIN_SECONDS < supervisor._KILL_SECONDS < 30
    with supervised(tmp_path, STUBBORN_WORKER, "supervisor._KILL_SECONDS = 0.5") as process:
        wait_for_files(tmp_path, "*.started")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_one_signal_that_arrives_twice_is_not_a_second_signal(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    previous = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(stop_signals.time, "monotonic", lambda: now)
    with StopSignals() as signals:
        signals.hold()
        assert not signals.received
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert (signals.received, signals.repeated) == (True, False)
        now += 1
        signal.raise_signal(signal.SIGINT)
        assert signals.repeated
    assert signal.getsignal(signal.SIGTERM) == previous


def test_a_real_time_signal_of_a_worker_does_not_end_the_server(tmp_path: Path):
    number = signal.SIGRTMIN + 1
    dying = f"""
import os, pathlib
if not pathlib.Path("died").exists():
    pathlib.Path("died").write_text(str(os.getpid()))
    os.kill(os.getpid(), {number})
"""
    with supervised(tmp_path, dying + WORKER) as process:
        dead = int(wait_until(lambda: (tmp_path / "died").exists() and (tmp_path / "died").read_text()))
        wait_until(lambda: dead not in {worker.pid for worker in wait_for_two_workers(process)})
        lines = stop_and_read_lines(process)
    assert process.returncode == 0
    assert [line for line in lines if f"was killed by signal {number}" in line]


def test_a_worker_that_cannot_be_forked_is_started_later(tmp_path: Path):
    setup = """
        import errno, os
        failures, start = [1, 2, 3], supervisor.subprocess.Popen
        def fail_or_start(*arguments, **options):
            if failures:
                failures.pop()
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            return start(*arguments, **options)
        supervisor.subprocess.Popen = fail_or_start
    """
    with supervised(tmp_path, WORKER, setup) as process:
        wait_for_two_workers(process)
        lines = stop_and_read_lines(process)
    assert process.returncode == 0
    assert len([line for line in lines if "did not start" in line]) == 3


def test_an_error_of_the_supervisor_ends_the_workers_first(tmp_path: Path):
    with supervised(tmp_path, WORKER, "supervisor.Supervisor._handle_exit = None") as process:
        killed, other = wait_for_two_workers(process)
        killed.kill()
        text, _ = process.communicate(timeout=PATIENCE)
        assert has_ended(other)
    assert process.returncode == 1
    assert "TypeError" in text


def test_processes_of_a_dead_worker_are_reaped(tmp_path: Path):
    """The supervisor is a subreaper, which receives orphans as process 1 of a container does."""
    worker = """
import pathlib, subprocess
if not pathlib.Path("orphan").exists():
    orphan = subprocess.Popen(["sh", "-c", "for _ in $(seq 600); do [ -e released ] && exit; sleep 0.1; done"])
    pathlib.Path("orphan.new").write_text(str(orphan.pid))
    pathlib.Path("orphan.new").rename("orphan")
    raise SystemExit(0)
"""
    with supervised(tmp_path, worker + WORKER, "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)") as process:
        wait_for_files(tmp_path, "orphan", 1)
        orphan = psutil.Process(int((tmp_path / "orphan").read_text()))
        wait_until(lambda: orphan.ppid() == process.pid)
        (tmp_path / "released").touch()
        wait_until(lambda: not psutil.pid_exists(orphan.pid))
        stop_and_read_lines(process)
    assert process.returncode == 0


def test_workers_have_the_interpreter_options_of_the_supervisor(tmp_path: Path):
    worker = """
import os, pathlib, sys
path = pathlib.Path(f"{os.getpid()}.new")
path.write_text(f"{sys.flags.optimize} {sys.warnoptions}")
path.rename(f"{os.getpid()}.flags")
"""
    with supervised(tmp_path, worker + WORKER, flags=["-O", "-W", "error::UserWarning"]) as process:
        wait_for_files(tmp_path, "*.flags")
        stop_and_read_lines(process)
    assert {path.read_text() for path in tmp_path.glob("*.flags")} == {"1 ['error::UserWarning']"}


def test_the_current_directory_may_be_removed(tmp_path: Path):
    setup = "import os, sys; os.mkdir('removed'); os.chdir('removed'); os.rmdir('../removed'); sys.path[0] = '/'"
    mark = f"import os, pathlib\npathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch()\n"
    with supervised(tmp_path, mark + WORKER, setup) as process:
        wait_until(lambda: len([path for path in tmp_path.iterdir() if path.name.isdecimal()]) == 2)  # both have started
        assert not [line for line in stop_and_read_lines(process) if "exited" in line]
    assert process.returncode == 0


def test_workers_are_compared_by_identity():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first, second = Supervisor("small_worker", listener, 2, StopSignals())._workers
    assert first != second
    assert (first.number, second.number) == (1, 2)


def test_processes_of_a_worker_do_not_inherit_its_socket():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        with inherited_listener(os.dup(listener.fileno())) as inherited:
            assert not inherited.get_inheritable()


def test_a_worker_whose_parent_is_not_its_supervisor_exits():
    """The supervisor died while the worker started."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socketpair()[0] as link:
        worker = subprocess.run(
            [sys.executable, "-m", "seedmint.service.cli.worker", str(listener.fileno()), "1", "0", str(link.fileno())],
            pass_fds=[listener.fileno(), link.fileno()],
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert worker.returncode == 1
    assert "Traceback" not in worker.stderr


def test_port_in_use_is_reported_for_the_field_port():
    settings = read_settings({"SEEDMINT_PORT": str(free_port())})
    with listen(settings), pytest.raises(SettingsError) as error:
        listen(settings)
    assert (error.value.field, error.value.reason) == ("port", "unavailable")


def test_an_ipv6_socket_also_accepts_ipv4():
    settings = read_settings({"SEEDMINT_HOST": "::", "SEEDMINT_PORT": str(free_port())})
    with listen(settings) as listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=PATIENCE):
        pass
