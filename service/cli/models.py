"""The commands `models list` and `models show`."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from seedmint.models.card import Card, ImageOutput
from seedmint.models.errors import UserError, one_line
from seedmint.models.places import is_url, place_name
from seedmint.service.cli.models_add import add
from seedmint.service.cli.models_transfer import pull, push
from seedmint.service.cli.models_upgrade import upgrade
from seedmint.service.cli.models_verify import verify
from seedmint.service.cli.options import settings_with
from seedmint.service.places.lookup import find_file, place_names, read_store


@click.group()
def models() -> None:
    """List, show, import, verify, upgrade or copy generators.

    \b
    seedmint models list
    seedmint models show mnist
    seedmint models add dcgan.onnx --name faces
    seedmint models verify
    seedmint models upgrade faces.onnx
    seedmint models push mnist s3://bucket/generators
    seedmint models pull s3://bucket/generators mnist
    """


models.add_command(add)
models.add_command(pull)
models.add_command(push)
models.add_command(upgrade)
models.add_command(verify)


@models.command("list")
@click.argument("place", nargs=-1)
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON array with the digest and the card of each file, or its error."
)
@click.option("--models", "directory", help="Places of generators, separated by commas [SEEDMINT_MODELS].")
def list_models(place: tuple[str, ...], as_json: bool, directory: str | None) -> None:
    """List the generator files of PLACE, by default of SEEDMINT_MODELS.

    \b
    seedmint models list
    seedmint models list ~/generators --json
    seedmint models list s3://bucket/generators

    Each line has the name, the first 12 digits of the file's SHA-256, the size of an output, the classes and the title.
    The line of an invalid file has the reason. Files of a URL are not downloaded: their lines have the size of the file, the
    time of the last change and the place.
    """
    from seedmint.service.batching.other_files import OtherFiles

    settings = settings_with(",".join(place) or directory)
    found: list[_Listed | _Remote] = []
    for location in settings.models:
        found += _listed_remote(location) if is_url(location) else map(_listed, sorted(Path(location).glob("*.onnx")))
    if as_json:
        click.echo(json.dumps([entry.document() for entry in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo(f"no generator file in {place_names(settings)}", err=True)
    width = max((len(entry.stem) for entry in found), default=0)
    for entry in found:
        click.echo(entry.line(width))
    for folder in settings.folders:
        for message in OtherFiles(folder).new_messages():
            click.echo(message, err=True)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file of a URL."""

    stem: str
    place: str
    size: int | None
    modified: float | None

    def line(self, width: int) -> str:
        size = "unknown size" if self.size is None else f"{self.size:,} bytes"
        return f"{self.stem:<{width}}  {size:>20}  {self._time() or '':<20}  {self.place}"

    def document(self) -> dict[str, Any]:
        return {"file": f"{self.stem}.onnx", "place": self.place, "size": self.size, "modified": self._time()}

    def _time(self) -> str | None:
        if self.modified is None:
            return None
        return datetime.fromtimestamp(self.modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed_remote(url: str) -> list[_Remote]:
    _, listing = read_store(url)
    return [_Remote(one_line(file.stem), place_name(url), file.size, file.modified) for file in listing.files]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file of the models directory: its digest and card, or why it is invalid."""

    stem: str
    digest: str | None = None
    card: Card | None = None
    error: str | None = None

    def line(self, width: int) -> str:
        if self.card is None or self.digest is None:
            return f"{self.stem:<{width}}  invalid: {self.error}"
        classes = f"{len(self.card.classes)} classes" if self.card.classes else "no classes"
        return f"{self.stem:<{width}}  {self.digest[:12]}  {_output_size(self.card):<12} {classes:<12} {self.card.title}"

    def document(self) -> dict[str, Any]:
        if self.card is None:
            return {"file": f"{self.stem}.onnx", "error": self.error}
        return {"file": f"{self.stem}.onnx", "digest": self.digest, "card": self.card.model_dump(mode="json", by_alias=True)}


def _listed(path: Path) -> _Listed:
    from seedmint.models.runtime.generator_file import check_name, checked_card, digest_of, read_content

    try:
        content = read_content(path)
        card, digest = checked_card(content), digest_of(content)
        check_name(card, path, digest)
    except (UserError, OSError) as error:
        return _Listed(one_line(path.stem), error=one_line(error))
    return _Listed(path.stem, digest, card)


@models.command()
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print the digest of the file and its card as JSON.")
@click.option("--models", "directory", help="Directory of generator files [SEEDMINT_MODELS].")
def show(model: str, as_json: bool, directory: str | None) -> None:
    """Show the card of a generator.

    \b
    seedmint models show mnist
    seedmint models show ./mine.onnx --json

    MODEL is the name of a generator in the models directory, or the path of a generator file.
    """
    from seedmint.models.runtime.generator_file import checked_card, digest_of, read_content

    content = read_content(find_file(model, settings_with(directory)))
    document = checked_card(content).model_dump(mode="json", by_alias=True)
    digest = digest_of(content)
    if as_json:
        click.echo(json.dumps({"digest": digest, "card": document}, indent=2, ensure_ascii=False))
        return
    click.echo(f"digest: {digest}")
    if document["reference"] is not None:
        del document["reference"]["values"]["data"]  # binary data
    _print_fields(document, "")


def _output_size(card: Card) -> str:
    output = card.output
    if isinstance(output, ImageOutput):
        return f"{output.width}x{output.height}x{output.channels}"
    columns = f"{len(output.names)} column{'s' * (len(output.names) != 1)}"
    return columns if len(output.shape) == 1 else f"series {output.shape[0]}x{output.shape[1]}"


def _print_fields(fields: dict[str, Any], indent: str) -> None:
    """Print one line for each field, without empty fields."""
    for field, value in fields.items():
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, dict):
            click.echo(f"{indent}{field}:")
            _print_fields(value, indent + "  ")
        elif isinstance(value, list) and isinstance(value[0], dict):
            click.echo(f"{indent}{field}:")
            for item in value:
                click.echo(f"{indent}  - " + ", ".join(f"{key} {inner}" for key, inner in item.items()))
        else:
            click.echo(f"{indent}{field}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
