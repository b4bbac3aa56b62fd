"""DiffAugment (Zhao et al., 2020): differentiable changes that are applied to every image, in the order of the paper's code."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seedmint.training.optimization import distributed
from seedmint.training.recipes.augmentation import DiffAugmentTransform

_MAX_SHIFT = 0.125  # of the side
_CUTOUT = 0.5  # of the side
_GRAY = 0.5  # the value outside the image, the middle of the range


def diffaugment(x: Tensor, transforms: Sequence[DiffAugmentTransform]) -> Tensor:
    """Change each image by its own random numbers.

    Args:
        x: float32[m, channels, height, width] in [0, 1].
        transforms: Names of the transforms.
    """
    functions = {"color": change_color, "translation": translate, "cutout": cut_out}
    for name, function in functions.items():
        if name in transforms:
            x = function(x)
    return x


def change_color(x: Tensor) -> Tensor:
    """Add up to ±1/4 to all pixels; scale the difference to gray by 0 to 2, and the contrast by 1/2 to 3/2."""
    draws = distributed.rand(len(x), 3, 1, 1, 1, device=x.device).unbind(1)
    x = x + (draws[0] - 0.5) / 2
    if x.shape[1] >= 3:
        gray = x.mean(dim=1, keepdim=True)
        x = gray + (x - gray) * (draws[1] * 2)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * (draws[2] + 0.5)


def translate(x: Tensor) -> Tensor:
    """Move each image by whole pixels, up to 1/8 of its sides. The uncovered part is gray."""
    for axis in (2, 3):
        size = x.shape[axis]
        reach = int(size * _MAX_SHIFT + 0.5)
        shift = (distributed.rand(len(x), device=x.device) * (2 * reach + 1)).floor().long() - reach
        shape = [-1 if a == axis else 1 for a in range(4)]
        source = torch.arange(size, device=x.device).view(shape) - shift.view(-1, 1, 1, 1)
        is_inside = (source >= 0) & (source < size)
        moved = x.gather(axis, source.clamp(0, size - 1).expand_as(x))
        x = torch.where(is_inside, moved, _gray(x))
    return x


def cut_out(x: Tensor) -> Tensor:
    """Cover a random rectangle of half the sides with gray. The rectangle may leave the image."""
    is_covered = torch.ones((), dtype=torch.bool, device=x.device)
    for axis in (2, 3):
        size = x.shape[axis]
        length = int(size * _CUTOUT + 0.5)
        begin = (distributed.rand(len(x), device=x.device) * (size + 1 - length % 2)).floor().long() - length // 2
        offset = torch.arange(size, device=x.device).view([-1 if a == axis else 1 for a in range(4)]) - begin.view(-1, 1, 1, 1)
        is_covered = is_covered & (offset >= 0) & (offset < length)
    return torch.where(is_covered, _gray(x), x)


def _gray(x: Tensor) -> Tensor:
    """Return `_GRAY` on the device of x. `torch.where` would copy a number from the host, which waits for a GPU."""
    return torch.full((), _GRAY, dtype=x.dtype, device=x.device)
