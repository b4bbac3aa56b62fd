"""The sections `generator` and `discriminator` of a recipe."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from seedmint.training.recipes.base import Config

Capacity = Literal["small", "medium", "large"]

_MAX_WIDTH = Field(default=1024, ge=1, le=4096, description="largest number of channels")


class ResidualSize(NamedTuple):
    """Size of a residual network.

    Attributes:
        width: Channels at the full size of the image; doubled at each halving of the image.
        max_width: Largest number of channels.
        blocks: Residual blocks at each size.
    """

    width: int
    max_width: int
    blocks: int


_CAPACITIES: dict[Capacity, ResidualSize] = {
    "small": ResidualSize(16, 128, 1),
    "medium": ResidualSize(32, 256, 1),
    "large": ResidualSize(64, 512, 2),
}


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
    """Convolutions that enlarge, with batch normalization (Radford et al., 2016), then a sigmoid."""

    kind: Literal["convolutional"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each further halving"
    )
    max_width: int = _MAX_WIDTH
    upsampling: Literal["transposed", "bilinear"] = Field(
        default="transposed",
        description="transposed: 4x4 transposed convolutions, as in DCGAN; bilinear: 3x3 convolutions and bilinear "
        "interpolation, without a checkerboard pattern",
    )
    style_dim: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="length of a function of z that scales and shifts the features of each layer; 0: none",
    )


class ConvolutionalDiscriminator(Config):
    """Strided convolutions with leaky ReLU and spectral normalization; label projection (Miyato & Koyama, 2018)."""

    kind: Literal["convolutional"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the image's side; doubled at each further halving"
    )
    max_width: int = _MAX_WIDTH
    spectral_norm: bool = True


class _Residual(Config):
    """`capacity` gives the three sizes; a size that is not null replaces the size of the capacity."""

    capacity: Capacity = Field(
        default="medium", description="channels, their limit, blocks: 16, 128, 1; 32, 256, 1; 64, 512, 2"
    )
    width: int | None = Field(
        default=None, ge=1, le=1024, description="channels at the image's full size; doubled at each halving of the image"
    )
    max_width: int | None = Field(default=None, ge=1, le=4096, description="largest number of channels")
    blocks: int | None = Field(default=None, ge=1, le=8, description="residual blocks at each size")

    @property
    def size(self) -> ResidualSize:
        """The size of the network."""
        default = _CAPACITIES[self.capacity]
        width = default.width if self.width is None else self.width
        max_width = max(default.max_width, width) if self.max_width is None else self.max_width
        return ResidualSize(width, max_width, default.blocks if self.blocks is None else self.blocks)


class ResidualGenerator(_Residual):
    """Residual blocks and bilinear upsampling, without statistics of the minibatch, then a sigmoid."""

    kind: Literal["residual"]


class ResidualDiscriminator(_Residual):
    """Residual blocks and average pooling, without statistics of the minibatch; label projection."""

    kind: Literal["residual"]
    spectral_norm: bool = False


class MlpGenerator(Config):
    """For samples: z -> ReLU layers -> linear output."""

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")


class MlpDiscriminator(Config):
    """For samples: x -> leaky ReLU layers -> logit.

    With `octaves`, the first layer also receives sin(2^i x) / 2^(i/2) and cos(2^i x) / 2^(i/2) of each standardized value x,
    for i from 1 to `octaves` (Fourier features; Tancik et al., 2020), so that D finds small differences sooner.
    """

    kind: Literal["mlp"]
    width: int = Field(default=128, ge=1, le=16384)
    layers: int = Field(default=2, ge=1, le=16, description="hidden layers")
    octaves: int = Field(default=0, ge=0, le=16, description="frequencies of the Fourier features; 0: none")
    spectral_norm: bool = False


class SequenceGenerator(Config):
    """For series: transposed convolutions over time with batch normalization, then a linear output."""

    kind: Literal["sequence"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each further halving"
    )
    max_width: int = _MAX_WIDTH


class SequenceDiscriminator(Config):
    """For series: strided convolutions over time with leaky ReLU and spectral normalization; label projection."""

    kind: Literal["sequence"]
    width: int = Field(
        default=32, ge=1, le=1024, description="channels at half the series' length; doubled at each further halving"
    )
    max_width: int = _MAX_WIDTH
    spectral_norm: bool = True


class TextGenerator(Config):
    """For strings: a recurrent network (GRU), which chooses each character after the characters before it."""

    kind: Literal["text"]
    width: int = Field(default=64, ge=1, le=4096, description="numbers of the state of the recurrent network")


class TextDiscriminator(Config):
    """For strings: convolutions over the characters, then a hidden layer."""

    kind: Literal["text"]
    width: int = Field(default=64, ge=1, le=1024, description="channels of the convolutions")
    layers: int = Field(default=3, ge=1, le=16, description="convolutions, each over three characters")


Generator = Annotated[
    PaperGenerator | ConvolutionalGenerator | ResidualGenerator | MlpGenerator | SequenceGenerator | TextGenerator,
    Field(discriminator="kind"),
]
Discriminator = Annotated[
    PaperDiscriminator
    | ConvolutionalDiscriminator
    | ResidualDiscriminator
    | MlpDiscriminator
    | SequenceDiscriminator
    | TextDiscriminator,
    Field(discriminator="kind"),
]
