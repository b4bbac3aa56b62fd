"""Measures the generator during a run, as `seedmint evaluate` measures a generator file."""

from functools import partial
from typing import Any, Literal

from torch import nn

from seedmint.models.provenance import Metric
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.progress import OnProgress
from seedmint.training.evaluation.image_sample import sample_seeds
from seedmint.training.evaluation.metric_families import FAMILIES, inapplicable_reason, measure, num_samples
from seedmint.training.evaluation.reference_data import RealData
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.recipes.schema import SAMPLE_METRICS, Recipe, RecipeError
from seedmint.training.runs.best import update_best
from seedmint.training.runs.checkpoints import BEST_DIRECTORY, save_checkpoint
from seedmint.training.runs.hook import Hook, RunContext
from seedmint.training.runs.hooks import checkpoint_of
from seedmint.training.runs.progress import ProgressEvent


class MetricsHook(Hook):
    """Measures `metrics` every `every.evaluate` steps. Used only in the main process.

    Args:
        recipe: The run's recipe, with `every.evaluate`.
        sampler: Computes the outputs of seeds.
        reference: Real images, or the samples held out from training.
        metadata: See `seedmint.training.runs.checkpoint_metadata`; for the best checkpoint.
    """

    def __init__(
        self, recipe: Recipe, sampler: SeedSampler, reference: RealData | RealSamples, metadata: dict[str, Any]
    ) -> None:
        assert recipe.every.evaluate is not None
        self._metadata = metadata
        self._recipe, self._sampler, self._reference, self._every = recipe, sampler, reference, recipe.every.evaluate

    def on_step_end(self, trainer: RunContext) -> None:
        """Measure the generator if it is due."""
        if trainer.log is None or not trainer.is_due(self._every):
            return
        algorithm, step = trainer.state.algorithm, trainer.state.step
        generators: dict[Literal["last", "ema"], nn.Module] = {"last": algorithm.generator}
        if algorithm.ema is not None and step > self._recipe.ema_start:
            generators["ema"] = algorithm.ema
        for weights, generator in generators.items():
            metrics = self._measure(generator)
            trainer.log.write_metrics(step, weights, metrics)
            trainer.emit(ProgressEvent(step, metrics=metrics, weights=weights))
        if self._recipe.keep_best is not None:  # decided by the averaged weights if they exist, which `export` uses
            trainer.state.best = update_best(trainer.state.best, self._recipe.keep_best, metrics, step)
            if trainer.state.best is not None and trainer.state.best.step == step:
                save_checkpoint(trainer.directory / BEST_DIRECTORY, checkpoint_of(trainer, self._metadata), keep=1)

    def _measure(self, generator: nn.Module) -> tuple[Metric, ...]:
        outputs = partial(self._sampler.sample, generator)
        if isinstance(self._reference, RealSamples):
            names = tuple(metric for metric in SAMPLE_METRICS if metric in self._recipe.metrics)
            return measure_samples(self._reference, outputs, names, with_draws=False)
        counts = {name: num_samples(name, None, self._reference) for name in self._recipe.image_metrics}
        sample = sample_seeds(outputs, self._sampler.label_rule, max(counts.values()), self._reference)
        return tuple(metric for name, n in counts.items() for metric in measure(name, sample, n))


def prepare_real_data(
    recipe: Recipe, dataset: Dataset, test: Dataset | None, on_progress: OnProgress
) -> RealData | RealSamples:
    """Return the real images, or the held-out samples, for the metrics of a recipe. Trains a classifier if one is missing.

    Args:
        recipe: The run's recipe.
        dataset: All training data of the recipe's source.
        test: The test data of the source, or None.
        on_progress: Called while a classifier is trained.

    Raises:
        RecipeError: A metric of the recipe does not apply to the data.
    """
    if recipe.uses_samples:
        assert test is not None
        return RealSamples(recipe.data, dataset.first(recipe.data.first, recipe.data.order == "stored"), test)
    real = RealData(recipe.data, (dataset, test), on_progress)
    for name in recipe.image_metrics:
        if (reason := inapplicable_reason(name, real, dataset.classes if recipe.conditional else None)) is not None:
            raise RecipeError(f"{name} does not apply: {reason}", field="metrics", reason="metric_does_not_apply")
    if any(FAMILIES[name].uses_classifier for name in recipe.image_metrics):
        _ = real.feature_extractor
    return real
