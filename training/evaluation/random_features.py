"""Features of a fixed random convolutional network: they need no labels and no training, and see fine structure.

The network has four 3x3 convolutions with leaky ReLU. The features are the mean and the standard deviation over the pixels of
every channel. The weights are normal numbers of the noise rule with variance 2 / (9 inputs), the same on every machine.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from seedmint.models.noise import noise

NAME = "random-conv-v1"
_WIDTHS = (16, 32, 64, 64)
_BATCH = 250
_RULE = "philox-normal-v1"


@torch.no_grad()
def random_features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features of images.

    Args:
        images: uint8[n, channels, height, width], sides of at least 8 pixels.

    Returns:
        float32[n, 352].
    """
    weights = random_weights(images.shape[1])
    parts = []
    for block in torch.split(torch.from_numpy(np.ascontiguousarray(images)), _BATCH):
        hidden, features = block.float() / 127.5 - 1, []
        for layer, weight in enumerate(weights):
            if layer:
                hidden = functional.avg_pool2d(hidden, 2)
            hidden = functional.leaky_relu(functional.conv2d(hidden, torch.from_numpy(weight), padding=1), 0.2)
            features += [hidden.mean(dim=(2, 3)), hidden.std(dim=(2, 3), correction=0)]
        parts.append(torch.cat(features, dim=1))
    return np.asarray(torch.cat(parts).numpy())


def random_weights(channels: int) -> list[NDArray[np.float32]]:
    """Return the weights of each layer, float32[outputs, inputs, 3, 3].

    Args:
        channels: Channels of the images.
    """
    weights = []
    for layer, (inputs, outputs) in enumerate(pairwise((channels, *_WIDTHS))):
        seeds = np.arange(outputs, dtype=np.int64) + 1000 * layer
        values = noise(_RULE, inputs * 9, seeds)
        weights.append((values * math.sqrt(2 / (9 * inputs))).astype(np.float32).reshape(outputs, inputs, 3, 3))
    return weights
