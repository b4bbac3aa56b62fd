"""The state of a training run: everything that determines the following iterations."""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn, optim

from seedmint.training.algorithm1 import STATISTICS, Algorithm1
from seedmint.training.augmentation import build_augmentation
from seedmint.training.datasets import Dataset
from seedmint.training.networks import build_networks, noise_length
from seedmint.training.networks.text import TextG
from seedmint.training.optimization.device_inputs import DeviceInputs, recording_obstacle
from seedmint.training.optimization.iteration_graphs import CudaRecorder, IterationGraphs
from seedmint.training.optimization.minibatches import Minibatches, stream_seed
from seedmint.training.optimization.optimizers import build_optimizer
from seedmint.training.recipes.schema import Recipe, RecipeError
from seedmint.training.runs.best import Best, best_of_document

_INITIAL_WEIGHTS_STREAM = (1 << 63) - 1
_AUGMENTATION = "augmentation"  # name of the state of the augmentation in a checkpoint


def build_algorithm(recipe: Recipe, dataset: Dataset, device: torch.device) -> Algorithm1:
    """Return Algorithm 1 before its first iteration.

    Args:
        recipe: The settings.
        dataset: The training data.
        device: Device of the networks and the minibatches.

    Raises:
        UserError: The recipe does not suit the data.
    """
    z_dim = noise_length(recipe.z_dim, dataset.encoding)
    minibatches = Minibatches(dataset, recipe.conditional, recipe.m, recipe.prior, z_dim, recipe.seed, device)
    marginals = torch.from_numpy(dataset.marginals()).float()
    torch.manual_seed(stream_seed(recipe.seed, _INITIAL_WEIGHTS_STREAM))
    networks = build_networks(recipe, marginals, num_classes(recipe, dataset), dataset.encoding)
    if isinstance(networks[0], TextG):
        networks[0].start_from(torch.from_numpy(dataset.samples))
    generator, discriminator = (network.to(device).train() for network in networks)
    ema = copy.deepcopy(generator).eval().requires_grad_(False) if recipe.ema else None
    obstacle = recording_obstacle(recipe, minibatches, device)
    if recipe.cuda_graph == "always" and obstacle is not None:
        raise RecipeError(f"must be auto or never: {obstacle}", field="cuda_graph", reason="not_recordable")
    is_recordable, is_recorded = obstacle is None, obstacle is None and recipe.cuda_graph != "never"
    return Algorithm1(
        recipe=recipe,
        generator=generator,
        discriminator=discriminator,
        ema=ema,
        generator_optimizer=build_optimizer(recipe.rule.generator, generator.parameters(), is_recordable),
        discriminator_optimizer=build_optimizer(recipe.rule.discriminator, discriminator.parameters(), is_recordable),
        minibatches=minibatches,
        augmentation=None if dataset.scaling is not None else build_augmentation(recipe, dataset.images.shape[1], device),
        inputs=DeviceInputs(recipe, minibatches, device) if is_recordable else None,
        graphs=IterationGraphs(CudaRecorder(device)) if is_recorded else None,
    )


def num_classes(recipe: Recipe, dataset: Dataset) -> int:
    """Return the number of classes that the networks use; 0 without labels.

    Args:
        recipe: The settings.
        dataset: The training data.
    """
    return len(dataset.classes) if recipe.conditional and dataset.classes is not None else 0


