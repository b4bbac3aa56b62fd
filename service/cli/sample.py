"""The command `sample`: writes images or samples to files, without a server."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.models.seeds import parse_seed, parse_seeds
from seedmint.service.cli.options import set_error_field, settings_with
from seedmint.service.places.lookup import find_file
from seedmint.service.specs.values import label_choice, require_choice

_MAX_SEEDS = 10_000_000
_PROGRESS_BAR_COUNT = 1000  # show a progress bar from this number of images


@click.command()
@click.argument("model")
@click.option("--seeds", help='Seeds, for example "7", "0-63" or "0-9,100". Ranges include both ends.')
@click.option("--walk", nargs=2, metavar="FROM TO", help="Write a latent walk from seed FROM to seed TO. Replaces --seeds.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Output file or directory. The name selects the format."
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Class number or class name of all images. Of a table also COLUMN=VALUE, once for each column of labels. Default: the "
    "label that each seed determines.",
)
@click.option("--truncation", type=float, default=1.0, help="Factor on z, 0.001 to 1. Smaller values give less variety.")
@click.option("--scale", type=int, default=1, help="Integer factor of the enlargement of each image.")
@click.option("--columns", type=int, help="Images per row of a contact sheet. Default: an almost square sheet.")
@click.option("--frames", type=int, help="Number of frames of a latent walk. Default: 32.")
@click.option("--models", help="Directory of generator files [SEEDMINT_MODELS].")
def sample(
    model: str,
    seeds: str | None,
    walk: tuple[str, str] | None,
    out: Path,
    labels: tuple[str, ...],
    truncation: float,
    scale: int,
    columns: int | None,
    frames: int | None,
    models: str | None,
) -> None:
    """Write images or samples to files, without a server.

    \b
    seedmint sample mnist --seeds 0-63 --out grid.png
    seedmint sample mnist --seeds 0-99 --label 7 --out sevens/
    seedmint sample mnist --walk 1 2 --out walk.webp
    seedmint sample ./mine.onnx --seeds 0-9999 --out mine.npz
    seedmint sample ring-2d --seeds 0-999 --out ring.csv

    MODEL is the name of a generator in the models directory, or the path of a generator file. The name of --out sets the
    format. For a generator of images:

    \b
      NAME.png, NAME.webp    contact sheet
      NAME.zip               PNG files, the same bytes as the service returns
      NAME.npz               arrays: images, seeds, labels
      NAME.npy               one array: images
      any other name         directory with the files of the zip: SEED.png, or LABEL/SEED.png for a conditional generator

    With --walk, NAME.webp and NAME.gif are animations, and NAME.png is a strip of all frames. The bytes are the same as the
    service returns.

    For a generator of samples (data that are not images):

    \b
      NAME.csv, NAME.jsonl   one line per sample, or one line per step of a series
      NAME.txt               one line per sample, of a generator of strings
      NAME.npz               arrays: samples, seeds, labels
      NAME.npy               one array: samples
      NAME.png               plot of all samples
    """
    from seedmint.service.cli.sample_files import SampleRequest, write_outputs, write_walk
    from seedmint.service.runtime.generator import open_generator

    if (seeds is None) == (walk is None):
        raise UserError("pass either --seeds or --walk FROM TO", reason="conflict")
    if walk is None and frames is not None:
        raise UserError("only a latent walk has frames: pass --walk", field="frames", reason="not_applicable")
    if walk is not None and columns is not None:
        raise UserError("only a contact sheet has columns: omit --walk", field="columns", reason="not_applicable")
    settings = settings_with(models)
    seed_values = None
    if seeds is not None:
        with set_error_field("seeds"):
            seed_values = parse_seeds(seeds, _MAX_SEEDS)
    path = find_file(model, settings)
    generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
    choice = require_choice(generator, label_choice(labels, generator.card))
    if seed_values is None:
        assert walk is not None
        with set_error_field("walk"):
            start, end = (parse_seed(seed) for seed in walk)
        count = write_walk(out, generator, start, end, frames, choice if isinstance(choice, int) else None, truncation, scale)
        click.echo(f"{count} frames of {generator.name}@{generator.digest12} in {out}")
        return
    request = SampleRequest(generator, seed_values, choice, truncation, scale, columns)
    hidden = seed_values.count < _PROGRESS_BAR_COUNT or not sys.stderr.isatty()
    noun = generator.card.output.kind
    bar = click.progressbar(length=seed_values.count, label=f"{noun}s", file=sys.stderr, hidden=hidden, show_pos=True)
    with _exit_on_sigterm(), bar:
        write_outputs(out, request, bar.update)
    click.echo(f"{seed_values.count} {noun}{'s' * (seed_values.count != 1)} of {generator.name}@{generator.digest12} in {out}")


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit` with status 143, so that `whole_file` removes its incomplete file."""

    def exit_process(*_: object) -> None:
        sys.exit(128 + signal.SIGTERM)

    previous = signal.signal(signal.SIGTERM, exit_process)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
