"""A run: a directory that holds a recipe and all that training by it has produced, and can go on from there.

recipe.yaml                      every field spelled out
checkpoints/step-N.safetensors   the newest few
previews/step-N.png              seeds 0 to 63, as the service would return them
log.jsonl, tensorboard/          the statistics
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from models.errors import UserError
from models.files import write_whole
from training.algorithm1 import STATISTICS, Algorithm1
from training.checkpoints import Checkpoint, CheckpointError, list_checkpoints, load_checkpoint, save_checkpoint
from training.datasets import Dataset, load_dataset
from training.objectives import LIMIT
from training.recipe import Recipe, RecipeError, validated
from training.record import PREVIEW_SEEDS, Record
from training.serving import images_of_seeds
from training.state import build, nonfinite, restore, tensors_of
from training.versions import code_version, library_versions


class TrainingError(UserError):
    """Training that cannot go on; what was saved before is kept."""


@dataclass(frozen=True)
class Report:
    """Where a run stands: `statistics` are means over the steps since the last report, with `images/s` of data."""

    step: int
    statistics: dict[str, float]


class Run:
    """One run, ready to train from where it stands.

    Args:
        directory: the run's.
        recipe: what it computes.
        device: where.
        checkpoint: where to go on; None begins.

    Raises:
        UserError: the data are not there, not those of the checkpoint, or do not fit the recipe.
    """

    def __init__(self, directory: Path, recipe: Recipe, device: torch.device, checkpoint: Checkpoint | None = None) -> None:
        self.directory, self.recipe, self._device = directory, recipe, device
        torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(device.type == "cpu")
        self.dataset = load_dataset(recipe.data)
        self.algorithm: Algorithm1 = build(recipe, self.dataset, device)
        self.step = 0
        self._sums = torch.zeros(len(STATISTICS), device=device)
        self._facts = facts_of(self.dataset)
        if checkpoint is not None:
            self._continue_from(checkpoint)
        self._logged = self.step - self.step % recipe.every.log

    def train(self, on_report: Callable[[Report], None], on_checkpoint: Callable[[Path], None] | None = None) -> None:
        """Iterate Algorithm 1 until `recipe.steps`, writing log, previews and checkpoints as the recipe says.

        On KeyboardInterrupt a checkpoint is written before it goes on up.

        Raises:
            TrainingError: V or a weight is no longer finite.
        """
        record = Record(self.directory, self.step)
        every = self.recipe.every
        begun, before = time.perf_counter(), self.step
        try:
            while self.step < self.recipe.steps:
                self._sums += self.algorithm.iterate(self.step)
                self.step += 1
                last = self.step == self.recipe.steps
                if self.step % every.log == 0 or last:
                    values = self._statistics()
                    now = time.perf_counter()
                    values["images/s"] = (self.step - before) * self.recipe.m * self.recipe.k / (now - begun)
                    begun, before = now, self.step
                    record.statistics(self.step, values)
                    on_report(Report(self.step, values))
                if self.step % every.preview == 0 or last:
                    record.preview(self.step, self._preview())
                if self.step % every.checkpoint == 0 or last:
                    path = self._save()
                    if on_checkpoint is not None:
                        on_checkpoint(path)
        except KeyboardInterrupt:
            self._save()
            raise
        finally:
            record.close()

    def _statistics(self) -> dict[str, float]:
        means = (self._sums / (self.step - self._logged)).tolist()
        self._logged = self.step
        self._sums.zero_()
        values = dict(zip(STATISTICS, means, strict=True))
        if not all(abs(value) < float("inf") for value in means):
            raise TrainingError(self._diverged(f"V is {values['V']}"))
        return {**values, "JSD": (values["V"] - LIMIT) / 2}

    def _save(self) -> Path:
        if (name := nonfinite(self.algorithm)) is not None:
            raise TrainingError(self._diverged(f"{name} is not finite"))
        facts = {**self._facts, "sums": self._sums.tolist()}
        checkpoint = Checkpoint(self.step, self.recipe.document(), facts, tensors_of(self.algorithm))
        return save_checkpoint(self.directory / "checkpoints", checkpoint)

    def _preview(self) -> Any:
        generator = self.algorithm.generator if self.algorithm.ema is None else self.algorithm.ema
        classes = len(self.dataset.classes or ()) if self.recipe.conditional else 0
        return images_of_seeds(generator, self.recipe.noise_rule, self.recipe.z_dim, classes, PREVIEW_SEEDS, self._device)

    def _continue_from(self, checkpoint: Checkpoint) -> None:
        if checkpoint.facts["dataset"]["digest"] != self.dataset.digest:
            raise TrainingError(
                f"data: {self.dataset.name} has changed since {self.directory} began; a run goes on with its own data"
            )
        restore(self.algorithm, checkpoint.tensors)
        self.step = checkpoint.step
        self._sums += torch.tensor(checkpoint.facts["sums"], device=self._device)

    def _diverged(self, what: str) -> str:
        saved = list_checkpoints(self.directory / "checkpoints")
        kept = f"the checkpoint of step {saved[-1][0]} is kept" if saved else "nothing was saved before"
        return f"training diverged: {what} at or before step {self.step}; {kept}; try a lower rule.*.learning_rate"


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """What a checkpoint tells besides the recipe: the data, and the versions that compute."""
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "examples": len(dataset.images),
            "licence": dataset.licence,
            "classes": dataset.classes,
            "shape": [*dataset.images.shape[2:], dataset.images.shape[1]],
        },
        "code_version": code_version(),
        "libraries": library_versions(),
    }


def create(directory: Path, recipe: Recipe, device: torch.device) -> Run:
    """A new run in a directory that is empty or not yet there.

    Raises:
        UserError: the directory holds something, or the recipe cannot be run.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        hint = f"`seedmint resume {directory}` goes on with it" if (directory / "recipe.yaml").exists() else "it is not empty"
        raise TrainingError(f"--out: {directory} is there already: {hint}; or choose another place")
    run = Run(directory, recipe, device)
    (directory / "checkpoints").mkdir(parents=True)
    write_whole(directory / "recipe.yaml", recipe.to_yaml().encode())
    return run


def reopen(directory: Path, device: torch.device, warn: Callable[[str], None]) -> Run:
    """A run that was begun before, at its newest checkpoint that is whole.

    Args:
        directory: the run's.
        device: where to go on.
        warn: told of each damaged checkpoint that is passed over.

    Raises:
        UserError: no run there, or its recipe is not the one it began with.
    """
    recipe = read_recipe(directory)
    for half_written in (directory / "checkpoints").glob(".*"):
        half_written.unlink()
    for _, path in reversed(list_checkpoints(directory / "checkpoints")):
        try:
            checkpoint = load_checkpoint(path)
        except CheckpointError as error:
            warn(f"{error}; using the one before")
            continue
        if differences := _differences(checkpoint.recipe, recipe.document()):
            raise RecipeError(f"{directory / 'recipe.yaml'} has changed since the run began: {'; '.join(differences)}")
        return Run(directory, recipe, device, checkpoint)
    return Run(directory, recipe, device)


def read_recipe(directory: Path) -> Recipe:
    """The recipe of a run.

    Raises:
        UserError: no run there.
    """
    path = directory / "recipe.yaml"
    if not path.is_file():
        raise TrainingError(f"{directory} holds no run: {path} is missing")
    return validated(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def _differences(began: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted({*began, *now}):
        old, new = began.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key} was {old} and is {new}")
    return found
