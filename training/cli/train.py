"""The commands `train` and `resume`."""

import json
from pathlib import Path

import click

from seedmint.training.cli.front_door import derive, duration_text, free_directory, is_data_path
from seedmint.training.cli.options import DEVICE, SET, WATCH, WATCH_PORT
from seedmint.training.recipes.files import load_recipe, shipped_recipes
from seedmint.training.recipes.schema import CHANGEABLE_FIELDS, RECORDED_FIELDS

RUNS = Path("runs")


def _list_recipes(as_json: bool) -> None:
    recipes = [load_recipe(name) for name in shipped_recipes()]
    if as_json:
        entries = [
            {"name": recipe.name, "title": recipe.title, "data": recipe.data.source, "steps": recipe.steps}
            for recipe in recipes
        ]
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    for recipe in recipes:
        click.echo(f"{recipe.name:16} {recipe.title}")


@click.command()
@click.argument("recipe", metavar="RECIPE_OR_PATH", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory of the run; must be empty or not exist. Default: runs/NAME."
)
@SET
@click.option("--recipes", "is_list", is_flag=True, help="List the shipped recipes.")
@click.option("--json", "as_json", is_flag=True, help="With --recipes: print a JSON array.")
@click.option(
    "--from",
    "from_run",
    type=click.Path(path_type=Path),
    help="Start from the newest weights of this run. G must be the same; another D starts from random weights. The recipe and "
    "the card record the run.",
)
@DEVICE
@WATCH
@WATCH_PORT
def train(
    recipe: str | None,
    out: Path | None,
    is_list: bool,
    as_json: bool,
    from_run: Path | None,
    overrides: tuple[str, ...],
    device: str,
    is_watched: bool,
    watch_port: int,
) -> None:
    """Train a generator with Algorithm 1.

    RECIPE_OR_PATH is a folder or file of your images (see `seedmint data inspect --help`), a table (.csv, .tsv, .parquet),
    strings (.txt, one a line, or a table with one column of text), series (see there), a shipped recipe (see `seedmint train
    --recipes`), or a YAML file. For data, the command prints a summary, derives the settings from the data, writes them with
    comments into recipe.yaml, measures this machine for a few seconds, and says how long the training takes.

    \b
    Examples:
      seedmint train photos
      seedmint train people.csv --set data.label=region
      seedmint train names.txt
      seedmint train sensors.csv --set data.window=48
      seedmint train photos.zip --out runs/p --set data.side=64 --set steps=20000
      seedmint train photos --from runs/p
      seedmint train digits --out runs/d --watch
      seedmint train mnist --out runs/m --set steps=2000 --set rule.generator.learning_rate=1e-4

    The directory of the run holds recipe.yaml, log.jsonl, previews/, tensorboard/ and checkpoints/. Ctrl-C saves a checkpoint
    and stops. `seedmint resume` continues the run. On the CPU, the final weights are identical, bit for bit, to
    the weights of an uninterrupted run.
    """
    if is_list:
        _list_recipes(as_json)
        return
    if as_json:
        raise click.UsageError("--json needs --recipes")
    if recipe is None:
        raise click.UsageError(
            "what shall be trained? Give a folder of images, a table, series, or a recipe: seedmint train --recipes"
        )
    from seedmint.training.cli.fit import fit_with_progress, select_device
    from seedmint.training.cli.task_progress import PartProgress
    from seedmint.training.cli.watch_page import watch_page
    from seedmint.training.datasets.read_once import read_once
    from seedmint.training.optimization.distributed import process_group
    from seedmint.training.runs.directory import create_run
    from seedmint.training.runs.timing import seconds_per_step

    torch_device = select_device(device)
    with process_group(torch_device), watch_page(is_watched, watch_port) as show:
        if not is_data_path(recipe):
            chosen = load_recipe(recipe, overrides)
            directory = out or free_directory(RUNS, chosen.name)
            with PartProgress() as progress:
                trainer = create_run(directory, chosen, torch_device, None, from_run, progress.show, _note)
            described = trainer.dataset.table or trainer.dataset.series
            for note in described.notes if described is not None else ():
                _note(note)
            show(trainer.directory)
            fit_with_progress(trainer)
            return
        with read_once():
            derived = derive(recipe, overrides, torch_device.type == "cuda")
            directory = out or free_directory(RUNS, derived.recipe.name)
            trainer = create_run(directory, derived.recipe, torch_device, derived.comments, from_run, on_note=_note)
        show(trainer.directory)
        seconds = seconds_per_step(trainer.recipe, trainer.dataset, torch_device)
        click.echo(
            f"{trainer.recipe.steps:,} steps take about {duration_text(seconds * trainer.recipe.steps)} on this machine "
            f"({seconds:.2g} s a step). Settings: {trainer.directory / 'recipe.yaml'}",
            err=True,
        )
        fit_with_progress(trainer)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help=f"Change one of {', '.join((*CHANGEABLE_FIELDS, *RECORDED_FIELDS))}; repeatable. Changes of learning rates are "
    "recorded in the recipe and on the card.",
)
@DEVICE
@WATCH
@WATCH_PORT
def resume(run: Path, overrides: tuple[str, ...], device: str, is_watched: bool, watch_port: int) -> None:
    """Continue a run from its newest checkpoint.

    RUN is the directory from `seedmint train --out`. If the newest checkpoint is damaged, the command reports it, renames it,
    and uses the checkpoint before it.

    \b
    Examples:
      seedmint resume runs/d
      seedmint resume runs/d --set steps=20000      # train longer
      seedmint resume runs/d --set rule.discriminator.learning_rate=1e-4
    """
    from seedmint.training.cli.fit import fit_with_progress, select_device
    from seedmint.training.cli.task_progress import PartProgress
    from seedmint.training.cli.watch_page import watch_page
    from seedmint.training.optimization.distributed import process_group
    from seedmint.training.runs.directory import resume_run

    torch_device = select_device(device)
    with process_group(torch_device), watch_page(is_watched, watch_port) as show:
        with PartProgress() as progress:
            trainer = resume_run(run, torch_device, _warn, overrides, progress.show)
        show(trainer.directory)
        fit_with_progress(trainer)


def _note(message: str) -> None:
    click.echo(f"note: {message}", err=True)


def _warn(message: str) -> None:
    click.echo(f"Warning: {message}", err=True)
