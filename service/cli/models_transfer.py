"""The commands `models push` and `models pull`: copy generators to and from places."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seedmint.models.errors import UserError
from seedmint.models.places import place_name
from seedmint.service.cli.options import settings_with
from seedmint.service.places.lookup import all_files, find_file
from seedmint.service.settings import variable

if TYPE_CHECKING:
    from seedmint.service.places.transfer import Transfer

_JSON_HELP = "Print a JSON array with the name, the digest and the target of each file."


@click.command()
@click.argument("model", nargs=-1, required=True)
@click.argument("place")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@click.option("--models", "directory", help=f"Places of the generators, separated by commas [{variable('models')}].")
def push(model: tuple[str, ...], place: str, as_json: bool, directory: str | None) -> None:
    """Copy generators to a place, from which servers load them.

    \b
    seedmint models push mnist s3://bucket/generators
    seedmint models push ./mine.onnx digits /srv/generators

    MODEL is the name of a generator, NAME@DIGEST, or the path of a generator file. PLACE is a folder, or the URL of a prefix:
    s3://, gs://, az:// or hf://user/repo. The files are named NAME@DIGEST12.onnx, so that earlier versions stay; servers use
    the newest version unless the place has NAME.onnx or pins a version in its file `aliases`. A file that is there is not sent
    again. The credentials are those of the store's own tools.
    """
    from seedmint.service.places.transfer import push_file

    needs_places = any("/" not in name and not name.endswith(".onnx") for name in model)
    settings = settings_with(directory) if needs_places else settings_with(str(Path.cwd()))
    paths = [find_file(name, settings) for name in model]
    _report((push_file(path, place) for path in _with_bar(paths)), as_json)


@click.command()
@click.argument("place")
@click.argument("model", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
@click.option("--models", "directory", help=f"Folder that receives the files [first folder of {variable('models')}].")
def pull(place: str, model: tuple[str, ...], as_json: bool, directory: str | None) -> None:
    """Copy generators from a place to a folder.

    \b
    seedmint models pull s3://bucket/generators mnist
    seedmint models pull hf://user/repo mnist@97b749bd861e --models ~/generators
    seedmint models pull https://example.org/faces.onnx

    MODEL is a name, for the present version, or NAME@DIGEST; by default all files of the place. The files are named
    NAME@DIGEST12.onnx.
    """
    from seedmint.service.places.transfer import push_file

    folder = settings_with(directory).folder
    source = settings_with(place)
    try:
        paths = [find_file(name, source) for name in model] or all_files(source)
    except UserError as error:
        if error.field == "models":  # the place cannot be read
            error.field = "place"
        raise
    if not paths:
        raise UserError(f"no generator file in {place_name(place)}", field="place", reason="not_found")
    _report((push_file(path, str(folder)) for path in _with_bar(paths)), as_json)


def _with_bar(paths: list[Path]) -> Iterable[Path]:
    """Yield the paths, with a progress bar on a terminal."""
    with click.progressbar(paths, label="files", file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True) as bar:
        yield from bar


def _report(transfers: "Iterable[Transfer]", as_json: bool) -> None:
    done = []
    for transfer in transfers:
        done.append({"name": transfer.name, "digest": transfer.digest, "target": transfer.target, "written": transfer.is_new})
        if not as_json:
            state = f"{transfer.size:,} bytes" if transfer.is_new else "was there already"
            click.echo(f"{transfer.name}@{transfer.digest[:12]}  {transfer.target}  {state}")
    if as_json:
        click.echo(json.dumps(done, indent=2))
