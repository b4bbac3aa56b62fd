"""The command `models verify`: checks generator files against the references of their cards on this machine."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seedmint.models.errors import UserError, one_line
from seedmint.service.cli.options import settings_with
from seedmint.service.places.lookup import all_files, find_file, place_names

if TYPE_CHECKING:
    from seedmint.service.settings import Settings


@click.command()
@click.argument("model", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the outcomes as JSON.")
@click.option("--models", "directory", help="Directory of generator files [SEEDMINT_MODELS].")
def verify(model: tuple[str, ...], as_json: bool, directory: str | None) -> None:
    """Check on this machine that generators compute the outputs on their cards.

    \b
    seedmint models verify
    seedmint models verify mnist ./mine.onnx --json

    MODEL is the name of a generator in the models directory, or the path of a generator file. Default: all generators of the
    directory. Each line says "exact" or "approximate" with the greatest difference. The exit status is 0 if all generators are
    exact, otherwise 1. The command uses SEEDMINT_PROVIDER, SEEDMINT_THREADS and SEEDMINT_MAX_BATCH, as the service does.
    """
    settings = settings_with(directory)
    paths = [find_file(name, settings) for name in model] or all_files(settings)
    if not paths:
        raise UserError(f"no generator file in {place_names(settings)}", field="models", reason="not_found")
    outcomes = []
    for path in paths:
        text, outcome = _outcome(path, settings, by_name=path.parent in settings.folders and not model)
        outcomes.append(outcome)
        if not as_json:
            click.echo(text)
    if as_json:
        click.echo(json.dumps(outcomes, indent=2))
    if any(outcome["determinism"] != "exact" for outcome in outcomes):
        raise click.exceptions.Exit(1)


def _outcome(path: Path, settings: "Settings", by_name: bool) -> tuple[str, dict[str, Any]]:
    """Open one generator file, and return the outcome of its check as a line of text and as a JSON document.

    Args:
        path: The file.
        settings: The settings of the service.
        by_name: Whether the file name must be the name of the generator, as in the models directory.
    """
    from seedmint.models.runtime.generator_file import check_name
    from seedmint.service.runtime.generator import open_generator

    try:
        generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
        if by_name:
            check_name(generator.card, path, generator.digest)
    except (UserError, OSError) as error:
        message = one_line(error)
        return f"{one_line(path.stem):<16} invalid: {message}", {"file": str(path), "determinism": None, "error": message}
    check = generator.check
    document = {
        "file": str(path),
        "name": generator.name,
        "digest": generator.digest,
        "provider": generator.provider,
        "determinism": generator.determinism,
        **dataclasses.asdict(check),
    }
    return f"{generator.name:<16} {generator.digest12}  {check.describe(generator.card)}", document
