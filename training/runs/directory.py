"""The directory of a run: starts a new run, or continues one from its newest checkpoint."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from seedmint.models.errors import one_line
from seedmint.models.files import write_whole
from seedmint.training.datasets import load_dataset
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.optimization import distributed
from seedmint.training.recipes.commented import commented_yaml, comments_of
from seedmint.training.recipes.files import read_recipe
from seedmint.training.recipes.schema import (
    CHANGEABLE_FIELDS,
    RECORDED_FIELDS,
    Change,
    Recipe,
    RecipeError,
    Start,
    validate_recipe,
)
from seedmint.training.runs.build import build_trainer
from seedmint.training.runs.checkpoints import Checkpoint, list_checkpoints, load_checkpoint
from seedmint.training.runs.errors import CheckpointError, TrainingError
from seedmint.training.runs.lock import run_lock
from seedmint.training.runs.machine import fit_precision, fit_threads
from seedmint.training.runs.state import load_networks
from seedmint.training.runs.trainer import Trainer
from seedmint.training.runs.versions import version_changes

_RECIPE_FILE = "recipe.yaml"


def create_run(
    directory: Path,
    recipe: Recipe,
    device: torch.device,
    comments: Mapping[str, str] | None = None,
    start: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    on_note: Callable[[str], None] = lambda note: None,
) -> Trainer:
    """Start a new run.

    Args:
        directory: Must be empty, or not exist.
        recipe: The settings.
        device: Device of the training.
        comments: Comments for recipe.yaml, by the dotted path of the field.
        start: Directory of another run, whose newest weights the run starts from; recorded in the recipe. D starts from
            random weights if the recipe describes another D than that of the run. None starts from random weights.
        on_progress: Called while images are packed.
        on_note: Called with a message if D starts from random weights.

    Raises:
        UserError: The directory is not empty, the recipe cannot be run, or the weights belong to other networks.
    """
    if directory.exists() and not directory.is_dir():
        raise TrainingError(f"{directory} is a file; choose another directory", field="out", reason="not_a_directory")
    if directory.exists() and any(directory.iterdir()):
        if (directory / _RECIPE_FILE).exists():
            message = f"{directory} holds a run; continue it with `seedmint resume {directory}`, or choose another directory"
            raise TrainingError(message, field="out", reason="run_exists")
        raise TrainingError(f"{directory} is not empty; choose another directory", field="out", reason="not_empty")
    if recipe.data.path is not None and "://" not in recipe.data.path:
        # An absolute path, so that `resume` works from any directory.
        data = recipe.data.model_copy(update={"path": str(Path(recipe.data.path).absolute())})
        recipe = recipe.model_copy(update={"data": data})
    origin = None if start is None else _newest_checkpoint(start)
    if origin is not None:
        recipe = recipe.model_copy(update={"started_from": _start_of(origin)})
    recipe, measured = _fit_to_machine(recipe, device, on_progress)
    trainer = build_trainer(directory, recipe, device, None, on_progress)
    if origin is not None:
        same_d = validate_recipe(origin.recipe, str(start)).discriminator == recipe.discriminator
        try:
            load_networks(trainer.algorithm, origin.tensors, with_discriminator=same_d)
        except RuntimeError as error:
            message = (
                f"the networks of {start} have other sizes than those of the recipe: {one_line(str(error).splitlines()[-1])}"
            )
            raise TrainingError(message, field="from_run", reason="other_networks") from None
    distributed.barrier()  # until every process has checked the directory
    if distributed.is_main_process():
        (directory / "checkpoints").mkdir(parents=True)
        write_whole(directory / _RECIPE_FILE, commented_yaml(recipe.document(), {**(comments or {}), **measured}).encode())
    if origin is not None:
        trainer.call_hooks("on_weights_loaded")
        if not same_d:
            on_note(
                f"D starts from random weights, because it differs from the D of {start}; G starts from step {origin.step:,}"
            )
    return trainer


def _fit_to_machine(recipe: Recipe, device: torch.device, on_progress: OnProgress) -> tuple[Recipe, dict[str, str]]:
    """Return the recipe with values instead of `auto`, and comments that say so."""
    fitted = fit_precision(recipe, device)
    if fitted.threads == "auto":
        fitted = fit_threads(fitted, load_dataset(recipe.data, on_progress), device)
    comments = {"precision": "auto: of the hardware", "threads": "auto: measured at the start; part of the result"}
    return fitted, {name: text for name, text in comments.items() if getattr(recipe, name) == "auto"}


def resume_run(
    directory: Path,
    device: torch.device,
    on_warning: Callable[[str], None],
    overrides: Sequence[str] = (),
    on_progress: OnProgress = ignore_progress,
) -> Trainer:
    """Continue a run from its newest intact checkpoint.

    Args:
        directory: The run's directory.
        device: Device of the training.
        on_warning: Called with a message for each damaged checkpoint, which is renamed to `.damaged`, and if the code or a
            library differs from the checkpoint's.
        overrides: `field=value` changes of the recipe; only `CHANGEABLE_FIELDS` and `RECORDED_FIELDS` can change.
        on_progress: Called while images are packed.

    Raises:
        UserError: The directory holds no run, another process trains it, its recipe has changed, or all its checkpoints are
            damaged.
    """
    recipe = read_run_recipe(directory, overrides)
    with run_lock(directory):
        with distributed.main_process_first():
            for name in ("checkpoints", "previews"):
                for partial_file in (directory / name).glob(".*"):
                    partial_file.unlink()
            checkpoint = _newest_intact_checkpoint(directory, on_warning)
        if checkpoint is None:
            return build_trainer(directory, recipe, device, None, on_progress)
        _check_changes(directory, checkpoint, recipe)
        recipe = _record_changes(checkpoint, recipe)
        for note in version_changes(checkpoint.metadata):
            on_warning(note)
        trainer = build_trainer(directory, recipe, device, checkpoint, on_progress)
        if (overrides or recipe.history) and distributed.is_main_process():
            path = directory / _RECIPE_FILE
            write_whole(path, commented_yaml(recipe.document(), comments_of(path.read_text(encoding="utf-8"))).encode())
        return trainer


def read_run_recipe(directory: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe of a run.

    Args:
        directory: The run's directory.
        overrides: `field=value` changes of the recipe.

    Raises:
        UserError: The directory holds no run, or the recipe cannot be read.
    """
    path = directory / _RECIPE_FILE
    if not path.is_file():
        raise TrainingError(f"{directory} holds no run: {path} does not exist; `seedmint train` starts a run", reason="no_run")
    return read_recipe(path, overrides)


