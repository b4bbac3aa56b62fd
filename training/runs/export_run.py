"""Exports a checkpoint of a run as a generator file."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedmint.training.datasets.encodings import encoding_of_document, scaling_of_document
from seedmint.training.export.cards import card_of_run
from seedmint.training.export.onnx_export import ExportError, export_generator
from seedmint.training.networks import build_networks
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.recipes.schema import Recipe, validate_recipe
from seedmint.training.runs.checkpoints import BEST_DIRECTORY, Checkpoint, list_checkpoints, load_checkpoint
from seedmint.training.runs.curve import training_curve
from seedmint.training.runs.directory import read_run_recipe
from seedmint.training.runs.errors import CheckpointError
from seedmint.training.runs.event_log import read_log


def export_run(
    directory: Path, name: str, title: str | None, step: int | None, weights: Literal["ema", "last"] | None, best: bool = False
) -> bytes:
    """Return the generator file of a run's checkpoint.

    Args:
        directory: The run's directory.
        name: Name of the generator.
        title: One line for people; None uses the recipe's title.
        step: Step of the checkpoint; None uses the newest.
        best: Use the checkpoint with the best value of `keep_best`, in place of the newest.
        weights: `ema` or `last`; None uses `ema` if the checkpoint has averaged weights, else `last`.

    Returns:
        The bytes of the file; the same for the same checkpoint and arguments.

    Raises:
        UserError: The run or the checkpoint does not exist, the checkpoint has no averaged weights but `weights` is `ema`, or
            the file does not compute the same as torch.
    """
    read_run_recipe(directory)  # only to check that the directory holds a run
    checkpoint = _load_checkpoint(directory, step, BEST_DIRECTORY if best else "checkpoints")
    recipe = validate_recipe(checkpoint.recipe, str(directory))
    has_ema = bool(recipe.ema) and checkpoint.step > recipe.ema_start
    chosen: Literal["ema", "last"] = weights or ("ema" if has_ema else "last")
    if chosen == "ema" and not has_ema:
        message = f"step {checkpoint.step} has no averaged weights (ema: {recipe.ema}, ema_start: {recipe.ema_start})"
        raise ExportError(message, field="weights", reason="no_average")
    dataset = checkpoint.metadata["dataset"]
    # A checkpoint stores the last weights under "generator" and the averaged weights under "ema".
    generator = _load_generator(recipe, dataset, checkpoint.tensors, "ema" if chosen == "ema" else "generator")
    curve = training_curve(read_log(directory / "log.jsonl"), checkpoint.step, OBJECTIVES[recipe.objective].equilibrium)
    card = card_of_run(recipe, checkpoint.metadata, checkpoint.step, name, title, chosen, curve)
    return export_generator(generator, card, scaling_of_document(dataset))


def _load_checkpoint(directory: Path, step: int | None, folder: str) -> Checkpoint:
    checkpoints = dict(list_checkpoints(directory / folder))
    if not checkpoints:
        cure = "; the recipe needs keep_best" if folder == BEST_DIRECTORY else ""
        raise CheckpointError(f"{directory} has no checkpoint in {folder} yet{cure}", reason="no_checkpoint")
    if step is None:
        return load_checkpoint(checkpoints[max(checkpoints)])
    if step not in checkpoints:
        message = f"{directory} has no checkpoint of step {step}; its checkpoints are {', '.join(map(str, checkpoints))}"
        raise CheckpointError(message, field="step", reason="no_checkpoint")
    return load_checkpoint(checkpoints[step])


def _load_generator(recipe: Recipe, dataset: dict[str, Any], tensors: dict[str, Tensor], part: str) -> nn.Module:
    shape = dataset["shape"]  # of images: height, width, channels; the networks use channels, height, width
    # The values do not matter, only the shape: `load_state_dict` replaces all weights.
    scaling, encoding = scaling_of_document(dataset), encoding_of_document(dataset)
    if encoding is not None:
        shape = encoding.shape
    marginals = torch.full((shape[2], shape[0], shape[1]), 0.5) if scaling is None else torch.zeros(shape)
    classes = len(dataset["classes"]) if recipe.conditional else 0
    generator, _ = build_networks(recipe, marginals, classes, encoding)
    generator.load_state_dict(
        {key.removeprefix(f"{part}/"): value for key, value in tensors.items() if key.startswith(f"{part}/")}
    )
    return generator.eval()
