"""Gain and bias of features that depend on the label (de Vries et al., 2017).

The label only scales and shifts features that come from z, so that G cannot ignore z and generate one image for each class. On
MNIST G did so within 1,000 steps when the label was an input next to z.
"""

from torch import Tensor, nn


def label_embeddings(width: int, classes: int) -> tuple[nn.Embedding | None, nn.Embedding | None]:
    """Return the gains (all one) and the biases (all zero) of the classes, or None without labels.

    Args:
        width: Number of channels.
        classes: Number of classes; 0 without labels.
    """
    if not classes:
        return None, None
    gain, bias = nn.Embedding(classes, width), nn.Embedding(classes, width)
    nn.init.ones_(gain.weight)
    nn.init.zeros_(bias.weight)
    return gain, bias


def scale_and_shift(h: Tensor, gain: nn.Embedding | None, bias: nn.Embedding | None, label: Tensor | None) -> Tensor:
    """Return features with the gain and the bias of their labels; the same features without labels.

    Args:
        h: float32[m, width, height, width of the map].
        gain: Result of `label_embeddings`.
        bias: Result of `label_embeddings`.
        label: int64[m], or None without labels.
    """
    if gain is None or bias is None:
        return h
    scaled: Tensor = h * gain(label)[:, :, None, None] + bias(label)[:, :, None, None]
    return scaled
