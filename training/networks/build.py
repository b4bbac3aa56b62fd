"""The generator and the discriminator of a recipe.

A generator maps z: float32[m, z_dim] (and label: int64[m]) to images, float32[m, channels, height, width] in [0, 1], or to
standardized samples, float32[m, columns] or float32[m, length, channels].
A discriminator maps images or samples (and labels) to logits: float32[m]; D(x) is the sigmoid of the logit.
"""

import torch
from torch import Tensor, nn

from seedmint.models.noise import MAX_Z_DIM
from seedmint.training.datasets.dataset import Encoding
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.datasets.table_encoding import TableEncoding
from seedmint.training.networks import convolutional, residual
from seedmint.training.networks.convolutional import ConvolutionalD, ConvolutionalG
from seedmint.training.networks.mlp import MlpD, MlpG
from seedmint.training.networks.paper import PaperD, PaperG
from seedmint.training.networks.residual import ResidualD, ResidualG
from seedmint.training.networks.sequence import MIN_LENGTH, SequenceD, SequenceG
from seedmint.training.networks.series import SeriesG
from seedmint.training.networks.table import TableG
from seedmint.training.networks.text import TextD, TextG
from seedmint.training.recipes.networks import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    MlpDiscriminator,
    MlpGenerator,
    PaperDiscriminator,
    PaperGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
    SequenceGenerator,
    TextDiscriminator,
    TextGenerator,
)
from seedmint.training.recipes.schema import Recipe, RecipeError


def noise_length(z_dim: int, encoding: Encoding | None) -> int:
    """Return the length of z that the generator needs: for an encoding, some numbers more.

    Args:
        z_dim: Length of the noise of the network, from the recipe.
        encoding: The encoding of a table or of series; None for other data.

    Raises:
        RecipeError: The noise is too long.
    """
    length = z_dim + (0 if encoding is None else encoding.extra_noise)
    if length > MAX_Z_DIM:
        assert encoding is not None
        counted, field = ("categories in all", "data.columns")
        if isinstance(encoding, TableEncoding) and encoding.is_text:
            counted, field = ("characters at all positions together", "data.length")
        message = f"the data have {length - z_dim:,} {counted}, and z_dim and they must be at most {MAX_Z_DIM:,}"
        raise RecipeError(message, field=field, reason="too_many_categories")
    return length


def build_networks(
    recipe: Recipe, marginals: Tensor, classes: int, encoding: Encoding | None = None
) -> tuple[nn.Module, nn.Module]:
    """Return the recipe's generator and discriminator. Torch's global random generator draws the initial weights.

    Args:
        recipe: Gives the kinds and sizes of the networks.
        marginals: The mean of the data as D receives them: float32[channels, height, width] in [0, 1] of images; zeros,
            float32[columns] or float32[length, channels], of standardized samples; of an encoded row or series, its shape.
        classes: Number of classes; 0 without labels.
        encoding: The encoding of a table or of series; None for other data.

    Raises:
        RecipeError: A network of the recipe does not support data of this shape.
    """
    table = encoding if isinstance(encoding, TableEncoding) else None
    for field, kind in (("generator", recipe.generator.kind), ("discriminator", recipe.discriminator.kind)):
        _check_shape(f"{field}.kind", kind, tuple(marginals.shape), table)
    if isinstance(recipe.discriminator, MlpDiscriminator) and recipe.discriminator.octaves and marginals.ndim != 1:
        raise RecipeError("series have no octaves; use 0", field="discriminator.octaves", reason="unsupported_shape")
    if isinstance(encoding, SeriesEncoding):
        network = _generator(recipe, torch.zeros(encoding.length, encoding.channels), classes, int(encoding.has_lengths))
        generator: nn.Module = SeriesG(network, encoding, recipe.z_dim, recipe.prior)
        return generator, _discriminator(recipe, encoding.shape, classes, None)
    if isinstance(recipe.generator, TextGenerator):
        assert table is not None
        generator = TextG(recipe.generator, table, recipe.z_dim, recipe.prior)
        return generator, _discriminator(recipe, tuple(marginals.shape), classes, table)
    generator = _generator(recipe, marginals, classes)
    if table is not None:
        assert isinstance(generator, MlpG)
        generator = TableG(generator, generator.last, table, recipe.z_dim, recipe.prior)
    return generator, _discriminator(recipe, tuple(marginals.shape), classes, table)


