"""The sections `generator` and `discriminator` of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from seedmint.training.recipes.base import Config


class PaperGenerator(Config):
    """z -> ReLU layers -> sigmoid, as in the paper.

    Initial weights are uniform in ±init. The initial output bias is such that G generates the mean image for z = 0.
    """

    kind: Literal["paper"]
    width: int = Field(default=1200, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16)
    init: float = Field(default=0.05, gt=0)


class PaperDiscriminator(Config):
    """Maxout layers with dropout, as in the paper. Initial weights are uniform in ±init. `keep_*` are keep probabilities."""

    kind: Literal["paper"]
    width: int = Field(default=240, ge=1, le=16384, description="maxout units per layer")
    pieces: int = Field(default=5, ge=1, le=64, description="linear pieces per unit")
    layers: int = Field(default=2, ge=1, le=16)
    init: float = Field(default=0.005, gt=0)
    keep_input: float = Field(default=0.8, gt=0, le=1)
    keep_hidden: float = Field(default=0.5, gt=0, le=1)


class ConvolutionalGenerator(Config):
    """Transposed convolutions with batch normalization (Radford et al., 2016), then a sigmoid."""

    kind: Literal["convolutional"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each further halving"
    )


class ConvolutionalDiscriminator(Config):
    """Strided convolutions with leaky ReLU and spectral normalization; label projection (Miyato & Koyama, 2018)."""

    kind: Literal["convolutional"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each further halving"
    )
    spectral_norm: bool = True


class MlpGenerator(Config):
    """For samples: z -> ReLU layers -> linear output."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")


class MlpDiscriminator(Config):
    """For samples: x -> leaky ReLU layers -> logit."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")


class SequenceGenerator(Config):
    """For series: transposed convolutions over time with batch normalization, then a linear output."""

    kind: Literal["sequence"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each further halving"
    )


class SequenceDiscriminator(Config):
    """For series: strided convolutions over time with leaky ReLU and spectral normalization; label projection."""

    kind: Literal["sequence"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each further halving"
    )
    spectral_norm: bool = True


Generator = Annotated[PaperGenerator | ConvolutionalGenerator | MlpGenerator | SequenceGenerator, Field(discriminator="kind")]
Discriminator = Annotated[
    PaperDiscriminator | ConvolutionalDiscriminator | MlpDiscriminator | SequenceDiscriminator, Field(discriminator="kind")
]
