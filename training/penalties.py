"""Penalties on the gradient of D's logits with respect to D's input. D descends them next to its loss.

Gradients of images count pixels in the range -1 to 1, as in the literature, although D receives pixels from 0 to 1.
"""

import torch
from torch import Tensor

_PIXEL_RANGE = 2.0  # width of the range -1 to 1, in units of the range 0 to 1


def input_gradients(logits: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of each row's logit with respect to this row. Gradients of the result flow into D.

    Args:
        logits: float32[m], D(x). No row may depend on another row of x.
        x: float32[m, ...], on which `logits` depends.

    Returns:
        float32[m, d], d the number of elements of a row.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    scale = 1 / _PIXEL_RANGE if x.ndim == 4 else 1.0
    return gradient.flatten(1) * scale


def zero_centered(logits: Tensor, x: Tensor) -> Tensor:
    """Return 1/2 E|∇D(x)|²: R1 for data x, R2 for generated x (Mescheder et al., 2018, equation 9).

    Args:
        logits: float32[m], D(x).
        x: float32[m, ...].
    """
    return input_gradients(logits, x).square().sum(dim=1).mean() / 2


def one_centered(logits: Tensor, x: Tensor) -> Tensor:
    """Return E(|∇D(x)| - 1)², the penalty of WGAN-GP (Gulrajani et al., 2017, equation 3).

    Args:
        logits: float32[m], D(x).
        x: float32[m, ...], random points between data and generated examples.
    """
    squares = input_gradients(logits, x).square().sum(dim=1)
    # The square root has no gradient at 0; where the norm is 0, no direction would be right.
    norms = torch.where(squares > 0, squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt(), squares)
    return (norms - 1).square().mean()
