"""The commands `serve`, `sample`, `models` and `keys`. BentoML is loaded by `serve` alone."""

import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from models.card import Card, ImageOutput
from models.directory import find_generator
from models.errors import UserError, one_line
from models.noise import NOISE_RULES
from models.seeds import SeedCountError, parse_seeds
from service.adding import add
from service.keys import new_key, read_keyring
from service.machine import check_tables
from service.settings import Settings, SettingsError, default_text, read_settings, variable

_ROOT = Path(__file__).parent.parent
_WORTH_A_BAR = 1000  # images
_MOST_SEEDS = 10_000_000  # of one `sample`
_CLOSING_SECONDS = 2  # for connections, once what was under way is done: service/stopping.py waits for that


def _settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each setting: --max-batch for SEEDMINT_MAX_BATCH."""
    for field, info in reversed(Settings.model_fields.items()):
        flag = "--" + field.replace("_", "-")
        default = "default: the generators that come with Seedmint" if field == "models" else f"default {default_text(field)}"
        metavar = "true|false" if info.annotation is bool else field.split("_")[-1].upper()
        text = f"{info.description} [{variable(field)}; {default}]"
        command = click.option(flag, field, metavar=metavar, help=text)(command)
    return command


@click.command()
@_settings_options
def serve(**options: str | None) -> None:
    """Serve every generator of the models directory over HTTP.

    \b
    seedmint serve
    seedmint serve --models ~/generators --host 0.0.0.0 --port 8080 --workers 2

    \b
    Then:
      curl -L localhost:3000/v1/models/mnist/images/42.png --output 42.png
      curl localhost:3000/v1/models
      open http://localhost:3000/

    Each option is also an environment variable, named in brackets. Stop with Ctrl-C or SIGTERM: what is under way is finished.
    """
    given = {variable(field): value for field, value in options.items() if value is not None}
    settings = _checked(read_settings(os.environ | given))
    _check_port(settings)
    check_tables(*NOISE_RULES)
    read_keyring(settings)
    if settings.jobs is not None:
        _check_jobs(settings.jobs)
    if settings.provider == "cuda":
        from service.provider import choose_provider

        choose_provider("cuda")  # what is missing is told here, not by each worker
    _serve(settings)


def _check_jobs(place: str) -> None:
    """What is wrong with it is told here, not by each worker."""
    try:
        from service.batch.output import open_output

        open_output(place).prepare()
    except ImportError as error:
        raise SettingsError(
            f"{variable('jobs')} is set, and {error.name} is not installed: install the extra `batch`"
        ) from None
    except (UserError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error).removeprefix("--out ")
        raise SettingsError(f"{variable('jobs')} is {place!r}: {said}") from None


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if settings.host.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(settings.host), settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Try another {variable('port')}"
            ) from None


def _serve(settings: Settings) -> None:
    """Run BentoML's supervisor in this process, until a signal stops it."""
    # A home of its own for each server: BentoML keeps the workers' metrics there, and empties them when another server starts.
    home = tempfile.mkdtemp(prefix="seedmint-")
    quiet = {"BENTOML_HOME": home, "BENTOML_QUIET": "true", "BENTOML_DO_NOT_TRACK": "true"}
    os.environ.update(settings.to_environment() | quiet)
    os.chdir(_ROOT)  # the workers import the service from here
    try:
        from _bentoml_impl.server import serve_http  # type: ignore[import-untyped]
        from bentoml._internal.log import configure_logging

        from service.app import Seedmint
        from service.logs import configure_logs
        from service.supervising import look_often

        host = f"[{settings.host}]" if settings.host.version == 6 else str(settings.host)
        host = "localhost" if settings.host.is_unspecified else host
        # What Seedmint.serve_http does, which cannot say how long to wait for what is under way.
        Seedmint.inject_config()  # type: ignore[attr-defined]  # the decorator makes it a bentoml.Service
        if settings.tracing:
            _check_tracing()
        configure_logging()  # type: ignore[no-untyped-call]
        configure_logs(settings.log_format)
        started = f"Seedmint on http://{host}:{settings.port} (generators of {settings.models}; Ctrl-C stops)"
        if settings.log_format == "json":
            logging.getLogger("seedmint").info(started)
        else:
            click.echo(started)
        look_often()
        serve_http(Seedmint, host=str(settings.host), port=settings.port, timeout_graceful_shutdown=_CLOSING_SECONDS)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _check_tracing() -> None:
    """What BentoML's settings for traces ask for, tried once here: each worker would fail on it, again and again."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    if BentoMLContainer.config.tracing.exporter_type.get() is None:
        raise SettingsError(f"{variable('tracing')} is true, and BentoML's settings name no services.tracing.exporter_type")
    try:
        BentoMLContainer.tracer_provider.get().shutdown()
    except ImportError as error:
        raise SettingsError(
            f"{variable('tracing')} is true, and the exporter is not installed (bentoml[tracing-otlp], for one): {error}"
        ) from None


@click.command()
@click.argument("model")
@click.option("--seeds", help='Which seeds: "0-63", "7", "0-9,100" (ranges are inclusive).')
@click.option("--walk", nargs=2, metavar="FROM TO", help="Instead of --seeds: a walk from the image of one seed to another's.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where to: see above.")
@click.option("--label", help="One label for all: its number, or its class's name. Default: the labels that the seeds name.")
@click.option("--truncation", type=float, default=1.0, help="Factor on z, 0.001 to 1: less variety, more typical.")
@click.option("--scale", type=int, default=1, help="Enlarge each image by a whole number.")
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of a contact sheet. Default: about square.")
@click.option("--frames", type=int, help="Frames of a walk. Default: 32.")
@click.option("--models", "directory", help="Directory of generators [SEEDMINT_MODELS].")
def sample(
    model: str,
    seeds: str | None,
    walk: tuple[str, str] | None,
    out: Path,
    label: str | None,
    truncation: float,
    scale: int,
    columns: int | None,
    frames: int | None,
    directory: str | None,
) -> None:
    """Write the images or samples of seeds to files, without a server.

    MODEL is the name of a generator in the models directory, or a path to a generator file. What --out is called decides what
    is written. Of a generator of images:

    \b
      NAME.png, NAME.webp    a contact sheet
      NAME.zip               PNGs, the same bytes as the service's
      NAME.npz               arrays: images, seeds, labels
      NAME.npy               one array: images
      anything else          a directory of the zip's files: SEED.png, or LABEL/SEED.png of a conditional generator

    With --walk, NAME.webp and NAME.gif are animations, and NAME.png a strip of all frames: the same bytes as the service's.

    Of a generator of samples, which are not images:

    \b
      NAME.csv, NAME.jsonl   a line for each sample, or for each step of a series
      NAME.npz               arrays: samples, seeds, labels
      NAME.npy               one array: samples
      NAME.png               a plot of all

    \b
    seedmint sample mnist --seeds 0-63 --out grid.png
    seedmint sample mnist --seeds 0-99 --label 7 --out sevens/
    seedmint sample mnist --walk 1 2 --out walk.webp
    seedmint sample ./mine.onnx --seeds 0-9999 --out mine.npz
    seedmint sample ring-2d --seeds 0-999 --out ring.csv
    """
    from service.generator import check_truncation, open_generator
    from service.sampling import sample_to

    if (seeds is None) == (walk is None):
        raise UserError("give --seeds, or --walk FROM TO: one of the two")
    if walk is None and frames is not None:
        raise UserError("--frames is for --walk")
    if walk is not None and columns is not None:
        raise UserError("--columns is for a contact sheet, not for --walk")
    settings = settings_with(directory)
    try:
        asked = parse_seeds(seeds, _MOST_SEEDS) if seeds is not None else None
    except SeedCountError as error:
        raise UserError(f"--seeds: {error}: write them in several files") from None
    try:
        truncation = check_truncation(truncation)
    except UserError as error:
        raise UserError(f"--{error}") from None
    generator = open_generator(find_generator(model, settings.models), settings.provider, settings.threads, settings.max_batch)
    number = None if label is None else label_number(label, generator.card)
    if asked is None:
        assert walk is not None
        from service.walking import walk_to  # needs what serving needs

        count = walk_to(out, generator, *walk, frames, number, truncation, scale)
        click.echo(f"{count} frames of {generator.name}@{generator.digest12} in {out}")
        return
    quiet = asked.count < _WORTH_A_BAR or not sys.stderr.isatty()
    noun = generator.card.output.kind
    progress = click.progressbar(length=asked.count, label=f"{noun}s", file=sys.stderr, hidden=quiet, show_pos=True)
    with _ended_by_sigterm(), progress as bar:
        sample_to(out, generator, asked, number, truncation, scale, columns, bar.update)
    click.echo(f"{asked.count} {noun}{'s' * (asked.count != 1)} of {generator.name}@{generator.digest12} in {out}")


@click.group()
def keys() -> None:
    """Make API keys for `serve`."""


@keys.command()
@click.argument("name")
def new(name: str) -> None:
    """Make a key for NAME, who will be known by that name in logs and limits.

    The key is shown on standard error, and never again. The line on standard output is what the server needs; it does not give
    the key away. Several keys may have one name.

    \b
    seedmint keys new alice >> keys.txt
    SEEDMINT_API_KEYS_FILE=keys.txt seedmint serve
    """
    key, line = new_key(name)
    click.echo(key, err=True)
    click.echo(line)


@click.group()
def models() -> None:
    """List the generators, show the card of one, or add one that others have made."""


@models.command("list")
@click.option("--models", "directory", help="Directory of generators [SEEDMINT_MODELS].")
def list_models(directory: str | None) -> None:
    """List the generator files of the models directory, and say what is wrong with those that would be refused."""
    from service.generator import DIGEST12, check_name, checked_card, digest_of, read_content

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
    from service.generator import checked_card, digest_of, read_content

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


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as an exception does, so that no half-written file stays. Exit status 143, as without it."""

    def leave(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def settings_with(directory: str | None) -> Settings:
    return _checked(read_settings(os.environ | ({} if directory is None else {variable("models"): directory})))


def _checked(settings: Settings) -> Settings:
    if not settings.models.is_dir():
        raise SettingsError(f"{variable('models')}: there is no directory {settings.models}")
    return settings


def label_number(label: str, card: Card, option: str = "--label") -> int:
    """The label that a number or a class's name names. A number is always a label, as in addresses.

    Raises:
        UserError: there is no such label.
    """
    if card.classes is None:
        raise UserError(f"{option}: generator {card.name!r} is not conditional")
    if label.isdecimal() and int(label[:9]) < len(card.classes):
        return int(label)
    if label in card.classes and not label.isdecimal():
        return card.classes.index(label)
    raise UserError(f"{option} {label!r}: not a number from 0 to {len(card.classes) - 1}, nor one of its classes' names")
