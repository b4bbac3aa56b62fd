"""A run: a directory that holds a recipe and all that training by it has produced, and can go on from there.

recipe.yaml                      every field spelled out
checkpoints/step-N.safetensors   the newest few
previews/step-N.png              the first seeds, as the service would return them
log.jsonl, tensorboard/          the statistics
"""

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import nn

from seedmint.models.card import Metric
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.training.algorithm1 import STATISTICS, Algorithm1
from seedmint.training.datasets import Dataset, load_all, load_splits
from seedmint.training.evaluation.metric_families import FAMILIES, measure, sample_of, samples_of, why_not
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.sample_metrics import measure_samples
from seedmint.training.export.cards import card_of_run
from seedmint.training.export.served_generator import outputs_of_seeds
from seedmint.training.objectives import LIMIT
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import SAMPLE_METRICS, Recipe, RecipeError
from seedmint.training.runs.checkpoints import Checkpoint, list_checkpoints, load_checkpoint, save_checkpoint
from seedmint.training.runs.diagnostics import Diagnostics, Diversity, Note
from seedmint.training.runs.event_log import PLOTTED_SEEDS, PREVIEW_SEEDS, Record
from seedmint.training.runs.nonfinite import first_nonfinite
from seedmint.training.runs.provenance import code_version, library_versions
from seedmint.training.runs.signals import Interruption
from seedmint.training.runs.state import build, nonfinite, restore, tensors_of


class TrainingError(UserError):
    """Training that cannot go on; what was saved before is kept."""


