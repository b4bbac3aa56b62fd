"""Runs the mutants of a session of cosmic-ray. Usage: python -m tests.mutants CONFIG SESSION

Each mutant runs pytest in a fork of this process, which has imported the libraries that the tests use but no module of
Seedmint. Without the start of Python and these imports, a mutant takes a third of the time.
"""

import importlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import cosmic_ray.mutating
import pytest
from cosmic_ray.commands import execute
from cosmic_ray.config import load_config
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome
from hypothesis import Phase, settings

_POLL_SECONDS = 0.01
_LIST_LIBRARIES = """
import sys, pytest
code = pytest.main(sys.argv[1:])
own = ("seedmint", "tests", "conftest", "test_", "_pytest", "pytest")
print("LIBRARIES", *(name for name in sys.modules if not name.startswith(own)))
sys.exit(code)
"""

# The same examples for each mutant, without a limit of time; a failing example ends the test at once.
settings.register_profile("mutants", derandomize=True, deadline=None, database=None, phases=[Phase.explicit, Phase.generate])


def import_libraries(arguments: list[str]) -> None:
    """Import the libraries that the tests import. The tests must pass without a mutation."""
    command = [sys.executable, "-c", _LIST_LIBRARIES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the tests fail without a mutation:\n{done.stdout}{done.stderr}")
    names = next(line for line in done.stdout.splitlines() if line.startswith("LIBRARIES")).split()[1:]
    for name in names:
        with suppress(Exception):  # not every entry of sys.modules is a module that can be imported
            importlib.import_module(name)


def run_tests(arguments: str, seconds: float) -> tuple[TestOutcome, str]:
    """Run pytest in a fork. Replaces `cosmic_ray.testing.run_tests`, which starts a command."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _run_child(shlex.split(arguments), output.fileno())
        deadline = time.monotonic() + seconds
        status = None
        while status is None and time.monotonic() < deadline:
            ended, code = os.waitpid(child, os.WNOHANG)
            status = code if ended else None
            time.sleep(_POLL_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # also processes that the tests have left
        if status is None:
            os.waitpid(child, 0)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return (TestOutcome.SURVIVED if status == 0 else TestOutcome.KILLED), text


def _run_child(arguments: list[str], output: int) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        settings.load_profile("mutants")
        code = int(pytest.main(arguments))
        sys.stdout.flush()
    finally:
        os._exit(code)  # without waiting for threads that a mutant has blocked


def main(config_file: str, session: str) -> None:
    config = load_config(config_file)
    sys.dont_write_bytecode = True
    import_libraries(shlex.split(config.test_command))
    outcome, text = run_tests(config.test_command, config.timeout)
    if outcome != TestOutcome.SURVIVED:
        sys.exit(f"the tests fail in a fork without a mutation:\n{text}")
    cosmic_ray.mutating.run_tests = run_tests
    with use_db(session, mode=WorkDB.Mode.open) as work:
        execute(work, config)


if __name__ == "__main__":
    main(*sys.argv[1:])
