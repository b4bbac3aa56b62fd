"""The directory of a run: making one, and opening it again where it stands."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from seedmint.models.files import write_whole
from seedmint.training.optimization import distributed
from seedmint.training.recipes.files import read_recipe
from seedmint.training.recipes.schema import Recipe, RecipeError, validated
from seedmint.training.runs.checkpoints import Checkpoint, CheckpointError, list_checkpoints, load_checkpoint
from seedmint.training.runs.run import Run, TrainingError, locked

MAY_CHANGE = ("data.path", "every", "metrics", "name", "steps", "title", "watch")
"""Fields of a recipe on which the iterations done so far do not depend."""

_RECIPE = "recipe.yaml"


def create(directory: Path, recipe: Recipe, device: torch.device) -> Run:
    """A new run in a directory that is empty or not yet there.

    Raises:
        UserError: the directory holds something, or the recipe cannot be run.
    """
    if directory.exists() and not directory.is_dir():
        raise TrainingError(f"--out: {directory} is a file: choose another place")
    if directory.exists() and any(directory.iterdir()):
        hint = f"`seedmint resume {directory}` goes on with it" if (directory / _RECIPE).exists() else "it is not empty"
        raise TrainingError(f"--out: {directory} is there already: {hint}; or choose another place")
    if recipe.data.path is not None:  # so that the run can be resumed from anywhere
        data = recipe.data.model_copy(update={"path": str(Path(recipe.data.path).absolute())})
        recipe = recipe.model_copy(update={"data": data})
    run = Run(directory, recipe, device)
    distributed.wait()  # until no process looks any more whether the directory is there
    if distributed.is_first():
        (directory / "checkpoints").mkdir(parents=True)
        write_whole(directory / _RECIPE, recipe.to_yaml().encode())
    return run


def reopen(directory: Path, device: torch.device, warn: Callable[[str], None], overrides: Sequence[str] = ()) -> Run:
    """A run that was begun before, at its newest checkpoint that is whole.

    Args:
        directory: the run's.
        device: where to go on.
        warn: told of each damaged checkpoint, which is set aside.
        overrides: `field=value` changes of the recipe, of fields in `MAY_CHANGE` alone.

    Raises:
        UserError: no run there, another process trains it, its recipe is not the one it began with, or all its checkpoints
            are damaged.
    """
    recipe = recipe_of(directory, overrides)
    with locked(directory):
        with distributed.first_before_others():
            for place in ("checkpoints", "previews"):
                for half_written in (directory / place).glob(".*"):
                    half_written.unlink()
            checkpoint = _newest_whole(directory, warn)
        if checkpoint is None:
            return Run(directory, recipe, device)
        began = validated(checkpoint.recipe, str(directory))
        if checkpoint.step <= min(_average_begins(began), _average_begins(recipe)):  # an average that is still to begin
            began = began.model_copy(update={"ema": recipe.ema, "ema_start": recipe.ema_start})
        if differences := _differences(began.document(), recipe.document()):
            raise RecipeError(
                f"{directory / _RECIPE} has changed since the run began: {'; '.join(differences)}; "
                f"only {', '.join(MAY_CHANGE)} may"
            )
        if recipe.steps < checkpoint.step:
            raise RecipeError(f"steps: the run has done {checkpoint.step} already, which is more than {recipe.steps}")
        run = Run(directory, recipe, device, checkpoint)
        if overrides and distributed.is_first():
            write_whole(directory / _RECIPE, recipe.to_yaml().encode())
        return run


def recipe_of(directory: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a run.

    Raises:
        UserError: no run there, or a recipe that cannot be read.
    """
    path = directory / _RECIPE
    if not path.is_file():
        raise TrainingError(f"{directory} holds no run: {path} is missing")
    return read_recipe(path, overrides)


def _newest_whole(directory: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    saved = list_checkpoints(directory / "checkpoints")
    for _, path in reversed(saved):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            path.replace(path.with_suffix(".damaged"))
            warn(f"{error}; set aside")
    if saved:
        raise CheckpointError(f"all checkpoints of {directory} are damaged: begin anew with `seedmint train --out` elsewhere")
    return None


def _average_begins(recipe: Recipe) -> float:
    return recipe.ema_start if recipe.ema else math.inf


def _differences(began: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Fields that differ, and that what was computed so far depends on."""
    found = []
    for key in sorted({*began, *now}):
        old, new, field = began.get(key), now.get(key), f"{prefix}{key}"
        if field in MAY_CHANGE:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{field}.")
        elif old != new:
            found.append(f"{field} was {old} and is {new}")
    return found
