"""The commands `train` and `resume`."""

from pathlib import Path

import click

from seedmint.training.cli.options import DEVICE
from seedmint.training.recipes.files import load_recipe, shipped_recipes
from seedmint.training.recipes.schema import CHANGEABLE_FIELDS


def _list_recipes(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        for name in shipped_recipes():
            click.echo(f"{name:16} {load_recipe(name).title}")
        ctx.exit()


@click.command()
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory of the run; must be empty or not exist.")
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE", help="Change a field of the recipe; repeatable.")
@click.option(
    "--recipes", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes, help="List the shipped recipes."
)
@DEVICE
def train(recipe: str, out: Path, overrides: tuple[str, ...], device: str) -> None:
    """Train a generator with Algorithm 1.

    RECIPE is the name of a shipped recipe (see `seedmint train --recipes`) or a YAML file.

    \b
    Examples:
      seedmint train digits --out runs/d
      seedmint train mnist --out runs/m --set steps=2000 --set rule.generator.learning_rate=1e-4
      seedmint train digits --out runs/p --set data.source=folder --set data.path=photos --set data.side=32

    The directory of the run holds recipe.yaml, log.jsonl, previews/, tensorboard/ and checkpoints/. Ctrl-C saves a checkpoint
    and stops. `seedmint resume` continues the run. On the CPU, the final weights are identical, bit for bit, to
    the weights of an uninterrupted run.
    """
    from seedmint.training.cli.fit import fit_with_progress, select_device
    from seedmint.training.optimization.distributed import process_group
    from seedmint.training.runs.directory import create_run

    torch_device = select_device(device)
    with process_group(torch_device):
        fit_with_progress(create_run(out, load_recipe(recipe, overrides), torch_device))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help=f"Change one of {', '.join(CHANGEABLE_FIELDS)}; repeatable.",
)
@DEVICE
def resume(run: Path, overrides: tuple[str, ...], device: str) -> None:
    """Continue a run from its newest checkpoint.

    RUN is the directory from `seedmint train --out`. If the newest checkpoint is damaged, the command reports it, renames it,
    and uses the checkpoint before it.

    \b
    Examples:
      seedmint resume runs/d
      seedmint resume runs/d --set steps=20000      # train longer
    """
    from seedmint.training.cli.fit import fit_with_progress, select_device
    from seedmint.training.optimization.distributed import process_group
    from seedmint.training.runs.directory import resume_run

    torch_device = select_device(device)
    with process_group(torch_device):
        fit_with_progress(resume_run(run, torch_device, lambda message: click.echo(f"Warning: {message}", err=True), overrides))