def _generator(recipe: Recipe, marginals: Tensor, classes: int, extra: int = 0) -> nn.Module:
    config, z_dim, shape = recipe.generator, recipe.z_dim + extra, tuple(marginals.shape)
    if isinstance(config, PaperGenerator):
        return PaperG(config, z_dim, _image_shape(shape), classes, marginals)
    if isinstance(config, ConvolutionalGenerator):
        return ConvolutionalG(config, z_dim, _image_shape(shape), classes)
    if isinstance(config, ResidualGenerator):
        return ResidualG(config, z_dim, _image_shape(shape), classes)
    if isinstance(config, MlpGenerator):
        return MlpG(config, z_dim, shape, classes)
    assert isinstance(config, SequenceGenerator)
    return SequenceG(config, z_dim, _series_shape(shape), classes)


def _discriminator(recipe: Recipe, shape: tuple[int, ...], classes: int, encoding: TableEncoding | None) -> nn.Module:
    config = recipe.discriminator
    if isinstance(config, TextDiscriminator):
        assert encoding is not None
        return TextD(config, encoding)
    if isinstance(config, PaperDiscriminator):
        return PaperD(config, _image_shape(shape), classes)
    if isinstance(config, ConvolutionalDiscriminator):
        return ConvolutionalD(config, _image_shape(shape), classes)
    if isinstance(config, ResidualDiscriminator):
        return ResidualD(config, _image_shape(shape), classes)
    if isinstance(config, MlpDiscriminator):
        return MlpD(config, shape, classes)
    return SequenceD(config, _series_shape(shape), classes)


def _check_shape(field: str, kind: str, shape: tuple[int, ...], encoding: TableEncoding | None) -> None:
    message = None
    if kind == "text":
        is_text = encoding is not None and encoding.is_text
        message = None if is_text else "text networks need strings; use another kind"
    elif len(shape) == 3 and kind in ("mlp", "sequence"):
        message = f"{kind} networks need samples, but the data are images; use kind residual, convolutional or paper"
    elif len(shape) < 3 and kind in ("paper", "convolutional", "residual"):
        alternatives = "mlp" if len(shape) == 1 else "mlp or sequence"
        message = f"{kind} networks need images, but the data are samples; use kind {alternatives}"
    elif kind == "sequence" and (len(shape) == 1 or shape[0] < MIN_LENGTH):
        data = "rows of a table" if len(shape) == 1 else f"series of {shape[0]} steps"
        message = f"sequence networks need series of at least {MIN_LENGTH} steps, but the data are {data}; use kind mlp"
    elif kind in ("convolutional", "residual"):
        message = _check_sides(kind, *shape[1:])
    if message is not None:
        raise RecipeError(message, field=field, reason="unsupported_shape")


def _check_sides(kind: str, height: int, width: int) -> str | None:
    """Return why a convolutional or residual network does not support images of a size, or None."""
    limits = convolutional if kind == "convolutional" else residual
    is_allowed = min(height, width) >= limits.MIN_SIDE and max(height, width) <= limits.MAX_SIDE
    if is_allowed and (kind == "residual" or height == width):
        return None
    needed = "square images" if kind == "convolutional" else "images"
    other = "residual" if kind == "convolutional" else "paper"
    return (
        f"{kind} networks need {needed} of {limits.MIN_SIDE} to {limits.MAX_SIDE} pixels a side, but the data are "
        f"{width}x{height}; use kind {other}, or set data.side to resize a folder"
    )


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


def _series_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    length, channels = shape
    return length, channels