def _newest_checkpoint(start: Path) -> Checkpoint:
    read_run_recipe(start)
    checkpoints = list_checkpoints(start / "checkpoints")
    if not checkpoints:
        raise TrainingError(f"{start} has no checkpoint yet", field="from_run", reason="no_checkpoint")
    return load_checkpoint(checkpoints[-1][1])


def _start_of(checkpoint: Checkpoint) -> Start:
    recipe = validate_recipe(checkpoint.recipe, "the other run")
    return Start(
        name=recipe.name,
        step=checkpoint.step,
        recipe_digest=recipe.digest(),
        data_digest=checkpoint.metadata["dataset"]["digest"],
    )


def _newest_intact_checkpoint(directory: Path, on_warning: Callable[[str], None]) -> Checkpoint | None:
    checkpoints = list_checkpoints(directory / "checkpoints")
    for _, path in reversed(checkpoints):
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            damaged = path.with_suffix(".damaged")
            path.replace(damaged)
            on_warning(f"{error}; renamed to {damaged.name}")
    if checkpoints:
        message = f"all checkpoints of {directory} are damaged: start a new run in another directory"
        raise CheckpointError(message, reason="all_damaged")
    return None


def _check_changes(directory: Path, checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Raise RecipeError if the recipe differs from the checkpoint's in a field on which finished iterations depend."""
    saved = validate_recipe(_with_order(checkpoint.recipe), str(directory))
    if saved.data.order == "stored" and recipe.data.order == "drawn" and "order" not in checkpoint.recipe["data"]:
        message = (
            f"this run takes the first {saved.data.first} examples of the files, as all runs did before there was a draw; "
            f"continue it with `seedmint resume {directory} --set data.order=stored`"
        )
        raise RecipeError(message, field="data.order", reason="recipe_changed")
    if checkpoint.step <= min(_ema_start(saved), _ema_start(recipe)):  # the average has not started in either recipe
        saved = saved.model_copy(update={"ema": recipe.ema, "ema_start": recipe.ema_start})
    if changes := _changes(saved.document(), recipe.document()):
        field, old, new = changes[0]
        others = "".join(f"; {name} changed from {before} to {after}" for name, before, after in changes[1:])
        allowed = ", ".join((*CHANGEABLE_FIELDS, *RECORDED_FIELDS))
        message = f"changed from {old} to {new} since the run started{others}; only {allowed} can change"
        raise RecipeError(message, field=field, reason="recipe_changed")
    if recipe.steps < checkpoint.step:
        message = f"the run has finished {checkpoint.step} steps, more than {recipe.steps}"
        raise RecipeError(message, field="steps", reason="steps_already_done")


def _with_order(document: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint's recipe with `data.order`. Before this field existed, `data.first` took the stored order."""
    data = document["data"]
    if "order" in data or data.get("first") is None:
        return document
    return {**document, "data": {**data, "order": "stored"}}


def _record_changes(checkpoint: Checkpoint, recipe: Recipe) -> Recipe:
    """Return the recipe with the checkpoint's history and the changes of `RECORDED_FIELDS` since the checkpoint."""
    history = list(checkpoint.recipe.get("history", []))
    current = recipe.document()
    for field in RECORDED_FIELDS:
        old, new = _value(checkpoint.recipe, field), _value(current, field)
        if old != new:
            history.append({"step": checkpoint.step, "field": field, "old": old, "new": new})
    return recipe.model_copy(update={"history": [Change.model_validate(entry) for entry in history]})


def _value(document: dict[str, Any], field: str) -> Any:
    for part in field.split("."):
        document = document[part]
    return document


def _ema_start(recipe: Recipe) -> float:
    return recipe.ema_start if recipe.ema else math.inf


def _changes(saved: dict[str, Any], current: dict[str, Any], prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Return (field, old value, new value) of each difference outside `CHANGEABLE_FIELDS`."""
    changes = []
    for key in sorted({*saved, *current}):
        old, new, field = saved.get(key), current.get(key), f"{prefix}{key}"
        if field in (*CHANGEABLE_FIELDS, *RECORDED_FIELDS, "history"):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changes += _changes(old, new, f"{field}.")
        elif old != new:
            changes.append((field, old, new))
    return changes
