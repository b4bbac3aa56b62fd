"""The command `export`."""

from pathlib import Path
from typing import Literal

import click

from seedmint.models.card import check_generator_name
from seedmint.models.directory import models_directory
from seedmint.training.cli.options import MODELS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the generator: NAME.onnx, and /v1/models/NAME.")
@click.option("--title", help="One line for people. Default: the title of the recipe.")
@click.option("--step", type=int, help="Step of the checkpoint. Default: the newest.")
@click.option("--weights", type=click.Choice(["ema", "last"]), help="Default: ema if the checkpoint has averaged weights.")
@click.option("--best", is_flag=True, help="Export the checkpoint with the best value of the recipe's keep_best.")
@click.option("--replace", is_flag=True, help="Replace a generator of the same name.")
@MODELS
def export(
    run: Path,
    name: str,
    title: str | None,
    step: int | None,
    weights: Literal["ema", "last"] | None,
    best: bool,
    replace: bool,
    models: Path | None,
) -> None:
    """Export a checkpoint of a run as a generator file.

    RUN is the directory from `seedmint train --out`.

    The command verifies the file with ONNX's checker, with the generator contract, and by a comparison of ONNX Runtime with
    torch over 1,000 seeds; the outputs may differ by one gray level. A running service loads the file within seconds.

    \b
    Example:
      seedmint export runs/d --name mine
    """
    check_generator_name(name)
    from seedmint.training.export.onnx_export import install_generator
    from seedmint.training.runs.export_run import export_run

    path = install_generator(export_run(run, name, title, step, weights, best), models or models_directory(), name, replace)
    click.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
