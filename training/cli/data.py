"""The commands `data inspect` and `new`."""

import json
from pathlib import Path

import click

from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.training.cli.data_report import format_report
from seedmint.training.cli.options import SET


@click.group()
def data() -> None:
    """Look at images, a table or series before training."""


@data.command()
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON document.")
@SET
def inspect(path: str, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Print what a folder or file of images holds, and pack the images for training; or print the columns of a table or series.

    PATH is a folder of images (one subfolder for each class, or none), a .zip file of such a folder, an .npz or .npy file, a
    WebDataset .tar file or a folder of such files, a Parquet file with a Hugging Face Image column, or the output of `seedmint
    batch run`. It can be a URL such as s3://bucket/photos. Or PATH is a table, a .csv, .tsv or .parquet file; or
    strings, a .txt file with one a line. Or PATH holds series: such a file with a column of regular times, or with one series
    in each row; an .npz file with an array `series`; or a folder of .csv or .npy files, one for each series.

    The images are decoded once into a file in the cache ($SEEDMINT_CACHE, or the user's cache directory). Training, resuming
    and evaluating read this file. About one image in ten is held out: training never uses it, and `seedmint evaluate` compares
    with it.

    \b
    Examples:
      seedmint data inspect photos
      seedmint data inspect photos.zip --set data.side=64 --json
      seedmint data inspect people.csv --set data.label=region
      seedmint data inspect sensors.csv --set data.window=48
    """
    from seedmint.training.cli.front_door import (
        inspect_path,
        inspect_series_path,
        inspect_table_path,
        is_series,
        is_table,
    )
    from seedmint.training.datasets.read_once import read_once

    with read_once():
        has_series = is_series(path, overrides)
        rows = inspect_series_path if has_series else inspect_table_path if is_table(path) else None
        report = None if rows is None else rows(path, overrides)
    if report is not None:
        click.echo(json.dumps(report.document(), indent=2) if as_json else "\n".join(report.lines()))
        return
    packed = inspect_path(path, overrides)
    if as_json:
        document = {
            "path": path,
            "digest": packed.pack.digest,
            "file": str(packed.pack.path),
            **packed.report.document(),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(format_report(path, packed.report))
        click.echo(f"  file     {packed.pack.path} ({packed.pack.path.stat().st_size / 1e6:,.1f} MB)")


@click.command()
@click.argument("path")
@click.option("--out", type=click.Path(path_type=Path), help="Write the recipe to this .yaml file. Default: NAME.yaml.")
@SET
def new(path: str, out: Path | None, overrides: tuple[str, ...]) -> None:
    """Write a recipe for your images, table or series, with comments, without training.

    PATH is a folder or file of images, a table or series, see `seedmint data inspect --help`.

    \b
    Example:
      seedmint new photos
      seedmint train photos.yaml
    """
    from seedmint.training.cli.front_door import derive
    from seedmint.training.recipes.commented import commented_yaml

    derived = derive(path, overrides, has_gpu=False)
    target = Path(f"{derived.recipe.name}.yaml") if out is None else out
    if target.exists():
        raise UserError(f"{target} exists; choose another file", field="out", reason="file_exists")
    write_whole(target, commented_yaml(derived.document, derived.comments).encode())
    click.echo(f"{target}  Next: seedmint train {target}")
