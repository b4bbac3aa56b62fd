"""Runs a trainer on the command line."""

import click
import torch
from rich.console import Console

from seedmint.models.errors import UserError
from seedmint.training.cli.progress import ProgressDisplay
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization import distributed
from seedmint.training.runs.requirements import gigabytes
from seedmint.training.runs.trainer import Trainer


def select_device(choice: str) -> torch.device:
    """Return the device of this process.

    Args:
        choice: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        UserError: `cuda` or `mps` is chosen, and torch finds no such GPU.
    """
    if choice == "auto":
        choice = "cuda" if torch.cuda.is_available() else "cpu"
    if choice == "cuda" and not torch.cuda.is_available():
        raise UserError("torch finds no usable GPU", field="device", reason="no_gpu")
    if choice == "mps" and not torch.backends.mps.is_available():
        raise UserError(
            "torch finds no GPU of a Mac: use macOS 14 or newer on Apple silicon, or cpu", field="device", reason="no_gpu"
        )
    return distributed.local_device(torch.device(choice))


def fit_with_progress(trainer: Trainer) -> None:
    """Train, show the progress on standard error, and print the next command at the end. Only the main process prints.

    Args:
        trainer: The run.

    Raises:
        SystemExit: A signal ended the training; the status is 128 plus the signal's number.
    """
    is_main = distributed.is_main_process()
    console = Console(stderr=True, quiet=not is_main)
    recipe = trainer.recipe
    if trainer.finished:
        if is_main:
            click.echo(f"{trainer.directory} is finished: {_end_text(trainer)}. {_next_command(trainer)}")
        return
    console.print(
        f"{recipe.title}: {len(trainer.dataset):,} {trainer.dataset.noun}s of {trainer.dataset.name}, {recipe.objective}, "
        f"k = {recipe.k}, m = {recipe.m}",
        highlight=False,
    )
    needs = trainer.requirements
    console.print(
        f"G: {needs.generator_parameters:,} parameters; D: {needs.discriminator_parameters:,}; up to "
        f"{gigabytes(needs.total_bytes)} of memory for networks and minibatches",
        highlight=False,
    )
    with ProgressDisplay(trainer.step, recipe.steps, OBJECTIVES[recipe.objective], console) as display:
        trainer.fit(display.show)
    if trainer.interrupted_by is not None:
        if is_main:
            click.echo(
                f"Stopped at step {trainer.step:,}; a checkpoint is saved. Continue: seedmint resume {trainer.directory}",
                err=True,
            )
        raise SystemExit(128 + trainer.interrupted_by)
    if is_main:
        click.echo(f"{trainer.directory}: {_end_text(trainer)}. {_next_command(trainer)}")


def _end_text(trainer: Trainer) -> str:
    if trainer.step == trainer.recipe.steps:
        return f"all {trainer.step:,} steps are done"
    if trainer.stopped_early and trainer.state.best is not None:
        best = trainer.state.best
        return (
            f"stopped at step {trainer.step:,} after {best.waited} measurements without a better {best.metric}; the best, "
            f"{best.value:.4g}, is of step {best.step:,} (`seedmint export --best`)"
        )
    return (
        f"stopped at the equilibrium, at step {trainer.step:,}; "
        "`seedmint resume --set watch.stop_at_equilibrium=false` continues the run"
    )


def _next_command(trainer: Trainer) -> str:
    return f"Next: seedmint export {trainer.directory} --name NAME"
