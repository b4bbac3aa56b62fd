"""Finds the step and the tensor where a run diverged.

Training does not check every tensor after every step. Each iteration can be repeated exactly, so the first wrong step can be
found afterwards.
"""

import math
from pathlib import Path

import torch

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import Dataset
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.checkpoints import list_checkpoints, load_checkpoint
from seedmint.training.runs.errors import DivergenceError
from seedmint.training.runs.state import build_algorithm, find_nonfinite_tensor, load_tensors


def find_divergence(
    directory: Path, recipe: Recipe, dataset: Dataset, device: torch.device, step: int, symptom: str
) -> DivergenceError:
    """Repeat the steps since the newest checkpoint, and return an error that names the first wrong step and tensor.

    Args:
        directory: The run's directory.
        recipe: The run's recipe.
        dataset: The training data.
        device: Device of the training.
        step: Number of finished iterations.
        symptom: The observation that showed the divergence, for the message.
    """
    checkpoints = list_checkpoints(directory / "checkpoints")
    algorithm = build_algorithm(recipe, dataset, device)
    begin, kept, checkpoint_step = 0, "no checkpoint was saved before", None
    if checkpoints:
        checkpoint = load_checkpoint(checkpoints[-1][1])
        load_tensors(algorithm, checkpoint.tensors)
        begin = checkpoint_step = checkpoint.step
        kept = f"the checkpoint of step {checkpoint.step} is kept"
    found = _first_nonfinite(algorithm, begin, step)
    if found is None:
        message = (
            f"training diverged: {symptom} at or before step {step}, but a repetition of the steps after {begin} stays finite, "
            f"which suggests a hardware fault; {kept}: run `seedmint resume {directory}` to continue"
        )
        return DivergenceError(message, step, None, checkpoint_step)
    first_step, name = found
    message = f"training diverged: {name} is not finite in step {first_step}; {kept}; try a lower rule.*.learning_rate"
    return DivergenceError(message, first_step, name, checkpoint_step)


def _first_nonfinite(algorithm: Algorithm1, begin: int, end: int) -> tuple[int, str] | None:
    """Return the first step, from 1, after which a value is not finite, and its name: V, or the tensor updated first."""
    for iteration in range(begin, end):
        statistics = algorithm.iterate(iteration)
        distributed.all_reduce_mean([statistics])
        if not math.isfinite(float(statistics[0])):
            return iteration + 1, "V"
        if (name := find_nonfinite_tensor(algorithm)) is not None:
            return iteration + 1, name
    return None