@dataclass(frozen=True)
class Report:
    """Where a run stands: `statistics` are means over the steps since the last report, with `images/s` of data, or empty
    where the report is of `metrics` measured now of the generator's `weights`; `notes` are what was noticed."""

    step: int
    statistics: dict[str, float]
    metrics: tuple[Metric, ...] = ()
    weights: Literal["last", "ema"] = "last"
    notes: tuple[Note, ...] = ()


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
        self.interrupted: signal.Signals | None = None
        torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(device.type == "cpu")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        self._held_out: Dataset | None = None
        if recipe.of_samples:
            whole, self._held_out = load_splits(recipe.data)
        else:
            whole = load_all(recipe.data)
        self.dataset = whole.first(recipe.data.first)
        self.algorithm: Algorithm1 = build(recipe, self.dataset, device)
        self.step = 0
        self._logged = 0  # step of the newest line in the log
        self._sums = torch.zeros(len(STATISTICS), device=device)
        self._diagnostics = Diagnostics(recipe.watch)
        labels = self.dataset.labels if recipe.conditional else None
        self._diversity = Diversity(self._comparable(self.dataset.values), labels)
        self._facts = facts_of(self.dataset)
        card_of_run(recipe, self._facts, 0, recipe.name, None, "last")  # what cannot be exported is not trained first
        self._real = _real_data(recipe, whole) if recipe.image_metrics and distributed.is_first() else None
        if checkpoint is not None:
            self._continue_from(checkpoint)
        self._timed = self.step, time.perf_counter()

    def train(self, on_report: Callable[[Report], None], on_checkpoint: Callable[[Path], None] | None = None) -> None:
        """Iterate Algorithm 1 until the run is `finished`, writing log, previews and checkpoints as the recipe says.

        At SIGINT or SIGTERM it ends after the iteration under way, saved, with `interrupted` set. Where several processes share
        the run, all end together, and the first alone writes and reports.

        Raises:
            TrainingError: V or a weight is no longer finite, or another process trains this run.
        """
        with locked(self.directory), Interruption() as interruption:
            self._timed = self.step, time.perf_counter()
            record = Record(self.directory, self.step) if distributed.is_first() else None
            try:
                while not self.finished and not (received := distributed.largest(interruption.received or 0)):
                    self._sums += self.algorithm.iterate(self.step)
                    self.step += 1
                    self._write(record, on_report, on_checkpoint)
                if not self.finished:
                    self._save()
                    self.interrupted = signal.Signals(received)
            finally:
                if record is not None:
                    record.close()

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the recipe stops at the equilibrium and D is there."""
        stopped = self.recipe.watch.stop_at_equilibrium and self._diagnostics.at_equilibrium
        return self.step >= self.recipe.steps or stopped

    def _write(
        self, record: Record | None, on_report: Callable[[Report], None], on_checkpoint: Callable[[Path], None] | None
    ) -> None:
        """What is due after a step."""
        every, last = self.recipe.every, self.step == self.recipe.steps
        if self.step % every.log == 0 or last:
            values = self._statistics()
            notes = self._diagnostics.statistics(values["D(x)"], values["D(G(z))"])
            last = self.finished
            if record is not None:
                record.statistics(self.step, values)
                record.notes(self.step, notes)
                on_report(Report(self.step, values, notes=notes))
        if record is not None and (self.step % every.preview == 0 or last):
            self._preview(record, on_report)
        if record is not None and every.evaluate is not None and (self.step % every.evaluate == 0 or last):
            for weights, generator in self._generators().items():
                metrics = self._measured(generator)
                record.metrics(self.step, weights, metrics)
                on_report(Report(self.step, {}, metrics, weights))
        if self.step % every.checkpoint == 0 or last:
            self._save(on_checkpoint)

    def _preview(self, record: Record, on_report: Callable[[Report], None]) -> None:
        generator = self.algorithm.generator if self.algorithm.ema is None else self.algorithm.ema
        seeds = PREVIEW_SEEDS if self.dataset.names is None else PLOTTED_SEEDS
        outputs = self._outputs(generator, seeds)
        if self.dataset.names is None:
            record.preview(self.step, outputs)
        else:
            record.plot(self.step, outputs, self.dataset.names)
        labels = labels_of(seeds, self._classes) if self._classes else None
        diversity = self._diversity.of(self._comparable(outputs), labels)
        if diversity is None:
            return
        notes = self._diagnostics.preview(diversity)
        record.diversity(self.step, diversity)
        record.notes(self.step, notes)
        if notes:
            on_report(Report(self.step, {}, notes=notes))

    def _comparable(self, values: NDArray[Any]) -> NDArray[Any]:
        """Images as they are; samples with every column in units of its standard deviation."""
        scaling = self.dataset.scaling
        return values if scaling is None else scaling.standardised(values)

    @property
    def _classes(self) -> int:
        return len(self.dataset.classes or ()) if self.recipe.conditional else 0

    def _statistics(self) -> dict[str, float]:
        distributed.average([self._sums])
        means = (self._sums / (self.step - self._logged)).tolist()
        values = dict(zip(STATISTICS, means, strict=True))
        if not all(math.isfinite(mean) for mean in means):
            raise TrainingError(self._diverged(f"V is {values['V']}"))
        self._logged = self.step
        self._sums.zero_()
        images = (self.step - self._timed[0]) * self.recipe.m * self.recipe.k
        rate = images / (time.perf_counter() - self._timed[1])
        self._timed = self.step, time.perf_counter()
        return {**values, "JSD": (values["V"] - LIMIT) / 2, "images/s": rate}

    def _save(self, on_checkpoint: Callable[[Path], None] | None = None) -> None:
        distributed.average([self._sums])
        if not bool(self._sums.isfinite().all()):
            raise TrainingError(self._diverged("V is not finite"))
        if (name := nonfinite(self.algorithm)) is not None:
            raise TrainingError(self._diverged(f"{name} is not finite"))
        if not distributed.is_first():
            return
        window = {"sums": self._sums.tolist(), "logged": self._logged, "noticed": self._diagnostics.counts}
        checkpoint = Checkpoint(self.step, self.recipe.document(), {**self._facts, **window}, tensors_of(self.algorithm))
        path = save_checkpoint(self.directory / "checkpoints", checkpoint)
        if on_checkpoint is not None:
            on_checkpoint(path)

    def _generators(self) -> dict[Literal["last", "ema"], nn.Module]:
        """The generators worth measuring: with its last weights, and averaged."""
        if self.algorithm.ema is None or self.step <= self.recipe.ema_start:
            return {"last": self.algorithm.generator}
        return {"last": self.algorithm.generator, "ema": self.algorithm.ema}

    def _measured(self, generator: nn.Module) -> tuple[Metric, ...]:
        outputs = partial(self._outputs, generator)
        if self._real is None:
            assert self._held_out is not None
            wanted = tuple(metric for metric in SAMPLE_METRICS if metric in self.recipe.metrics)
            return measure_samples(self.recipe.data, self._held_out, self.recipe.conditional, outputs, wanted)
        counts = {name: samples_of(name, None) for name in self.recipe.image_metrics}
        sample = sample_of(outputs, self._classes, max(counts.values()), self._real)
        return tuple(metric for name, n in counts.items() for metric in measure(name, sample, n))

    def _outputs(self, generator: nn.Module, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """What the service will return for these seeds once this generator is exported."""
        scaling, rule, z_dim = self.dataset.scaling, self.recipe.noise_rule, self.recipe.z_dim
        return outputs_of_seeds(generator, scaling, rule, z_dim, self._classes, seeds, labels, self._device)

    def _continue_from(self, checkpoint: Checkpoint) -> None:
        began = checkpoint.facts["dataset"]
        if any(began.get(key) != self._facts["dataset"].get(key) for key in ("digest", "classes", "names")):
            raise TrainingError(
                f"data: {self.dataset.name} has changed since {self.directory} began; a run goes on with its own data"
            )
        restore(self.algorithm, checkpoint.tensors)
        self.step = checkpoint.step
        self._sums += torch.tensor(checkpoint.facts["sums"], device=self._device)
        self._logged = checkpoint.facts["logged"]
        self._diagnostics = Diagnostics(self.recipe.watch, checkpoint.facts.get("noticed"))

    def _diverged(self, what: str) -> str:
        """One line, with the step and the tensor where it began, found by going over the steps since the last checkpoint."""
        saved = list_checkpoints(self.directory / "checkpoints")
        algorithm, begin, kept = build(self.recipe, self.dataset, self._device), 0, "nothing was saved before"
        if saved:
            checkpoint = load_checkpoint(saved[-1][1])
            restore(algorithm, checkpoint.tensors)
            begin, kept = checkpoint.step, f"the checkpoint of step {checkpoint.step} is kept"
        found = first_nonfinite(algorithm, begin, self.step)
        if found is None:
            return (
                f"training diverged: {what} at or before step {self.step}, but not when the steps after {begin} were repeated, "
                f"as if this machine had erred; {kept}, and `seedmint resume {self.directory}` goes on"
            )
        step, first = found
        return f"training diverged: {first} in step {step}; {kept}; try a lower rule.*.learning_rate"


def _real_data(recipe: Recipe, whole: Dataset) -> RealData:
    """What the recipe's metrics are measured against; a classifier that they need is trained before the run."""
    real = RealData(recipe.data, whole)
    for name in recipe.image_metrics:
        if (reason := why_not(name, real, whole.classes if recipe.conditional else None)) is not None:
            raise RecipeError(f"metrics: {name} does not apply: {reason}")
    if any(FAMILIES[name].judged for name in recipe.image_metrics):
        _ = real.judge
    return real


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """What a checkpoint tells besides the recipe: the data, and the versions that compute."""
    if dataset.scaling is None:
        output: dict[str, Any] = {"shape": [*dataset.images.shape[2:], dataset.images.shape[1]]}
    else:
        output = {"shape": dataset.samples.shape[1:], "names": dataset.names, "scaling": asdict(dataset.scaling)}
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "examples": len(dataset),
            "licence": dataset.licence,
            "classes": None if dataset.classes is None else list(dataset.classes),
            **json.loads(json.dumps(output)),
        },
        "code_version": code_version(),
        "libraries": library_versions(),
    }


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """While entered, no other run of this machine trains in the directory; the first of several processes holds it for all."""
    if not distributed.is_first():
        yield
        return
    try:
        with FileLock(directory / ".lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(f"{directory} is being trained by another process") from None
