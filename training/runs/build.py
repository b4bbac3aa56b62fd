"""Constructs a trainer from a recipe and, to continue a run, a checkpoint."""

from pathlib import Path

import torch

from seedmint.training.algorithm1 import Algorithm1
from seedmint.training.datasets import load_test, load_train
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.datasets.read_once import read_once
from seedmint.training.export.cards import card_of_run
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.optimization import distributed
from seedmint.training.optimization.device_inputs import recording_obstacle
from seedmint.training.recipes.schema import Recipe
from seedmint.training.runs.checkpoint_metadata import checkpoint_metadata, is_same_data
from seedmint.training.runs.checkpoints import Checkpoint
from seedmint.training.runs.diagnostics import Diagnostic, Diagnostics
from seedmint.training.runs.errors import TrainingError
from seedmint.training.runs.held_out import MIN_HELD_OUT, HeldOutLogits
from seedmint.training.runs.hook import Hook
from seedmint.training.runs.hooks import CheckpointHook, DiagnosticsHook, LogHook, PreviewHook
from seedmint.training.runs.machine import emulation_warning
from seedmint.training.runs.machine_hook import MachineHook
from seedmint.training.runs.metrics_hook import MetricsHook, prepare_real_data
from seedmint.training.runs.requirements import check_memory, requirements_of
from seedmint.training.runs.state import TrainerState, build_algorithm, num_classes
from seedmint.training.runs.torch_settings import torch_settings
from seedmint.training.runs.trainer import Trainer


def build_trainer(
    directory: Path,
    recipe: Recipe,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Trainer:
    """Load the data, build the networks, and return a trainer that is ready to `fit`.

    Args:
        directory: The run's directory.
        recipe: The settings.
        device: Device of the training.
        checkpoint: The state to continue from; None starts at step 0.
        on_progress: Called while images are packed, and while the classifier of the metrics is trained.

    Raises:
        UserError: The data cannot be read, differ from the data of the checkpoint, or do not suit the recipe.
    """
    with torch_settings(recipe.num_threads, device), read_once():
        all_data = load_train(recipe.data, on_progress)
        dataset = all_data.first(recipe.data.first, recipe.data.order == "stored")
        requirements = requirements_of(recipe, dataset.marginals().shape, num_classes(recipe, dataset), dataset.encoding)
        check_memory(requirements, recipe, device)
        state = TrainerState.initial(build_algorithm(recipe, dataset, device), device)
        metadata = checkpoint_metadata(dataset)
        card_of_run(recipe, metadata, 0, recipe.name, None, "last")  # fail now, not at the export after the training
        if checkpoint is not None:
            if not is_same_data(checkpoint.metadata, metadata):
                message = f"{dataset.name} differs from the data of {directory}; a run must continue with the same data"
                raise TrainingError(message, field="data", reason="data_changed")
            state.restore(checkpoint.step, checkpoint.metadata, checkpoint.tensors)
        diagnostics = Diagnostics(recipe.watch, state.diagnostic_counts)
        sampler = SeedSampler.of_recipe(recipe, dataset, device)
        test = load_test(recipe.data)
        unseen = dataset.left_out_of(all_data) if test is None else test
        held_out = (
            None if unseen is None or len(unseen) < MIN_HELD_OUT else HeldOutLogits(dataset, unseen, recipe.conditional, device)
        )
        hooks: list[Hook] = [
            MachineHook(_machine_warnings(state.algorithm, device)),
            LogHook(held_out),
            DiagnosticsHook(diagnostics, dataset, recipe.conditional),
            PreviewHook(sampler, dataset),
        ]
        if recipe.early_stop is not None and distributed.world_size() > 1:
            raise TrainingError("a run of several processes cannot stop early", field="early_stop", reason="distributed")
        if recipe.every.evaluate is not None and distributed.is_main_process():
            reference = prepare_real_data(recipe, all_data, test, on_progress)
            hooks.append(MetricsHook(recipe, sampler, reference, metadata))
        hooks.append(CheckpointHook(metadata))
        return Trainer(directory, recipe, dataset, device, requirements, state, diagnostics, hooks)


def _machine_warnings(algorithm: Algorithm1, device: torch.device) -> list[Diagnostic]:
    recipe, warnings = algorithm.recipe, []
    if (warning := emulation_warning(recipe, device)) is not None:
        warnings.append(Diagnostic("emulated", warning))
    if device.type == "cuda" and recipe.cuda_graph != "never":
        obstacle = recording_obstacle(recipe, algorithm.minibatches, device)
        if obstacle is not None:
            message = f"the training runs without a CUDA graph, which is slower: {obstacle}"
            warnings.append(Diagnostic("not_recorded", message))
    return warnings
