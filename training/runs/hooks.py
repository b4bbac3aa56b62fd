"""Hooks of the trainer: log, diagnostics, previews and checkpoints.

The trainer calls the hooks in their order after every step. Hooks that only write output do nothing outside the main process.
Hooks that reduce values over all processes run in every process.
"""

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import column_numbers
from seedmint.training.algorithm1 import STATISTICS
from seedmint.training.datasets import Dataset
from seedmint.training.evaluation.metrics.table_columns import absent_share, column_distance
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.optimization import distributed
from seedmint.training.runs.checkpoints import Checkpoint, save_checkpoint
from seedmint.training.runs.diagnostics import ColumnState, Diagnostic, Diagnostics, Diversity
from seedmint.training.runs.event_log import EventLog
from seedmint.training.runs.held_out import HeldOutLogits
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.progress import HELD_OUT_JSD, HELD_OUT_JSD_ERROR, ProgressEvent
from seedmint.training.runs.state import find_nonfinite_tensor, tensors_of

_IMAGE_PREVIEW_SEEDS = np.arange(64, dtype=np.int64)
_SAMPLE_PREVIEW_SEEDS = np.arange(1000, dtype=np.int64)
_SHOWN_TEXTS = 64  # in the event of a preview
_FIRST_PREVIEW_SECONDS = 45.0


class LogHook(Hook):
    """Writes the means of the statistics every `every.log` steps.

    Args:
        held_out: Measures D on held-out examples; None without held-out examples.

    Raises:
        DivergenceError: A mean is not finite.
    """

    def __init__(self, held_out: HeldOutLogits | None = None) -> None:
        self._held_out = held_out

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
        if self._held_out is not None and trainer.log is not None:
            values["memorized"] = self._held_out.preference(state.algorithm.discriminator)
            if objective.estimates_jsd:
                overfitting, error = self._held_out.overfitting(state.algorithm.discriminator)
                values[HELD_OUT_JSD] = values["JSD"] - overfitting / 2
                values[HELD_OUT_JSD_ERROR] = error / 2
        values[f"{trainer.dataset.noun}s/s"] = rate
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
        self._dataset, self._table, self._scaling = dataset, dataset.table, dataset.scaling
        self._diversity = Diversity(self._standardize(dataset.values), dataset.labels if conditional else None)

    def on_statistics(self, trainer: RunContext, statistics: dict[str, float]) -> None:
        """Check for saturation and equilibrium."""
        found = self._diagnostics.check_statistics(statistics["D(x)"], statistics["D(G(z))"])
        if "memorized" in statistics:
            found += self._diagnostics.check_memorization(statistics["memorized"])
        self._report(trainer, found)

    def on_preview(self, trainer: RunContext, outputs: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        """Measure the diversity and check for mode collapse, of the whole and of each column."""
        self._check_columns(trainer, outputs, labels)
        diversity = self._diversity.measure(self._standardize(outputs), labels)
        if diversity is None:
            return
        if trainer.log is not None:
            trainer.log.write_diversity(trainer.state.step, diversity)
        self._report(trainer, self._diagnostics.check_diversity(diversity))

    def _check_columns(self, trainer: RunContext, outputs: NDArray[Any], labels: NDArray[np.int64] | None) -> None:
        """Check each column of a table for collapse. The diversity covers strings."""
        if self._table is None or self._table.is_text:
            return
        data = self._dataset.samples
        if labels is not None:  # compare with rows of the same labels
            data = data[_rows_of_labels(self._dataset, labels)]
        states = {
            column.name: ColumnState(
                column_distance(column, outputs[:, i], data[:, i]), absent_share(column, outputs[:, i], data[:, i])
            )
            for i, column in enumerate(self._table.columns)
        }
        self._report(trainer, self._diagnostics.check_columns(states))

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
        dataset: The training data; some of its images stand beside the generated images.
    """

    def __init__(self, sampler: SeedSampler, dataset: Dataset) -> None:
        self._sampler, self._names, self._table = sampler, dataset.names, dataset.table
        self._seeds = _SAMPLE_PREVIEW_SEEDS if dataset.scaling is not None else _IMAGE_PREVIEW_SEEDS
        self._labels = None if sampler.label_rule is None else sampler.label_rule.labels(self._seeds)
        self._real = None if dataset.scaling is not None else _real_images(dataset, self._labels, len(self._seeds))
        self._due_time, self._last_step = 0.0, -1

    def on_fit_start(self, trainer: RunContext) -> None:
        """Start the clock of the previews."""
        self._due_time = time.monotonic() + _FIRST_PREVIEW_SECONDS

    def on_step_end(self, trainer: RunContext) -> None:
        """Write a preview if it is due by the number of steps or by time."""
        if trainer.log is None:
            return
        if trainer.is_due(trainer.recipe.every.preview):
            trainer.call_hooks("on_preview", self._write(trainer, trainer.log), self._labels)
        elif trainer.recipe.every.preview_seconds is not None and time.monotonic() >= self._due_time:
            self._write(trainer, trainer.log)  # without `on_preview`: no state may depend on the time

    def on_interrupt(self, trainer: RunContext) -> None:
        """Write a preview of the last step."""
        if trainer.log is not None and self._last_step != trainer.state.step:
            self._write(trainer, trainer.log)

    def _write(self, trainer: RunContext, log: EventLog) -> NDArray[Any]:
        algorithm, step = trainer.state.algorithm, trainer.state.step
        outputs = self._sampler.sample(algorithm.generator if algorithm.ema is None else algorithm.ema, self._seeds)
        if self._table is not None and self._table.is_text:
            texts = self._table.columns[0].values(outputs)
            log.write_text_preview(step, texts)
            trainer.emit(ProgressEvent(step, texts=tuple(texts[:_SHOWN_TEXTS])))
        elif self._real is not None:
            log.write_image_preview(step, outputs, self._real)
        else:
            assert self._names is not None
            shown = outputs if self._table is None else column_numbers(self._table.columns, outputs)
            log.write_sample_preview(step, shown, self._names)
        self._last_step = step
        self._due_time = time.monotonic() + (trainer.recipe.every.preview_seconds or 0)
        return outputs


def _rows_of_labels(dataset: Dataset, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows of the data that have the given labels, int64[n]. A label without rows gets rows of any label."""
    rows = np.arange(len(labels)) % len(dataset)
    if dataset.labels is not None:
        for label in np.unique(labels):
            found, wanted = np.flatnonzero(dataset.labels == label), labels == label
            if len(found):
                rows[wanted] = found[np.arange(wanted.sum()) % len(found)]
    return rows


def _real_images(dataset: Dataset, labels: NDArray[np.int64] | None, n: int) -> NDArray[np.uint8]:
    """Return n training images, uint8[n, height, width, channels], of the given labels."""
    rows = np.arange(n) % len(dataset) if labels is None else _rows_of_labels(dataset, labels)
    return np.ascontiguousarray(dataset.images[rows].transpose(0, 2, 3, 1))


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

    def on_weights_loaded(self, trainer: RunContext) -> None:
        """Write a checkpoint of step 0, from which an interrupted run can start again."""
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
        path = save_checkpoint(trainer.directory / "checkpoints", checkpoint_of(trainer, self._metadata))
        trainer.call_hooks("on_checkpoint", path)


def checkpoint_of(trainer: RunContext, metadata: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint of the current state.

    Args:
        trainer: The run.
        metadata: See `seedmint.training.runs.checkpoint_metadata`.
    """
    state = trainer.state
    return Checkpoint(state.step, trainer.recipe.document(), {**metadata, **state.metadata()}, tensors_of(state.algorithm))
