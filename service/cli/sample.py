"""The command `sample`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from seedmint.models.directory import find_generator
from seedmint.models.errors import UserError
from seedmint.models.seeds import SeedCountError, parse_seeds
from seedmint.service.cli.options import label_number, settings_with

_WORTH_A_BAR = 1000  # images


_MOST_SEEDS = 10_000_000  # of one `sample`


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
    from seedmint.service.cli.sample_files import sample_to
    from seedmint.service.runtime.generator import check_truncation, open_generator

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
        from seedmint.service.cli.walk_file import walk_to  # needs what serving needs

        count = walk_to(out, generator, *walk, frames, number, truncation, scale)
        click.echo(f"{count} frames of {generator.name}@{generator.digest12} in {out}")
        return
    quiet = asked.count < _WORTH_A_BAR or not sys.stderr.isatty()
    noun = generator.card.output.kind
    progress = click.progressbar(length=asked.count, label=f"{noun}s", file=sys.stderr, hidden=quiet, show_pos=True)
    with _ended_by_sigterm(), progress as bar:
        sample_to(out, generator, asked, number, truncation, scale, columns, bar.update)
    click.echo(f"{asked.count} {noun}{'s' * (asked.count != 1)} of {generator.name}@{generator.digest12} in {out}")


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
