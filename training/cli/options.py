"""Options that several commands share."""

from pathlib import Path
from typing import get_args

import click

from seedmint.training.recipes.schema import ImageMetric

MODELS = click.option(
    "--models",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SEEDMINT_MODELS",
    show_envvar=True,
    help="Directory of generator files. Default: the directory that `seedmint serve` serves.",
)
DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    help="Device of the training: mps is the GPU of a Mac. auto uses CUDA if torch finds a GPU. Only the CPU guarantees "
    "identical results.",
)
DATA = click.option(
    "--data",
    metavar="SOURCE[:PATH]",
    help="Data to compare with: digits, mnist, ..., or folder:PATH, zip:PATH, npz:PATH, webdataset:PATH, parquet:PATH, "
    "batch:PATH, table:PATH, series:PATH. Default: the source on the card.",
)
METRICS = click.option(
    "--metrics",
    metavar="NAME,NAME",
    help=f"Metrics to measure: {', '.join(get_args(ImageMetric))}. Default: all that apply.",
)
SAMPLES = click.option(
    "--samples",
    type=click.IntRange(10, 100_000),
    help="Number of generated images for each metric. Default: 10,000; modes 26,000; nearest 5,000.",
)
SET = click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change a field of the recipe; repeatable.")
WATCH = click.option("--watch", "is_watched", is_flag=True, help="Serve the page of `seedmint watch` until the training ends.")
WATCH_PORT = click.option(
    "--watch-port",
    default=6010,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the page; 0 chooses a free one.",
)
