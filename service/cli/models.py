"""The commands `serve`, `sample`, `models` and `keys`. BentoML is loaded by `serve` alone."""

import json
from typing import Any

import click

from seedmint.models.card import Card, ImageOutput
from seedmint.models.directory import find_generator
from seedmint.models.errors import UserError, one_line
from seedmint.service.cli.models_add import add
from seedmint.service.cli.options import settings_with


@click.group()
def models() -> None:
    """List the generators, show the card of one, or add one that others have made."""


@models.command("list")
@click.option("--models", "directory", help="Directory of generators [SEEDMINT_MODELS].")
def list_models(directory: str | None) -> None:
    """List the generator files of the models directory, and say what is wrong with those that would be refused."""
    from seedmint.models.runtime.generator_file import DIGEST12, check_name, checked_card, digest_of, read_content

    settings = settings_with(directory)
    paths = sorted(settings.models.glob("*.onnx"))
    if not paths:
        click.echo(f"no generator in {settings.models}", err=True)
    for path in paths:
        try:
            content = read_content(path)
            card = checked_card(content)
            digest = digest_of(content)
            check_name(card, path, digest)
        except (UserError, OSError) as error:
            click.echo(f"{one_line(path.stem):<16} refused: {one_line(error)}")
            continue
        size = _size(card)
        classes = f"{len(card.classes)} classes" if card.classes else "no classes"
        click.echo(f"{card.name:<16} {digest[:DIGEST12]}  {size:<12} {classes:<12} {card.title}")


def _size(card: Card) -> str:
    output = card.output
    if isinstance(output, ImageOutput):
        return f"{output.width}x{output.height}x{output.channels}"
    columns = f"{len(output.names)} column{'s' * (len(output.names) != 1)}"
    return columns if len(output.shape) == 1 else f"series {output.shape[0]}x{output.shape[1]}"


@models.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="As JSON: the file's digest and its card.")
@click.option("--models", "directory", help="Directory of generators [SEEDMINT_MODELS].")
def show(model: str, as_json: bool, directory: str | None) -> None:
    """Show the card of a generator: MODEL is its name, or a path to its file."""
    from seedmint.models.runtime.generator_file import checked_card, digest_of, read_content

    content = read_content(find_generator(model, settings_with(directory).models))
    document = checked_card(content).model_dump(mode="json", by_alias=True)
    digest = digest_of(content)
    if as_json:
        click.echo(json.dumps({"digest": digest, "card": document}, indent=2, ensure_ascii=False))
        return
    click.echo(f"digest: {digest}")
    _show(document, "")


models.add_command(add)


def _show(fields: dict[str, Any], indent: str) -> None:
    """A card for reading: a line for each field, what is unknown left out."""
    for field, value in fields.items():
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, dict):
            click.echo(f"{indent}{field}:")
            _show(value, indent + "  ")
        elif isinstance(value, list) and isinstance(value[0], dict):
            click.echo(f"{indent}{field}:")
            for item in value:
                click.echo(f"{indent}  - " + ", ".join(f"{key} {inner}" for key, inner in item.items()))
        else:
            click.echo(f"{indent}{field}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
