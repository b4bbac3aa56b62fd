"""Options of an import: facts about a generator that its graph does not contain."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from numpy.typing import NDArray

from seedmint.models.errors import UserError, one_line
from seedmint.models.runtime.provider import Provider

Layout = Literal["nchw", "nhwc", "ncl", "nlc"]
Range = Literal["-1..1", "0..1", "0..255", "0..65535"]
NoiseMode = Literal["fixed", "zero"]
Prior = Literal["normal", "uniform"]


@dataclass(frozen=True)
class ImportOptions:
    """Options of one import. If an option is None, the import finds the value in the graph or in its outputs.

    Attributes:
        name: Name of the generator.
        title: One line that describes the generator.
        prior: Distribution of z: `normal`, or `uniform` on (-sqrt(3), sqrt(3)). Both have unit variance.
        z_scale: Factor on z before the graph receives z. 0.57735 gives a uniform prior on (-1, 1).
        z_dim: Length of z. Where an input has a larger shape, such as 18 x 512, the input receives copies of z.
        z_input: Names of the inputs that receive z. Several inputs receive consecutive parts of z, in this order.
        label_input: Name of the input that receives the label.
        classes: Name of each class; None for a graph without labels.
        constants: Values of further inputs, by input name.
        truncation_input: Name of the input that receives the truncation of a request. Without this option the service
            multiplies z by the truncation.
        noise: Value of all other float inputs: `fixed` binds each to one draw from N(0, 1), `zero` to zeros.
        output: Name of the output that holds the images or samples.
        layout: Order of the axes of the output: `nchw` or `nhwc` of images, `ncl` or `nlc` of series.
        range: Values of the output that mean black and white.
        shape: (height, width, channels) of an image; (columns,) or (length, channels) of a sample.
        sample: Whether the outputs are samples (points, rows, series) and not images.
        columns: Name of each column or channel of a sample.
        reference: Outputs of the original generator for seeds 0, 1, ...: uint8[n, height, width, channels] or
            float32[n, *shape].
        data: Training data, for the card.
        data_licence: Licence of the training data, for the card.
        weights_licence: Licence of the weights, for the card.
    """

    name: str
    title: str
    prior: Prior = "normal"
    z_scale: float = 1.0
    z_dim: int | None = None
    z_input: tuple[str, ...] = ()
    label_input: str | None = None
    classes: tuple[str, ...] | None = None
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    truncation_input: str | None = None
    noise: NoiseMode | None = None
    output: str | None = None
    layout: Layout | None = None
    range: Range | None = None
    shape: tuple[int, ...] | None = None
    sample: bool = False
    columns: tuple[str, ...] | None = None
    reference: NDArray[Any] | None = None
    data: str | None = None
    data_licence: str | None = None
    weights_licence: str | None = None


@dataclass(frozen=True)
class TrialSettings:
    """Settings of the service that the trial runs use as well.

    Attributes:
        provider: Execution provider.
        threads: Processor threads of one run.
        max_batch: Most rows in one run.
    """

    provider: Provider = "cpu"
    threads: int = 1
    max_batch: int = 64


DEFAULT_TRIAL = TrialSettings()

_CHOICES: dict[str, tuple[str, ...]] = {
    "prior": get_args(Prior),
    "noise": get_args(NoiseMode),
    "layout": get_args(Layout),
    "range": get_args(Range),
}
_TEXTS = ("name", "title", "label_input", "truncation_input", "output", "data", "data_licence", "weights_licence")
_NUMERIC_KINDS = "uif"


def check_options(options: ImportOptions) -> None:
    """Check the types and the values of options that do not come from the command line, which checks its own.

    Args:
        options: Options of an import; the sequences are tuples.

    Raises:
        UserError: An option has a wrong type or value.
    """
    for name, choices in _CHOICES.items():
        value = getattr(options, name)
        if value is not None and not (isinstance(value, str) and value in choices):
            raise UserError(
                f"{one_line(repr(value), 80)} must be one of {', '.join(choices)}", field=name, reason="out_of_range"
            )
    if options.prior is None:
        raise UserError(f"pass one of {', '.join(_CHOICES['prior'])}", field="prior", reason="out_of_range")
    for name in _TEXTS:
        value = getattr(options, name)
        if not isinstance(value, str) and (value is not None or name in ("name", "title")):
            raise _wrong_type(name, value, "a text")
    if not isinstance(options.sample, bool):
        raise _wrong_type("sample", options.sample, "True or False")
    _check_numbers(options)


def _check_numbers(options: ImportOptions) -> None:
    if isinstance(options.z_scale, bool) or not isinstance(options.z_scale, int | float):
        raise _wrong_type("z_scale", options.z_scale, "a number")
    if not 0 < abs(options.z_scale) < math.inf:
        raise UserError(f"{options.z_scale:g} must be finite and not 0", field="z_scale", reason="out_of_range")
    if options.z_dim is not None and (isinstance(options.z_dim, bool) or not isinstance(options.z_dim, int)):
        raise _wrong_type("z_dim", options.z_dim, "a whole number")
    if options.z_dim is not None and options.z_dim < 1:
        raise UserError(f"{options.z_dim} is too small: at least 1", field="z_dim", reason="out_of_range")
    if options.reference is not None and options.reference.dtype.kind not in _NUMERIC_KINDS:
        raise _wrong_type("reference", options.reference.dtype, "an array of numbers")


def _wrong_type(name: str, value: object, expected: str) -> UserError:
    return UserError(f"{one_line(repr(value), 80)} must be {expected}", field=name, reason="wrong_type")
