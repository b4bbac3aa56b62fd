"""Helpers for tests of batch jobs: plans, jobs made in this process, commands, and hashes of outputs."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from seedmint.cli import cli
from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.job import begin, finish
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import JobSpec, make_plan
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator

ROOT = Path(__file__).parents[2]


def plan_for(
    generator: Generator | Sequence[Generator],
    seeds: str = "0-99",
    form: str = "webdataset",
    shard_size: int = 32,
    **changes: Any,
) -> Plan:
    """Return a plan.

    Args:
        generator: The generator, or several.
        seeds: The seeds of the job.
        form: Format of the shards.
        shard_size: Images per shard.
        changes: Other options of the job, by the fields of `JobSpec`.
    """
    first, *others = [generator] if isinstance(generator, Generator) else generator
    return make_plan(first, JobSpec(parse_seeds(seeds), format=form, shard_size=shard_size, **changes), others)  # type: ignore[arg-type]


def make_all(output: Output, plan: Plan, generator: Generator | Sequence[Generator], backwards: bool = False) -> None:
    """Make a whole job in this process, without an engine.

    Args:
        output: The output.
        plan: The plan.
        generator: The generator of the plan, or all of several.
        backwards: Make the last shard first.
    """
    generators = [generator] if isinstance(generator, Generator) else generator
    begin(output, plan)
    shards = missing_shards(output, plan).tolist()
    for index in reversed(shards) if backwards else shards:
        make_shard(generators[plan.part_of(index).generator], plan, index, output)
    assert finish(output, plan)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an output by name. Includes hidden files, except the lock."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def whole(tmp_path: Path, generator: Generator, seeds: str, form: str, shard_size: int) -> dict[str, str]:
    """Make a whole job in this process, and return the hashes of its files."""
    out = tmp_path / "whole"
    make_all(open_output(str(out)), plan_for(generator, seeds, form, shard_size), generator)
    return hashes(out)


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of `seedmint batch run`."""
    return [sys.executable, "-m", "seedmint", "batch", "run", *map(str, arguments)]


def start(*arguments: str | Path, **variables: str) -> "subprocess.Popen[str]":
    """Start `seedmint batch run` in its own process group, with additional environment variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "JOB_"))} | variables
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(*arguments: str | Path) -> tuple[int, str, str]:
    """Run `seedmint batch run`. Returns its exit status, standard output and standard error."""
    process = start(*arguments)
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


def batch(*arguments: str | Path) -> str:
    """Run `seedmint batch` in this process. Returns its standard output and standard error."""
    result = CliRunner().invoke(cli, ["batch", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def job_status(out: str | Path) -> dict[str, str]:
    """Return the output of `seedmint batch status`: the value of each row by its name."""
    return dict(re.split(r" {2,}", line, maxsplit=1) for line in batch("status", out).splitlines())


def num_generated(stdout: str) -> int:
    """Return the number of images that a run of `seedmint batch run` generated, from its summary; 0 without images."""
    match = re.search(r"([\d,]+) \w+ in [\d:]+: [\d,]+/s", stdout)
    return int(match[1].replace(",", "")) if match else 0


def numbers_of_last_line(text: str) -> list[int]:
    """Return the numbers in the last line of the output of a command, such as complete shards and all shards."""
    lines = text.strip().splitlines()
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", lines[-1])] if lines else []


def batch_error(*arguments: str | Path) -> UserError:
    """Run `seedmint batch` in this process. Returns its error."""
    result = CliRunner().invoke(cli, ["batch", *map(str, arguments)])
    assert isinstance(result.exception, UserError), (result.exception, result.output)
    assert "\n" not in str(result.exception)
    return result.exception
