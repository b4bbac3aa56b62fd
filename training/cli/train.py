"""The command line of the training wing."""

import re
from pathlib import Path
from typing import Literal

import click
import torch
from rich.console import Console

from seedmint.models.card import NAME_PATTERN
from seedmint.models.directory import models_directory
from seedmint.models.errors import UserError
from seedmint.training.cli.progress import TrainingProgress
from seedmint.training.export.onnx_export import install
from seedmint.training.optimization import distributed
from seedmint.training.recipes.files import load_recipe, shipped_recipes
from seedmint.training.runs.directory import MAY_CHANGE, create, reopen
from seedmint.training.runs.export_run import export_run
from seedmint.training.runs.run import Run

_DEVICE = click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where to compute. auto takes a GPU that works, else the CPU. Exact reproduction is promised on the CPU.",
)
MODELS = click.option(
    "--models",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SEEDMINT_MODELS",
    show_envvar=True,
    help="Directory of generator files. Default: the shipped ones.",
)


def _list_recipes(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        for name in shipped_recipes():
            click.echo(f"{name:16} {load_recipe(name).title}")
        ctx.exit()


@click.command()
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory of the run; must be empty or not there.")
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change a field of the recipe; may be repeated.")
@click.option(
    "--recipes", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes, help="List the shipped recipes."
)
@_DEVICE
def train(recipe: str, out: Path, overrides: tuple[str, ...], device: str) -> None:
    """Train a generator by Algorithm 1.

    RECIPE is the name of a shipped recipe or a YAML file. Shipped: see `seedmint train --recipes`.

    \b
    Examples:
      seedmint train digits --out runs/d
      seedmint train mnist --out runs/m --set steps=2000 --set rule.generator.learning_rate=1e-4
      seedmint train digits --out runs/p --set data.source=folder --set data.path=photos --set data.side=32

    The run's directory holds recipe.yaml, log.jsonl, previews/, tensorboard/ and checkpoints/. Ctrl-C saves and stops;
    `seedmint resume` goes on, to the same weights, bit for bit, as if it had never stopped (on the CPU).
    """
    place = _device(device)
    with distributed.joined(place):
        _drive(create(out, load_recipe(recipe, overrides), place))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--set", "overrides", multiple=True, metavar="FIELD=VALUE", help=f"Change one of {', '.join(MAY_CHANGE)}; may be repeated."
)
@_DEVICE
def resume(run: Path, overrides: tuple[str, ...], device: str) -> None:
    """Go on with a run where it stopped.

    RUN is the directory that `seedmint train --out` made. A damaged checkpoint is named and set aside, and the one before it
    used.

    \b
    Examples:
      seedmint resume runs/d
      seedmint resume runs/d --set steps=20000      train longer
    """
    place = _device(device)
    with distributed.joined(place):
        _drive(reopen(run, place, lambda message: click.echo(f"Warning: {message}", err=True), overrides))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the generator: NAME.onnx, and /v1/models/NAME.")
@click.option("--title", help="One line for people. Default: the recipe's.")
@click.option("--step", type=int, help="Step of the checkpoint. Default: the newest.")
@click.option("--weights", type=click.Choice(["ema", "last"]), help="Default: ema where the recipe keeps it.")
@click.option("--replace", is_flag=True, help="Replace a generator of the same name.")
@MODELS
def export(
    run: Path,
    name: str,
    title: str | None,
    step: int | None,
    weights: Literal["ema", "last"] | None,
    replace: bool,
    models: Path | None,
) -> None:
    """Turn a run's checkpoint into a generator file.

    The file is checked on the way out: ONNX's checker, the contract, and ONNX Runtime against torch over 1,000 seeds, which
    may differ by one grey level. A running service serves it within seconds.

    \b
    Example:
      seedmint export runs/d --name mine
    """
    if name.endswith(".onnx"):
        raise UserError(f"--name: {name} is a file's name; the generator's is {name.removesuffix('.onnx')}")
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(f"--name: {name!r} must be lower-case letters, digits, '.', '_' and '-', at most 64")
    path = install(export_run(run, name, title, step, weights), models or models_directory(), name, replace)
    click.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def _drive(run: Run) -> None:
    speaks = distributed.is_first()
    console = Console(stderr=True, quiet=not speaks)
    recipe, done = run.recipe, run.step
    if run.finished:
        if speaks:
            click.echo(f"{run.directory} is finished: {_end(run)}. {_next(run)}")
        return
    console.print(
        f"{recipe.title}: {len(run.dataset):,} {run.dataset.noun}s of {run.dataset.name}, {recipe.objective}, "
        f"k = {recipe.k}, m = {recipe.m}",
        highlight=False,
    )
    with TrainingProgress(done, recipe.steps, console) as progress:
        run.train(progress.report)
    if run.interrupted is not None:
        if speaks:
            click.echo(f"Stopped and saved at step {run.step:,}. To go on: seedmint resume {run.directory}", err=True)
        raise SystemExit(128 + run.interrupted)
    if speaks:
        click.echo(f"{run.directory}: {_end(run)}. {_next(run)}")


def _end(run: Run) -> str:
    if run.step == run.recipe.steps:
        return f"all {run.step:,} steps are done"
    return f"it stopped at the equilibrium, at step {run.step:,}; `--set watch.stop_at_equilibrium=false` goes on"


def _next(run: Run) -> str:
    return f"Next: seedmint export {run.directory} --name NAME"


def _device(choice: str) -> torch.device:
    kind: Literal["cpu", "cuda"] = "cuda" if choice == "cuda" or (choice == "auto" and torch.cuda.is_available()) else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU that works")
    return distributed.own(torch.device(kind))
