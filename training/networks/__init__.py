"""Generators and discriminators.

A generator maps z: float32[m, z_dim] (and label: int64[m]) to images, float32[m, channels, height, width] in [0, 1], or to
standardised samples, float32[m, columns] or float32[m, length, channels].
A discriminator maps such (and labels) to logits: float32[m]; D(x) is the logit's sigmoid.
"""

from torch import Tensor, nn

from seedmint.models.errors import UserError
from seedmint.training.networks.convolutional import LARGEST, SMALLEST, ConvolutionalD, ConvolutionalG
from seedmint.training.networks.mlp import MlpD, MlpG
from seedmint.training.networks.paper import PaperD, PaperG
from seedmint.training.networks.sequence import SHORTEST, SequenceD, SequenceG
from seedmint.training.recipes.schema import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    MlpDiscriminator,
    MlpGenerator,
    PaperDiscriminator,
    PaperGenerator,
    Recipe,
)


def build_networks(recipe: Recipe, marginals: Tensor, classes: int) -> tuple[nn.Module, nn.Module]:
    """The recipe's generator and discriminator, with initial weights drawn from torch's global generator.

    Args:
        recipe: says which.
        marginals: the data's mean as D sees it: of images float32[channels, height, width] in [0, 1], of standardised samples
            zeros, float32[columns] or float32[length, channels].
        classes: number of classes; 0 without labels.

    Raises:
        UserError: the networks asked for do not take data of this shape.
    """
    for field, kind in (("generator", recipe.generator.kind), ("discriminator", recipe.discriminator.kind)):
        _check_shape(field, kind, tuple(marginals.shape))
    return _generator(recipe, marginals, classes), _discriminator(recipe, tuple(marginals.shape), classes)


def _generator(recipe: Recipe, marginals: Tensor, classes: int) -> nn.Module:
    config, z_dim, shape = recipe.generator, recipe.z_dim, tuple(marginals.shape)
    if isinstance(config, PaperGenerator):
        return PaperG(config, z_dim, _image(shape), classes, marginals)
    if isinstance(config, ConvolutionalGenerator):
        return ConvolutionalG(config, z_dim, _image(shape), classes)
    if isinstance(config, MlpGenerator):
        return MlpG(config, z_dim, shape, classes)
    return SequenceG(config, z_dim, _series(shape), classes)


def _discriminator(recipe: Recipe, shape: tuple[int, ...], classes: int) -> nn.Module:
    config = recipe.discriminator
    if isinstance(config, PaperDiscriminator):
        return PaperD(config, _image(shape), classes)
    if isinstance(config, ConvolutionalDiscriminator):
        return ConvolutionalD(config, _image(shape), classes)
    if isinstance(config, MlpDiscriminator):
        return MlpD(config, shape, classes)
    return SequenceD(config, _series(shape), classes)


def _check_shape(field: str, kind: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 3 and kind in ("mlp", "sequence"):
        raise UserError(f"{field}.kind: {kind} networks take samples, and the data are images; use kind paper or convolutional")
    if len(shape) < 3 and kind in ("paper", "convolutional"):
        other = "mlp" if len(shape) == 1 else "mlp or sequence"
        raise UserError(f"{field}.kind: {kind} networks take images, and the data are none; use kind {other}")
    if kind == "convolutional" and not (shape[1] == shape[2] and SMALLEST <= shape[1] <= LARGEST):
        raise UserError(
            f"{field}.kind: convolutional networks take square images of {SMALLEST} to {LARGEST} pixels, "
            f"and the data are {shape[2]}x{shape[1]}; use kind paper, or data.side to resize a folder"
        )
    if kind == "sequence" and (len(shape) == 1 or shape[0] < SHORTEST):
        what = "rows of a table" if len(shape) == 1 else f"{shape[0]} long"
        raise UserError(
            f"{field}.kind: sequence networks take series of at least {SHORTEST} steps, and the data are {what}; use kind mlp"
        )


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


def _series(shape: tuple[int, ...]) -> tuple[int, int]:
    length, channels = shape
    return length, channels
