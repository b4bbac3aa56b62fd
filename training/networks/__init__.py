"""Generators and discriminators.

A generator maps z: float32[m, z_dim] (and label: int64[m]) to images: float32[m, channels, height, width] in [0, 1].
A discriminator maps such images (and labels) to logits: float32[m]; D(x) is the logit's sigmoid.
"""

from torch import Tensor, nn

from models.errors import UserError
from training.networks.convolutional import LARGEST, SMALLEST, ConvolutionalD, ConvolutionalG
from training.networks.paper import PaperD, PaperG
from training.recipe import PaperDiscriminator, PaperGenerator, Recipe


def build_networks(recipe: Recipe, marginals: Tensor, classes: int) -> tuple[nn.Module, nn.Module]:
    """The recipe's generator and discriminator, with initial weights drawn from torch's global generator.

    Args:
        recipe: says which.
        marginals: float32[channels, height, width], the data's mean image in [0, 1].
        classes: number of classes; 0 without labels.

    Raises:
        UserError: the networks asked for do not take images of this shape.
    """
    channels, height, width = marginals.shape
    shape = (channels, height, width)
    for field, config in (("generator", recipe.generator), ("discriminator", recipe.discriminator)):
        if config.kind == "convolutional" and not (height == width and SMALLEST <= height <= LARGEST):
            raise UserError(
                f"{field}.kind: convolutional networks take square images of {SMALLEST} to {LARGEST} pixels, "
                f"and the data are {width}x{height}; use kind paper, or data.side to resize a folder"
            )
    generator: nn.Module
    discriminator: nn.Module
    if isinstance(recipe.generator, PaperGenerator):
        generator = PaperG(recipe.generator, recipe.z_dim, shape, classes, marginals)
    else:
        generator = ConvolutionalG(recipe.generator, recipe.z_dim, shape, classes)
    if isinstance(recipe.discriminator, PaperDiscriminator):
        discriminator = PaperD(recipe.discriminator, shape, classes)
    else:
        discriminator = ConvolutionalD(recipe.discriminator, shape, classes)
    return generator, discriminator
