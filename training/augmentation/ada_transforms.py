"""The transforms of ADA (Karras et al., 2020, appendix B): one affine map of the pixels' positions, and one of their colors.

Each transform is applied to an image with probability p, so that the distribution of the augmented images determines the
distribution of the original images as long as p is below 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn import functional

from seedmint.training.optimization import distributed
from seedmint.training.recipes.augmentation import ColorTransform, GeometricTransform

_Draw = Callable[[], Tensor]  # float32[m], new uniform numbers in [0, 1)

_SCALE_STD, _TRANSLATE_STD = 0.2, 0.125  # of log2; of the side
_BRIGHTNESS_STD, _CONTRAST_STD, _SATURATION_STD = 0.2, 0.5, 1.0  # of pixels from -1 to 1; of log2; of log2
_LUMA = 1 / math.sqrt(3.0)  # the axis from black to white is (1, 1, 1) / sqrt 3


class AdaTransforms:
    """A set of transforms for images.

    Args:
        names: Names of the transforms; None for all.
        channels: Channels of the images. A fourth channel, the opacity, keeps its values and moves with the others.
    """

    def __init__(self, names: Sequence[GeometricTransform | ColorTransform] | None, channels: int) -> None:
        chosen = (*get_args(GeometricTransform), *get_args(ColorTransform)) if names is None else tuple(names)
        self._geometric = [name for name in get_args(GeometricTransform) if name in chosen]
        in_color = () if channels >= 3 else ("hue", "saturation")
        self._colors = [name for name in get_args(ColorTransform) if name in chosen and name not in in_color]

    def __call__(self, x: Tensor, p: Tensor) -> Tensor:
        """Change each image by its own random numbers.

        Args:
            x: float32[m, channels, height, width] in [0, 1].
            p: float32[], probability of each transform.
        """
        if self._geometric:
            x = _move(x, _compose(x, p, self._geometric, _GEOMETRIC, 3))
        if self._colors:
            x = _recolor(x, _compose(x, p, self._colors, _COLORS, 4))
        return x


def _compose(x: Tensor, p: Tensor, names: Sequence[str], matrices: dict[str, Callable[[_Draw], Tensor]], size: int) -> Tensor:
    """Return the product of the chosen random matrices, float32[m, size, size]; of each image, a share 1 - p is left out."""
    identity = torch.eye(size, device=x.device)
    total = identity.expand(len(x), size, size)

    def draw() -> Tensor:
        return distributed.rand(len(x), device=x.device)

    for name in names:
        matrix, is_applied = matrices[name](draw), draw() < p
        total = torch.where(is_applied[:, None, None], matrix, identity) @ total
    return total


def _move(x: Tensor, forward: Tensor) -> Tensor:
    """Move the pixels by affine maps of positions in units of half the side, and fill by reflection at the borders."""
    height, width = x.shape[2:]
    aspect = torch.tensor([width / height, 1.0, 1.0], device=x.device)  # rotations are rotations in pixels, not in half sides
    inverse = torch.linalg.inv(forward)
    inverse = inverse * aspect[None, None, :] / aspect[None, :, None]
    grid = functional.affine_grid(inverse[:, :2], list(x.shape), align_corners=False)
    moved: Tensor = _Sample.apply(x, grid)  # type: ignore[no-untyped-call]
    return moved


def _recolor(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply affine maps of RGB colors from -1 to 1. Gray images use the map's effect on gray."""
    count = min(x.shape[1], 3)
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3]
    if count < 3:
        linear, offset = linear.sum(dim=2).mean(dim=1)[:, None, None], offset.mean(dim=1, keepdim=True)
    pixels = (2 * x[:, :count] - 1).flatten(2)
    changed = ((linear @ pixels + offset[:, :, None] + 1) / 2).view_as(x[:, :count])
    return torch.cat([changed, x[:, count:]], dim=1) if x.shape[1] in (2, 4) else changed


class _Sample(torch.autograd.Function):
    """`grid_sample`, which PyTorch cannot differentiate twice. It is linear in the images, so its derivatives are exact."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = x.shape
        return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _SampleTransposed.apply(gradient, grid, ctx.shape), None  # type: ignore[no-untyped-call]


class _SampleTransposed(torch.autograd.Function):
    """The transposed linear map of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        result: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, gradient.new_zeros(shape), grid, bilinear, reflection, False, [True, False]
        )[0]
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradient, grid), None, None  # type: ignore[no-untyped-call]


