"""Small jobs for tests: plans of test generators, made in this process, and what an output holds."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.job import begin, finish, missing
from seedmint.service.batch.plan import Plan, make_plan
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.base import Output
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import Generator

ROOT = Path(__file__).parents[2]


def plan_for(generator: Generator, seeds: str = "0-99", form: str = "webdataset", shard_size: int = 32, **changes: Any) -> Plan:
    """A plan of a generator that is open."""
    options: dict[str, Any] = {"labels": None, "truncation": 1.0} | changes
    return make_plan(
        generator.digest,
        generator.card,
        generator.provider,
        parse_seeds(seeds),
        form=form,  # type: ignore[arg-type]
        shard_size=shard_size,
        **options,
    )


def make_all(output: Output, plan: Plan, generator: Generator, backwards: bool = False) -> None:
    """A whole job without any engine."""
    begin(output, plan)
    shards = missing(output, plan).tolist()
    for index in reversed(shards) if backwards else shards:
        make_shard(generator, plan, index, output)
    assert finish(output, plan)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an output, by its name; hidden ones, too, but for the lock."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def whole(tmp_path: Path, generator: Generator, seeds: str, form: str, shard_size: int) -> dict[str, str]:
    """What a job leaves that was made at once, in this process."""
    out = tmp_path / "whole"
    make_all(open_output(str(out)), plan_for(generator, seeds, form, shard_size), generator)
    return hashes(out)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "seedmint", "batch", "run", *map(str, arguments)]


def start(*arguments: str | Path, **variables: str) -> "subprocess.Popen[str]":
    """The command, as a shell starts it: the leader of its own group. `variables` are more of its environment."""
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


def ended(*arguments: str | Path) -> tuple[int, str, str]:
    """The command's exit status, standard output and standard error."""
    process = start(*arguments)
    said, complained = process.communicate(timeout=120)
    return process.returncode, said, complained
