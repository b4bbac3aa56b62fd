"""Parameters and memory that a run needs, computed before anything is allocated.

The networks are built on torch's device `meta`, whose tensors have shapes and no content.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm

from seedmint.models.runtime.memory import container_memory
from seedmint.training import penalties
from seedmint.training.datasets.dataset import Encoding
from seedmint.training.networks import build_networks, noise_length
from seedmint.training.optimization import distributed
from seedmint.training.recipes.schema import Recipe, RecipeError

_FLOAT_BYTES = 4
_POWER_METHOD = _SpectralNorm._power_method
_COPIES = {"adam": 4, "momentum": 3, "rmsprop": 3}  # weights, gradients, and the averages of the optimizer


@dataclass(frozen=True)
class Requirements:
    """Parameters and memory of a run, in each process.

    Attributes:
        generator_parameters: Number of parameters of G.
        discriminator_parameters: Number of parameters of D.
        generator_bytes: Memory of G's weights, gradients, averages, and of the averaged generator.
        discriminator_bytes: Memory of D's weights, gradients and averages.
        minibatch_bytes: Memory of the features that one update keeps for its gradients. An upper bound: float32 is assumed.
    """

    generator_parameters: int
    discriminator_parameters: int
    generator_bytes: int
    discriminator_bytes: int
    minibatch_bytes: int

    @property
    def total_bytes(self) -> int:
        """Memory of all parts."""
        return self.generator_bytes + self.discriminator_bytes + self.minibatch_bytes


def requirements_of(recipe: Recipe, shape: tuple[int, ...], classes: int, encoding: Encoding | None = None) -> Requirements:
    """Return what a run needs. Allocates no memory for the networks.

    Args:
        recipe: The settings.
        shape: Shape of one example, as `build_networks` receives it.
        classes: Number of classes; 0 without labels.
        encoding: The encoding of a table or of series; None for other data.

    Raises:
        RecipeError: A network of the recipe does not support data of this shape.
        DistributedError: m is not a multiple of the number of processes.
    """
    with torch.device("meta"), _without_power_iterations():
        generator, discriminator = build_networks(recipe, torch.zeros(shape), classes, encoding)
        rows = len(range(recipe.m)[distributed.local_rows(recipe.m)])
        label = torch.zeros(rows, dtype=torch.int64) if classes else None
        z, x = torch.zeros(rows, noise_length(recipe.z_dim, encoding)), torch.zeros(rows, *shape)
        with _saved_tensors() as kept_by_d:
            for images in (x, torch.zeros_like(x)):
                images.requires_grad_(recipe.penalty.is_active)
                logits = discriminator(images, label)
                if recipe.penalty.is_active:
                    penalties.zero_centered(logits, images)
        with _saved_tensors() as kept_by_g:
            discriminator(generator(z, label), label)
    g, d = (sum(p.numel() for p in network.parameters()) for network in (generator, discriminator))
    return Requirements(
        g,
        d,
        g * _FLOAT_BYTES * (_COPIES[recipe.rule.generator.kind] + bool(recipe.ema)),
        d * _FLOAT_BYTES * _COPIES[recipe.rule.discriminator.kind],
        max(_bytes(kept_by_d), _bytes(kept_by_g)),
    )


def check_memory(requirements: Requirements, recipe: Recipe, device: torch.device) -> None:
    """Refuse a run that cannot fit into the free memory.

    Args:
        requirements: What the run needs.
        recipe: The settings.
        device: Device of the training.

    Raises:
        RecipeError: The run needs more memory than is free. `field` names the largest part.
    """
    free = free_memory(device)
    if requirements.total_bytes <= free:
        return
    parts = {
        _size_field("generator", recipe.generator.kind): requirements.generator_bytes,
        _size_field("discriminator", recipe.discriminator.kind): requirements.discriminator_bytes,
        "m": requirements.minibatch_bytes,
    }
    largest = max(parts, key=lambda field: parts[field])
    message = (
        f"choose a smaller value: the run needs up to {gigabytes(requirements.total_bytes)}, "
        f"{gigabytes(parts[largest])} of it for this part, but {gigabytes(free)} are free"
    )
    raise RecipeError(message, field=largest, reason="too_large")


def free_memory(device: torch.device) -> int:
    """Return the free memory for networks on a device, in bytes.

    Args:
        device: Device of the training.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free, container = int(psutil.virtual_memory().available), container_memory()
    return free if container is None else min(free, container.limit - container.working_set)


def gigabytes(count: int) -> str:
    """Return a number of bytes as text with three digits.

    Args:
        count: Number of bytes.
    """
    return f"{count / 1e9:.3g} GB"


def _size_field(section: str, kind: str) -> str:
    return f"{section}.{'capacity' if kind == 'residual' else 'width'}"


@contextmanager
def _without_power_iterations() -> Iterator[None]:
    """Make layers with spectral normalization on the device `meta` without estimates of the norms.

    The estimates are a hundred operations for each layer, without an effect on the device `meta`, and are not part of the
    memory that autograd keeps.
    """
    with mock.patch.object(_SpectralNorm, "_power_method", _skip_on_meta):
        yield


def _skip_on_meta(module: _SpectralNorm, weight: Tensor, num_iterations: int) -> None:
    """Estimate the norm of a weight that is not on `meta`: another thread can build networks at the same time."""
    if not weight.is_meta:
        _POWER_METHOD(module, weight, num_iterations)


@contextmanager
def _saved_tensors() -> Iterator[list[Tensor]]:
    """Collect the tensors that autograd keeps for gradients."""
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def _bytes(kept: list[Tensor]) -> int:
    """Return the size of the tensors, without weights. Tensors that share their memory count once."""
    storages = {t.untyped_storage()._cdata: t.untyped_storage() for t in kept if not isinstance(t, nn.Parameter)}
    return sum(storage.nbytes() for storage in storages.values())
