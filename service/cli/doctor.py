"""The command `doctor`."""

import json
from dataclasses import asdict

import click

from seedmint.service.cli.doctor_checks import Check, run_checks

_MARKS = {"ok": "ok", "note": "note", "failed": "FAILED"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the checks as a JSON array.")
@click.option("--models", "directory", help="Directory of generator files [SEEDMINT_MODELS].")
def doctor(as_json: bool, directory: str | None) -> None:
    """Check this machine and this installation: what works, and what to do about the rest.

    \b
    seedmint doctor
    seedmint doctor --models ~/generators --json

    The checks: settings, libraries, processor, memory, CUDA, each generator file, free disk space, the port, and telemetry of
    libraries, which must be off. A note is a restriction. The exit status is 1 if a check failed.
    """
    found: list[Check] = []
    for check in run_checks(directory):
        found.append(check)
        if not as_json:
            click.echo(f"{_MARKS[check.state]:<7} {check.name:<24} {check.text}")
            if check.cure is not None:
                click.echo(f"{'':<32} -> {check.cure}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in found], indent=2, ensure_ascii=False))
    raise SystemExit(1 if any(check.state == "failed" for check in found) else 0)
