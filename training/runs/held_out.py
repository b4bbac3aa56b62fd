"""Measures whether D learns the training examples by heart, from its logits of training and of held-out examples.

V(G, D) on fresh data estimates -log 4 + 2 JSD from below, whatever D is. On the examples that D was trained on, V can be
larger. The difference of the two estimates is D's overfitting.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from seedmint.training.datasets import Dataset

MIN_HELD_OUT = 2
"""Number of held-out examples that a standard error needs."""

_MAX_EXAMPLES = 256
_BATCH = 64
_ROWS_KEY = 6


class HeldOutLogits:
    """Compares D's logits of up to 256 training examples and as many held-out examples, without augmentation.

    The measurement draws no random number and changes no state. Therefore the training stays the same.

    Args:
        train: The training data.
        held_out: Data of the same kind that training does not use, at least `MIN_HELD_OUT` examples.
        conditional: Whether D receives labels.
        device: Device of D.
    """

    def __init__(self, train: Dataset, held_out: Dataset, conditional: bool, device: torch.device) -> None:
        self._parts = [_examples(part, train, conditional, device) for part in (train, held_out)]

    @torch.no_grad()
    def overfitting(self, discriminator: nn.Module) -> tuple[float, float]:
        """Return E log D(x) on training examples minus the same on held-out examples, and its standard error, in nats.

        For a D without dropout and augmentation, V on fresh data is V on the training data minus this difference: generated
        examples are always fresh.

        Args:
            discriminator: D; in evaluation mode during the call.
        """
        with _evaluation_mode(discriminator):
            train, held_out = (-softplus(-_logits(discriminator, x, labels)) for x, labels in self._parts)
        variance = sum(float(part.var()) / len(part) for part in (train, held_out))
        return float(train.mean() - held_out.mean()), math.sqrt(variance)

    @torch.no_grad()
    def preference(self, discriminator: nn.Module) -> float:
        """Return the probability that D gives a training example a higher logit than a held-out example.

        Args:
            discriminator: D; in evaluation mode during the call.

        Returns:
            0.5 if D does not tell them apart, 1 if D knows the training examples by heart. Equal logits count half.
        """
        with _evaluation_mode(discriminator):
            train, held_out = (_logits(discriminator, x, labels) for x, labels in self._parts)
        difference = train[:, None] - held_out
        return float(((difference > 0).double() + (difference == 0).double() / 2).mean())


@contextmanager
def _evaluation_mode(*networks: nn.Module) -> Iterator[None]:
    were_training = [network.training for network in networks]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for network, was_training in zip(networks, were_training, strict=True):
            network.train(was_training)


def _examples(part: Dataset, train: Dataset, conditional: bool, device: torch.device) -> tuple[Tensor, Tensor | None]:
    # Random rows by position: a draw by content would read all of a large data set.
    rows = np.argsort(np.random.Philox(key=_ROWS_KEY).random_raw(len(part)), kind="stable")[:_MAX_EXAMPLES]
    if train.scaling is None:
        values = part.images[rows].astype(np.float32) / np.float32(255)
    else:
        values = train.scaling.standardize(part.samples[rows])
    labels = torch.from_numpy(part.labels[rows]).to(device) if conditional and part.labels is not None else None
    return torch.from_numpy(values).to(device), labels


def _logits(discriminator: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    starts = range(0, len(x), _BATCH)
    parts = [discriminator(x[i : i + _BATCH], None if labels is None else labels[i : i + _BATCH]) for i in starts]
    return torch.cat(parts).reshape(-1).double()
