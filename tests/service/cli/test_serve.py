"""`seedmint serve` until its workers start: signals during startup, and the environment of the workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import free_port

# Runs `setup` before the command, with the arguments that follow.
COMMAND = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run below nohup
exec(sys.argv[1])
from seedmint.cli import main
main(["serve", *sys.argv[2:]])
"""


def run(directory: Path, setup: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process with `directory` as the directory of temporary files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "BENTOML_"))}
    return subprocess.run(
        [sys.executable, "-c", COMMAND, setup, "--models", str(directory), "--port", str(free_port()), *arguments],
        env=environment | {"TMPDIR": str(directory), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "function",
    [
        "seedmint.service.runtime.noise_check.check_tables",  # before the server listens
        "seedmint.service.telemetry.logs.configure_logs",  # before the workers start
    ],
)
def test_a_signal_during_startup_ends_the_server(tmp_path: Path, function: str, number: signal.Signals):
    module, _, name = function.rpartition(".")
    setup = f"import {module} as module; module.{name} = lambda *_: os.kill(os.getpid(), {number:d})"
    command = run(tmp_path, setup)
    assert (command.returncode, command.stdout, command.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_empty_options_replace_the_variables_of_the_workers(tmp_path: Path):
    setup = """
from seedmint.service.server import supervisor
from seedmint.service.settings import read_settings
def show(_):
    settings = read_settings()
    print(settings.trusted_proxies, settings.allowed_origins, settings.max_body_bytes, settings.workers)
    return 0
supervisor.Supervisor.run = show
"""
    command = run(
        tmp_path,
        setup,
        *("--trusted-proxies", "", "--allowed-origins", "", "--max-body-bytes", "", "--workers", "2"),
        SEEDMINT_TRUSTED_PROXIES="10.0.0.0/8",
        SEEDMINT_ALLOWED_ORIGINS="*",
        SEEDMINT_MAX_BODY_BYTES="4096",
        SEEDMINT_WORKERS="3",
    )
    assert command.returncode == 0, command.stderr
    assert command.stdout.splitlines()[-1] == "() () None 2"