@dataclass
class TrainerState:
    """State that a checkpoint saves and restores.

    Attributes:
        algorithm: The networks, the averaged generator, the optimizers and the augmentation.
        step: Number of finished iterations.
        sums: float32[3], sums of the `STATISTICS` over the iterations after `logged_step`.
        logged_step: Step of the newest log entry with statistics.
        diagnostic_counts: Counts of `seedmint.training.runs.diagnostics.Diagnostics`.
        best: The best measurement of `keep_best`; None before the first.
    """

    algorithm: Algorithm1
    step: int
    sums: Tensor
    logged_step: int = 0
    diagnostic_counts: dict[str, int] = field(default_factory=dict)
    best: Best | None = None

    @classmethod
    def initial(cls, algorithm: Algorithm1, device: torch.device) -> "TrainerState":
        """Return the state before the first iteration.

        Args:
            algorithm: As `build_algorithm` returns it.
            device: Device of the algorithm.
        """
        return cls(algorithm, 0, torch.zeros(len(STATISTICS), device=device))

    def metadata(self) -> dict[str, Any]:
        """Return the state without tensors, as JSON values."""
        return {
            "sums": self.sums.tolist(),
            "logged_step": self.logged_step,
            "diagnostic_counts": dict(self.diagnostic_counts),
            "best": self.best,
        }

    def restore(self, step: int, metadata: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Restore a saved state in place.

        Args:
            step: Number of finished iterations.
            metadata: See `metadata`.
            tensors: See `tensors_of`.

        Raises:
            RuntimeError: The tensors belong to other networks.
        """
        load_tensors(self.algorithm, tensors)
        self.step = step
        self.sums += torch.tensor(metadata["sums"], device=self.sums.device)
        self.logged_step = metadata["logged_step"]
        self.diagnostic_counts.update(metadata["diagnostic_counts"])
        self.best = best_of_document(metadata.get("best"))


def tensors_of(algorithm: Algorithm1) -> dict[str, Tensor]:
    """Return every tensor of the networks, the optimizers and the augmentation by name: contiguous, on the CPU.

    Args:
        algorithm: Not changed.
    """
    tensors = {}
    for part, network in _networks(algorithm).items():
        for key, tensor in network.state_dict().items():
            tensors[f"{part}/{key}"] = tensor
    for part, optimizer in _optimizers(algorithm).items():
        for index, entries in optimizer.state_dict()["state"].items():
            for key, tensor in entries.items():
                if tensor is not None:
                    tensors[f"{part}/{index}/{key}"] = tensor
    if algorithm.augmentation is not None:
        tensors[_AUGMENTATION] = algorithm.augmentation.state
    return {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}


def load_tensors(algorithm: Algorithm1, tensors: dict[str, Tensor]) -> None:
    """Load the tensors that `tensors_of` returned.

    Args:
        algorithm: Changed in place.
        tensors: By name.

    Raises:
        RuntimeError: The tensors belong to other networks.
    """
    load_networks(algorithm, tensors)
    for part, optimizer in _optimizers(algorithm).items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _select(tensors, part).items():
            index, _, entry = key.partition("/")
            state.setdefault(int(index), {})[entry] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        _restore_memory_formats(optimizer)
    if algorithm.augmentation is not None:
        algorithm.augmentation.state.copy_(tensors[_AUGMENTATION])


def load_networks(algorithm: Algorithm1, tensors: dict[str, Tensor], with_discriminator: bool = True) -> None:
    """Load the weights of the networks, without the optimizers.

    Args:
        algorithm: Changed in place.
        tensors: See `tensors_of`.
        with_discriminator: Load the weights of D too; else D keeps its own.

    Raises:
        RuntimeError: The tensors belong to other networks.
    """
    for part, network in _networks(algorithm).items():
        if part == "discriminator" and not with_discriminator:
            continue
        part_tensors = _select(tensors, part)
        if part == "ema" and not part_tensors:  # the average has not started
            part_tensors = _select(tensors, "generator")
        network.load_state_dict(part_tensors)


def _restore_memory_formats(optimizer: optim.Optimizer) -> None:
    """Store the averages in the order of their parameters' elements. Fused optimizers require one order for both."""
    for parameter, entries in optimizer.state.items():
        for key, tensor in entries.items():
            if isinstance(tensor, Tensor) and tensor.shape == parameter.shape:
                entries[key] = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


def find_nonfinite_tensor(algorithm: Algorithm1) -> str | None:
    """Return the name of a tensor with a NaN or an infinity, or None. D comes first, because D is updated first.

    Args:
        algorithm: Not changed.
    """
    for part in ("discriminator", "generator"):
        network, optimizer = _networks(algorithm)[part], _optimizers(algorithm)[f"{part}_optimizer"]
        named = [(f"{part}.{name}", tensor) for name, tensor in network.state_dict().items()]
        for name, parameter in network.named_parameters(part):
            entries = optimizer.state.get(parameter, {})
            named += [(f"{key} of {name}", tensor) for key, tensor in entries.items() if tensor is not None]
        for name, tensor in named:
            if not bool(tensor.isfinite().all()):
                return name
    return None


def _networks(algorithm: Algorithm1) -> dict[str, nn.Module]:
    networks = {"generator": algorithm.generator, "discriminator": algorithm.discriminator}
    return networks if algorithm.ema is None else {**networks, "ema": algorithm.ema}


def _optimizers(algorithm: Algorithm1) -> dict[str, optim.Optimizer]:
    return {
        "generator_optimizer": algorithm.generator_optimizer,
        "discriminator_optimizer": algorithm.discriminator_optimizer,
    }


def _select(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{part}/"): tensor for key, tensor in tensors.items() if key.startswith(f"{part}/")}
