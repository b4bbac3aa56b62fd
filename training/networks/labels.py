"""Labels as one-hot inputs (Mirza & Osindero, 2014)."""

import torch
from torch import Tensor
from torch.nn import functional


def append_one_hot(x: Tensor, label: Tensor | None, classes: int) -> Tensor:
    """Append the labels to the features as one-hot vectors.

    Args:
        x: float32[m, d].
        label: int64[m]; None without labels.
        classes: Number of classes.

    Returns:
        float32[m, d + classes], or x itself without labels.
    """
    if label is None:
        return x
    return torch.cat([x, functional.one_hot(label, classes).to(x.dtype)], dim=1)
