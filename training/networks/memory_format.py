"""The order of the elements of convolutions' weights, which the feature maps follow."""

import torch
from torch import nn


def use_channels_last(network: nn.Module) -> None:
    """Store the channels of the weights next to each other. On a CPU, interpolation is ten times faster in this order.

    Args:
        network: Changed in place.
    """
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
