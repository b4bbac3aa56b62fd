"""`seedmint.train`: trains a generator with Algorithm 1, as `seedmint train` does. Needs the extra `train`."""

import json
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedmint.generator import Generator
from seedmint.models.card import check_generator_name
from seedmint.models.directory import models_directory
from seedmint.models.installation import needs_extra

if TYPE_CHECKING:
    from seedmint.training.recipes.schema import Recipe
    from seedmint.training.runs.hook import Hook
    from seedmint.training.runs.progress import ProgressEvent
    from seedmint.training.runs.trainer import Trainer

_RECIPE_FILE = "recipe.yaml"


@dataclass(frozen=True)
class TrainingRun:
    """A run on disk after `train`.

    Attributes:
        directory: The run's directory: recipe, checkpoints, log and previews.
        step: Number of finished steps.
        is_finished: Whether the run has reached its end. Otherwise `train(..., resume=True)` continues it.
        interrupted_by: The signal that ended the training, or None.
    """

    directory: Path
    step: int
    is_finished: bool
    interrupted_by: signal.Signals | None

    def export(
        self,
        name: str,
        *,
        title: str | None = None,
        step: int | None = None,
        weights: Literal["ema", "last"] | None = None,
        replace: bool = False,
        models: str | Path | None = None,
    ) -> Generator:
        """Write a checkpoint as a generator file, compare the file with torch, and open it.

        Args:
            name: Name of the generator.
            title: One line for people; None for the title of the recipe.
            step: Step of the checkpoint; None for the newest.
            weights: "ema" or "last"; None for "ema" if the checkpoint has averaged weights.
            replace: Replace a generator of the same name.
            models: Directory of generator files; None for `SEEDMINT_MODELS`, or else the default directory.

        Raises:
            UserError: The name is malformed or taken, there is no such checkpoint, or the file does not compute the same as
                torch.
            OSError: The directory is not writable.
        """
        from seedmint.training.export.onnx_export import install_generator
        from seedmint.training.runs.export_run import export_run

        check_generator_name(name)
        content = export_run(self.directory, name, title, step, weights)
        return Generator(install_generator(content, Path(models) if models else models_directory(), name, replace))


def train(
    recipe: str | Path | Mapping[str, Any],
    out: str | Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    callbacks: "Sequence[Hook]" = (),
    on_progress: "Callable[[ProgressEvent], None] | None" = None,
    resume: bool = False,
) -> TrainingRun:
    """Train a generator with Algorithm 1. Prints only the summary of a path of images.

    Ctrl-C ends the training after the current step, with a checkpoint, as in `seedmint train`.

    Args:
        recipe: Name of a shipped recipe, path of a YAML file, or the fields of a recipe; or a folder or file of images, from
            which the settings are derived.
        out: Directory of the run; must be empty or not exist, unless `resume` is true.
        overrides: Field of the recipe -> value, such as {"steps": 2000, "rule.generator.learning_rate": 1e-4}.
        device: Device of the training. Only the CPU guarantees identical results.
        callbacks: Objects of `seedmint.TrainingHook`, whose methods are called during the training, after the trainer's own.
        on_progress: Called with each event: statistics, metrics or diagnostics.
        resume: Continue the run in `out` if there is one. Then `overrides` may change only fields that `seedmint resume` may
            change, and `recipe` is not read.

    Raises:
        UserError: The recipe or the directory does not allow the run, or the training diverged.
        OSError: The directory is not writable.
    """
    with needs_extra("train"):
        from seedmint.training.cli.fit import select_device
        from seedmint.training.datasets.read_once import read_once
        from seedmint.training.optimization.distributed import process_group
        from seedmint.training.runs.directory import create_run, resume_run

    directory, texts = Path(out), [f"{field}={json.dumps(value)}" for field, value in (overrides or {}).items()]
    torch_device = select_device(device)
    with process_group(torch_device):
        trainer: Trainer
        if resume and (directory / _RECIPE_FILE).is_file():
            trainer = resume_run(directory, torch_device, lambda message: warnings.warn(message, stacklevel=2), texts)
        else:
            with read_once():
                chosen, comments = _recipe(recipe, texts, torch_device.type == "cuda")
                trainer = create_run(directory, chosen, torch_device, comments)
        trainer.hooks += callbacks
        if not trainer.finished:
            trainer.fit(on_progress)
        return TrainingRun(directory, trainer.step, trainer.finished, trainer.interrupted_by)


def _recipe(
    recipe: str | Path | Mapping[str, Any], overrides: Sequence[str], has_gpu: bool
) -> "tuple[Recipe, Mapping[str, str] | None]":
    """Return a recipe, and the comments for its file."""
    from seedmint.training.cli.front_door import derive, is_data_path
    from seedmint.training.recipes.files import load_recipe, recipe_of

    if isinstance(recipe, Mapping):
        return recipe_of(recipe, overrides), None
    if is_data_path(str(recipe)):
        derived = derive(str(recipe), overrides, has_gpu)
        return derived.recipe, derived.comments
    return load_recipe(str(recipe), overrides), None
