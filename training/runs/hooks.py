"""Hooks of the trainer: log, diagnostics, previews and checkpoints.

The trainer calls the hooks in their order after every step. Hooks that only write output do nothing outside the main process.
Hooks that reduce values over all processes run in every process.
"""

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.noise import labels_of
from seedmint.training.algorithm1 import STATISTICS
from seedmint.training.datasets import Dataset
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization import distributed
from seedmint.training.runs.checkpoints import Checkpoint, save_checkpoint
from seedmint.training.runs.diagnostics import Diagnostic, Diagnostics, Diversity
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.progress import ProgressEvent
from seedmint.training.runs.state import find_nonfinite_tensor, tensors_of

_IMAGE_PREVIEW_SEEDS = np.arange(64, dtype=np.int64)
_SAMPLE_PREVIEW_SEEDS = np.arange(1000, dtype=np.int64)


class LogHook(Hook):
    """Writes the means of the statistics every `every.log` steps.

    Raises:
        DivergenceError: A mean is not finite.
    """

    def on_fit_start(self, trainer: RunContext) -> None:
        """Start the clock of the training rate."""
        self._start_timer(trainer)

    def on_step_end(self, trainer: RunContext) -> None:
        """Write the statistics if they are due."""
        if not trainer.is_due(trainer.recipe.every.log):
            return
        state, recipe = trainer.state, trainer.recipe
        distributed.all_reduce_mean([state.sums])
        means = (state.sums / (state.step - state.logged_step)).tolist()
        values = dict(zip(STATISTICS, means, strict=True))
        if not all(math.isfinite(mean) for mean in means):
            raise trainer.divergence(f"V is {values['V']}")
        state.logged_step = state.step
        state.sums.zero_()
        examples = (state.step - self._timer_step) * recipe.m * recipe.k
        rate = examples / (time.perf_counter() - self._timer_start)
        self._start_timer(trainer)
        objective, augmentation = OBJECTIVES[recipe.objective], state.algorithm.augmentation
        if objective.estimates_jsd:
            values["JSD"] = (values["V"] - objective.equilibrium) / 2
        if augmentation is not None and recipe.augmentation is not None and recipe.augmentation.kind == "ada":
            values["p"] = float(augmentation.p)
        values["images/s"] = rate
        if trainer.log is not None:
            trainer.log.write_statistics(state.step, values)
        trainer.emit(ProgressEvent(state.step, values))
        trainer.call_hooks("on_statistics", values)

    def _start_timer(self, trainer: RunContext) -> None:
        self._timer_step, self._timer_start = trainer.state.step, time.perf_counter()


class DiagnosticsHook(Hook):
    """Checks the statistics and the previews for known failures, and reports each failure once.

    Args:
        diagnostics: The counts and thresholds.
        dataset: The training data, the reference for diversity.
        conditional: Whether G and D use labels.
    """

    def __init__(self, diagnostics: Diagnostics, dataset: Dataset, conditional: bool) -> None:
        self._diagnostics = diagnostics
        self._scaling = dataset.scaling
        self._diversity = Diversity(self._standardize(dataset.values), dataset.labels if conditional else None)

    def on_statistics(self, trainer: RunContext, statistics: dict[str, float]) -> None:
        """Check for saturation and equilibrium."""
        self._report(trainer, self._diagnostics.check_statistics(statistics["D(x)"], statistics["D(G(z))"]))

    def on_preview(self, trainer: RunContext, outputs: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        """Measure the diversity and check for mode collapse."""
        diversity = self._diversity.measure(self._standardize(outputs), labels)
        if diversity is None:
            return
        if trainer.log is not None:
            trainer.log.write_diversity(trainer.state.step, diversity)
        self._report(trainer, self._diagnostics.check_diversity(diversity))

    def _report(self, trainer: RunContext, diagnostics: tuple[Diagnostic, ...]) -> None:
        trainer.state.diagnostic_counts = self._diagnostics.counts
        if not diagnostics:
            return
        if trainer.log is not None:
            trainer.log.write_diagnostics(trainer.state.step, diagnostics)
        trainer.emit(ProgressEvent(trainer.state.step, diagnostics=diagnostics))

    def _standardize(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return images unchanged, and samples with each column in units of its standard deviation."""
        return values if self._scaling is None else self._scaling.standardize(values)


class PreviewHook(Hook):
    """Writes a preview of the first seeds every `every.preview` steps, as the service would return them after export.

    Args:
        sampler: Computes the outputs of seeds.
        names: Names of a sample's columns or channels; None for images.
    """

    def __init__(self, sampler: SeedSampler, names: tuple[str, ...] | None) -> None:
        self._sampler, self._names = sampler, names

    def on_step_end(self, trainer: RunContext) -> None:
        """Write a preview if it is due."""
        if trainer.log is None or not trainer.is_due(trainer.recipe.every.preview):
            return
        algorithm, step = trainer.state.algorithm, trainer.state.step
        seeds = _IMAGE_PREVIEW_SEEDS if self._names is None else _SAMPLE_PREVIEW_SEEDS
        outputs = self._sampler.sample(algorithm.generator if algorithm.ema is None else algorithm.ema, seeds)
        if self._names is None:
            trainer.log.write_image_preview(step, outputs)
        else:
            trainer.log.write_sample_preview(step, outputs, self._names)
        labels = labels_of(seeds, self._sampler.classes) if self._sampler.classes else None
        trainer.call_hooks("on_preview", outputs, labels)


class CheckpointHook(Hook):
    """Writes a checkpoint every `every.checkpoint` steps, at the end, and when a signal interrupts the run.

    Args:
        metadata: See `seedmint.training.runs.checkpoint_metadata`.

    Raises:
        DivergenceError: A sum, a weight or an optimizer's average is not finite.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    def on_step_end(self, trainer: RunContext) -> None:
        """Write a checkpoint if it is due."""
        if trainer.is_due(trainer.recipe.every.checkpoint):
            self._save(trainer)

    def on_interrupt(self, trainer: RunContext) -> None:
        """Write a checkpoint."""
        self._save(trainer)

    def _save(self, trainer: RunContext) -> None:
        state = trainer.state
        distributed.all_reduce_mean([state.sums])
        if not bool(state.sums.isfinite().all()):
            raise trainer.divergence("V is not finite")
        if (name := find_nonfinite_tensor(state.algorithm)) is not None:
            raise trainer.divergence(f"{name} is not finite")
        if not distributed.is_main_process():
            return
        metadata = {**self._metadata, **state.metadata()}
        checkpoint = Checkpoint(state.step, trainer.recipe.document(), metadata, tensors_of(state.algorithm))
        path = save_checkpoint(trainer.directory / "checkpoints", checkpoint)
        trainer.call_hooks("on_checkpoint", path)
