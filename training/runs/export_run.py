"""From a run to a generator file."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedmint.training.datasets.scaling import Scaling
from seedmint.training.export.cards import card_of_run
from seedmint.training.export.onnx_export import ExportError, export_generator
from seedmint.training.networks import build_networks
from seedmint.training.recipes.schema import Recipe, validated
from seedmint.training.runs.checkpoints import Checkpoint, CheckpointError, list_checkpoints, load_checkpoint
from seedmint.training.runs.directory import recipe_of


def export_run(
    directory: Path, name: str, title: str | None, step: int | None, weights: Literal["ema", "last"] | None
) -> bytes:
    """The generator file of a run's checkpoint.

    Args:
        directory: the run's.
        name: the generator's.
        title: for people; None takes the recipe's.
        step: which checkpoint; None takes the newest.
        weights: `ema` or `last`; None takes `ema` where the recipe keeps it.

    Returns:
        the file's bytes; the same for the same checkpoint and arguments.

    Raises:
        UserError: no such run or checkpoint, or the verification failed.
    """
    recipe_of(directory)
    checkpoint = _checkpoint(directory, step)
    recipe = validated(checkpoint.recipe, str(directory))
    averaged = recipe.ema > 0 and checkpoint.step > recipe.ema_start
    chosen: Literal["ema", "last"] = weights or ("ema" if averaged else "last")
    if chosen == "ema" and not averaged:
        raise ExportError(
            f"--weights ema: no average is kept at step {checkpoint.step} (ema: {recipe.ema:g}, ema_start: {recipe.ema_start})"
        )
    facts = checkpoint.facts["dataset"]
    generator = _generator(recipe, facts, checkpoint.tensors, "ema" if chosen == "ema" else "generator")
    card = card_of_run(recipe, checkpoint.facts, checkpoint.step, name, title, chosen)
    return export_generator(generator, card, _scaling(facts))


def _checkpoint(directory: Path, step: int | None) -> Checkpoint:
    saved = list_checkpoints(directory / "checkpoints")
    if not saved:
        raise CheckpointError(f"{directory} has no checkpoint yet")
    if step is None:
        return load_checkpoint(saved[-1][1])
    if step not in dict(saved):
        raise CheckpointError(
            f"--step: {directory} has no checkpoint of step {step}, only {', '.join(str(n) for n, _ in saved)}"
        )
    return load_checkpoint(dict(saved)[step])


def _generator(recipe: Recipe, facts: dict[str, Any], tensors: dict[str, Tensor], part: str) -> nn.Module:
    shape = facts["shape"]
    marginals = torch.zeros(shape) if "scaling" in facts else torch.full((shape[2], shape[0], shape[1]), 0.5)
    classes = len(facts["classes"]) if recipe.conditional else 0
    generator, _ = build_networks(recipe, marginals, classes)
    generator.load_state_dict(
        {key.removeprefix(f"{part}/"): value for key, value in tensors.items() if key.startswith(f"{part}/")}
    )
    return generator.eval()


def _scaling(facts: dict[str, Any]) -> Scaling | None:
    if "scaling" not in facts:
        return None
    return Scaling(**{field: tuple(values) for field, values in facts["scaling"].items()})