def _normal(draw: _Draw) -> Tensor:
    quantiles: Tensor = torch.special.ndtri(draw().clamp(1e-6, 1 - 1e-6))
    return quantiles


def _matrix(rows: Sequence[Sequence[Tensor | float]]) -> Tensor:
    """Return float32[m, n, n] from rows of numbers and float32[m] tensors."""
    m = next(entry for row in rows for entry in row if isinstance(entry, Tensor))
    entries = [[entry if isinstance(entry, Tensor) else torch.full_like(m, entry) for entry in row] for row in rows]
    return torch.stack([torch.stack(row, dim=1) for row in entries], dim=1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return _matrix([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def _shifting(x: Tensor, y: Tensor) -> Tensor:
    return _matrix([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, torch.ones_like(x)]])


def _rotation(angle: Tensor) -> Tensor:
    c, s = angle.cos(), angle.sin()
    return _matrix([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _flip(draw: _Draw) -> Tensor:
    sign = 1 - 2 * (draw() * 2).floor()
    return _scaling(sign, torch.ones_like(sign))


def _stretch(draw: _Draw) -> Tensor:
    factor = torch.exp2(_normal(draw) * _SCALE_STD)
    return _scaling(factor, 1 / factor)


def _scale(draw: _Draw) -> Tensor:
    factor = torch.exp2(_normal(draw) * _SCALE_STD)
    return _scaling(factor, factor)


_GEOMETRIC: dict[str, Callable[[_Draw], Tensor]] = {
    "flip": _flip,
    "rotate90": lambda draw: _rotation((draw() * 4).floor() * (math.pi / 2)),
    "scale": _scale,
    "rotate": lambda draw: _rotation((draw() * 2 - 1) * math.pi),
    "stretch": _stretch,
    "translate": lambda draw: _shifting(_normal(draw) * 2 * _TRANSLATE_STD, _normal(draw) * 2 * _TRANSLATE_STD),
}


def _offset(amount: Tensor) -> Tensor:
    rows: list[list[Tensor | float]] = [[1.0 if i == j else 0.0 for j in range(3)] + [amount] for i in range(3)]
    return _matrix([*rows, [0.0, 0.0, 0.0, 1.0]])


def _factor(factor: Tensor) -> Tensor:
    rows: list[list[Tensor | float]] = [[factor if i == j else 0.0 for j in range(4)] for i in range(3)]
    return _matrix([*rows, [0.0, 0.0, 0.0, 1.0]])


def _luma_parts(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the projection on the axis of grays, and that on the colors, float32[4, 4] each."""
    gray = torch.zeros(4, 4, device=device)
    gray[:3, :3] = 1 / 3
    color = torch.eye(4, device=device) - gray
    color[3, 3] = 0.0
    return gray, color


def _luma_flip(draw: _Draw) -> Tensor:
    """Reflect the brightness: bright colors become dark colors of the same hue."""
    is_flipped = (draw() * 2).floor()
    gray, _ = _luma_parts(is_flipped.device)
    return torch.eye(4, device=is_flipped.device) - 2 * gray * is_flipped[:, None, None]


def _hue(draw: _Draw) -> Tensor:
    """Rotate the colors around the axis of grays."""
    angle = (draw() * 2 - 1) * math.pi
    c, s = angle.cos(), angle.sin() * _LUMA
    a, t = c + (1 - c) / 3, (1 - c) / 3
    return _matrix([[a, t - s, t + s, 0.0], [t + s, a, t - s, 0.0], [t - s, t + s, a, 0.0], [0.0, 0.0, 0.0, 1.0]])


def _saturation(draw: _Draw) -> Tensor:
    factor = torch.exp2(_normal(draw) * _SATURATION_STD)
    gray, color = _luma_parts(factor.device)
    last = torch.zeros(4, 4, device=factor.device)
    last[3, 3] = 1.0
    return gray + color * factor[:, None, None] + last


_COLORS: dict[str, Callable[[_Draw], Tensor]] = {
    "brightness": lambda draw: _offset(_normal(draw) * _BRIGHTNESS_STD),
    "contrast": lambda draw: _factor(torch.exp2(_normal(draw) * _CONTRAST_STD)),
    "luma_flip": _luma_flip,
    "hue": _hue,
    "saturation": _saturation,
}
