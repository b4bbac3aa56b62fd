"""The card of a generator file: a JSON document in the ONNX metadata, under the key `seedmint`, about the generator."""

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from seedmint.models.card_part import CardPart, Line, is_none
from seedmint.models.columns import KEY_NAMES, Column, LabelColumn
from seedmint.models.errors import UserError, field_errors
from seedmint.models.neighbours import Neighbours
from seedmint.models.noise import MAX_TOTAL_WEIGHT, MAX_Z_DIM, NOISE_RULES, LabelRule
from seedmint.models.provenance import Licence, Metric, Provenance
from seedmint.models.reference import Reference

CARD_KEY = "seedmint"
SCHEMA_VERSION = 2
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
MAX_SIDE = 4096
MAX_CLASSES = 100_000
MAX_VALUES = 65_536  # in one sample
MAX_CARD = 4 << 20  # characters; the page of a generator has the whole card

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Truncation = Literal["z", "input", "none"]
ClassWeight = Annotated[int, Field(ge=0, le=MAX_TOTAL_WEIGHT)]
Axis = Annotated[int, Field(ge=1, le=MAX_VALUES)]


class CardError(UserError):
    """The card is missing, malformed, or of an unknown schema version.

    Attributes:
        card_fields: Dotted names of the wrong fields of the card.
    """

    reason = "malformed_card"

    def __init__(self, message: str, *, reason: str | None = None, card_fields: tuple[str, ...] = ()) -> None:
        """
        Args:
            message: One line.
            reason: Replaces the code of the class.
            card_fields: Dotted names of the wrong fields of the card.
        """
        super().__init__(message, reason=reason)
        self.card_fields = card_fields


class Noise(CardPart):
    """The noise prior.

    Attributes:
        rule: One of `NOISE_RULES`: how a seed becomes z.
        z_dim: Length of z.
    """

    rule: str
    z_dim: int = Field(ge=1, le=MAX_Z_DIM)

    @model_validator(mode="after")
    def _rule_is_known(self) -> "Noise":
        if self.rule not in NOISE_RULES:
            raise ValueError(f"noise rule {self.rule!r} is unknown (known: {', '.join(NOISE_RULES)})")
        return self


class ImageOutput(CardPart):
    """The output `image: uint8[batch, height, width, channels]`, from 0 (black) to 255 (white).

    Attributes:
        kind: "image".
        height: Pixels.
        width: Pixels.
        channels: 1 for gray images, 3 for RGB images.
        range: The value of black and the value of white.
    """

    kind: Literal["image"] = "image"
    height: int = Field(ge=1, le=MAX_SIDE)
    width: int = Field(ge=1, le=MAX_SIDE)
    channels: Literal[1, 3, 4]
    range: tuple[Literal[0], Literal[255]] = (0, 255)

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def dtype(self) -> Literal["uint8"]:
        return "uint8"


class SeriesOutput(CardPart):
    """The meaning of the steps and channels of series.

    Series of different lengths have the shape of the longest series. All values after the end of a series are NaN, and no
    other value is.

    Attributes:
        units: Unit of each channel for people, such as "kWh"; null for a channel without a known unit, or for all channels.
        step: The time from one step to the next for people, such as "1 hour"; null if unknown.
        lengths: The shortest and the longest length, in steps; null if all series have the length of the shape.
    """

    units: tuple[Line | None, ...] | None = None
    step: Line | None = None
    lengths: tuple[Axis, Axis] | None = None

    def check(self, length: int, channels: int) -> None:
        """Check that the description fits a shape.

        Args:
            length: Length of the shape, in steps.
            channels: Number of channels.

        Raises:
            ValueError: The description does not fit.
        """
        if self.units is not None and len(self.units) != channels:
            raise ValueError(f"units must be null, or {channels} units, one for each channel")
        if self.lengths is not None and not self.lengths[0] < self.lengths[1] == length:
            raise ValueError(f"lengths must be null, or a smaller length and {length}")


class SampleOutput(CardPart):
    """The output `sample: float32[batch, *shape]`, in the units of the data: a row of a table, or a series.

    Attributes:
        kind: "sample".
        shape: [columns] of a row, or [length, channels] of a series. Of a row with strings, [codes].
        names: Names of the columns or channels, which are the last axis.
        resolution: For each column or channel, the step whose multiples the values are; null if values are not rounded.
        columns: Types of the columns of a table, whose values are codes: see `seedmint.models.columns`. Null for values in
            the units of the data.
        label: The column of the table whose values are the classes of the card; null without classes, or with several columns.
        labels: Several columns of the table whose combinations of values are the classes of the card; null otherwise.
        series: The meaning of the steps and channels of series; null for rows, and if nothing is known.
    """

    kind: Literal["sample"]
    shape: tuple[Axis, ...] = Field(min_length=1, max_length=2)
    names: tuple[Line, ...]
    resolution: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    columns: tuple[Column, ...] | None = Field(default=None, exclude_if=is_none)
    label: LabelColumn | None = Field(default=None, exclude_if=is_none)
    labels: tuple[LabelColumn, ...] | None = Field(default=None, min_length=2, exclude_if=is_none)
    series: SeriesOutput | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _series_fit_the_shape(self) -> "SampleOutput":
        if self.series is not None:
            if len(self.shape) != 2:
                raise ValueError("series must be null for rows")
            self.series.check(*self.shape)
        return self

    @model_validator(mode="after")
    def _fields_are_consistent(self) -> "SampleOutput":
        if math.prod(self.shape) > MAX_VALUES:
            raise ValueError(f"shape {list(self.shape)} has more than {MAX_VALUES} values")
        width = self.shape[-1] if self.columns is None else len(self.columns)
        if len(set(self.names)) < len(self.names) or len(self.names) != width:
            raise ValueError(f"names must be {width} different names, one for each entry of the last axis, or for each column")
        if self.resolution is not None and len(self.resolution) != self.shape[-1]:
            raise ValueError(f"resolution must be null or {self.shape[-1]} numbers, one for each entry of the last axis")
        if self.columns is not None and (len(self.shape) != 1 or tuple(each.name for each in self.columns) != self.names):
            raise ValueError("columns must be null, or describe the columns of a row, with the same names")
        if self.columns is not None and sum(each.width for each in self.columns) != self.shape[0]:
            raise ValueError(f"columns must have {self.shape[0]} codes in all")
        self._check_labels()
        taken = {*KEY_NAMES}.intersection([each.name for each in self.table_schema(has_labels=True)])
        if taken:
            raise ValueError(f"a column of a table has another name than {' and '.join(map(repr, sorted(taken)))}")
        return self

    def _check_labels(self) -> None:
        columns = self.label_columns
        if not columns:
            return
        names, last = {each.name for each in columns}, len(self.names) + len(columns) - 1
        if self.columns is None or names.intersection(self.names) or any(each.position > last for each in columns):
            raise ValueError("label must be null, or another column of a table")
        if self.labels is None:
            if self.label is not None and self.label.values is not None:
                raise ValueError("values of a label belong to several columns of labels")
            return
        if self.label is not None or len(names) < len(columns) or len({each.position for each in columns}) < len(columns):
            raise ValueError("labels must be null, or different columns of a table without label")
        if any(each.values is None for each in columns):
            raise ValueError("each of several columns of labels needs values")

    @property
    def label_columns(self) -> tuple[LabelColumn, ...]:
        """The columns of a table whose values are labels; empty without them."""
        return (self.label,) if self.label is not None else self.labels or ()

    def table_schema(self, has_labels: bool) -> tuple[Column | LabelColumn, ...]:
        """Return the columns of a table in their order, with the columns of labels at their places.

        Args:
            has_labels: Whether the generator has labels.
        """
        columns: list[Column | LabelColumn] = list(self.columns or ())
        for label in sorted(self.label_columns, key=lambda each: each.position) if has_labels else ():
            columns.insert(label.position, label)
        return tuple(columns)

    @property
    def is_text(self) -> bool:
        """Whether a sample is one string, without other columns."""
        return not self.label_columns and self.columns is not None and [each.type for each in self.columns] == ["string"]

    @property
    def dtype(self) -> Literal["float32"]:
        return "float32"

    @property
    def titles(self) -> tuple[str, ...]:
        """Names of the columns or channels, with the units of channels that have one, such as "load (kW)"."""
        units = None if self.series is None else self.series.units
        if units is None:
            return self.names
        return tuple(name if unit is None else f"{name} ({unit})" for name, unit in zip(self.names, units, strict=True))

    @property
    def has_lengths(self) -> bool:
        """Whether the samples are series of different lengths."""
        return self.series is not None and self.series.lengths is not None


class Card(CardPart):
    """The card of one generator.

    Attributes:
        schema_version: Version of the schema; the JSON field `schema`.
        name: Name of the generator in URLs and commands.
        title: One line for people.
        noise: The noise prior.
        classes: Names of the labels; null for an unconditional generator.
        class_weights: Weight of each class in the rule labels-v2, which gives each seed its label: the numbers of the training
            examples, in lowest terms. Null for equal weights, with which the rule is labels-v1.
        output: Kind and shape of the output.
        provenance: Origin of the weights.
        evaluation: Results of the evaluation.
        licence: Licences of data and weights.
        reference: Outputs of the first seeds, to check a machine. Without it, a generator counts as approximate.
        truncation: What the truncation of a request acts on: "z" (the factor multiplies z), "input" (the graph has an input
            `truncation: float32[batch]`) or "none" (the generator has no truncation).
        max_batch: Largest sensible number of images or samples in one run, measured; null for no limit.
        neighbours: The nearest training images of the first seeds; null if they were not measured.
    """

    schema_version: Literal[2] = Field(default=2, alias="schema")
    name: Name
    title: Line
    noise: Noise
    classes: tuple[Line, ...] | None = Field(default=None, max_length=MAX_CLASSES)
    class_weights: tuple[ClassWeight, ...] | None = Field(default=None, max_length=MAX_CLASSES, exclude_if=is_none)
    output: Annotated[ImageOutput | SampleOutput, Field(discriminator="kind")]
    provenance: Provenance
    evaluation: tuple[Metric, ...] = ()
    licence: Licence = Licence()
    reference: Reference | None = None
    truncation: Truncation = "z"
    max_batch: int | None = Field(default=None, ge=1)
    neighbours: Neighbours | None = Field(default=None, exclude_if=is_none)

    @field_validator("classes")
    @classmethod
    def _classes_are_distinct(cls, classes: tuple[Line, ...] | None) -> tuple[Line, ...] | None:
        if classes is not None and (not classes or len(set(classes)) < len(classes)):
            raise ValueError("classes must be null or a list of different names, at least one")
        return classes

    @field_validator("class_weights")
    @classmethod
    def _weights_fit_the_classes(cls, weights: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        if weights is None or "classes" not in info.data:
            return weights
        classes = info.data["classes"]
        if classes is None or len(weights) != len(classes):
            raise ValueError("class_weights must be null or one weight for each class")
        if not 1 <= sum(weights) <= MAX_TOTAL_WEIGHT:
            raise ValueError(f"class_weights must add up to 1 to {MAX_TOTAL_WEIGHT}")
        if len(set(weights)) == 1:
            raise ValueError("class_weights must be null if all weights are equal")
        if math.gcd(*weights) > 1:
            raise ValueError(f"class_weights must be in lowest terms: divide them by {math.gcd(*weights)}")
        return weights

    @model_validator(mode="after")
    def _label_fits_the_classes(self) -> "Card":
        columns = self.output.label_columns if isinstance(self.output, SampleOutput) else ()
        if not columns:
            return self
        if self.classes is None:
            raise ValueError("a column of labels needs classes")
        for label in columns:
            label.check_classes(self.classes)
        combinations = set(zip(*(label.texts(self.classes) for label in columns), strict=True))
        if len(combinations) < len(self.classes):
            raise ValueError("two classes have the same values of all labels")
        return self

    @model_validator(mode="after")
    def _reference_fits_the_output(self) -> "Card":
        if self.reference is not None:
            self.reference.check(self.output.shape, self.output.dtype)
        return self

    def label_rule(self) -> LabelRule | None:
        """Return the rule that gives each seed its label; None for an unconditional generator."""
        return None if self.classes is None else LabelRule(len(self.classes), self.class_weights)

    def to_json(self) -> str:
        """Return the card as JSON with sorted keys, as stored in the file. Equal cards have equal JSON."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False, allow_nan=False)


def lowest_terms(counts: Sequence[int]) -> tuple[int, ...] | None:
    """Return the class weights of a card: counts in lowest terms, or None if all counts are equal.

    Args:
        counts: Number of examples of each class, at least one of them above 0.
    """
    divisor = math.gcd(*counts)
    weights = tuple(count // divisor for count in counts)
    return None if len(set(weights)) == 1 else weights


def read_card(text: str) -> Card:
    """Parse a card.

    Args:
        text: The JSON text.

    Raises:
        CardError: The text is not a card of `SCHEMA_VERSION`. The message and `card_fields` name the wrong fields.
    """
    if len(text) > MAX_CARD:
        raise CardError(f"the card has {len(text)} characters, more than {MAX_CARD}")
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CardError(f"the card is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CardError("the card is not a JSON object")
    version = document.get("schema")
    if type(version) is not int or version != SCHEMA_VERSION:
        message = f"the card has schema {version!r}, but this version of Seedmint reads schema {SCHEMA_VERSION}"
        if version == 1 and type(version) is int:
            message += ": run `seedmint models upgrade FILE`"
        raise CardError(message, reason="unknown_schema", card_fields=("schema",))
    try:
        card = Card.model_validate(document)
        card.to_json().encode()
    except ValidationError as error:
        errors = field_errors(error)
        message = "; ".join(f"card field {field}: {text}" for field, text in errors)
        raise CardError(message, card_fields=tuple(field for field, _ in errors)) from None
    except (ValueError, RecursionError) as error:  # half a surrogate pair, or too deep nesting
        raise CardError(f"the card cannot be written as JSON again: {error}") from None
    return card


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def check_generator_name(name: str) -> None:
    """Check the name of a new generator.

    Args:
        name: The name.

    Raises:
        UserError: The name is malformed.
    """
    if name.endswith(".onnx"):
        message = f"{name} is a file name; use the generator's name {name.removesuffix('.onnx')}"
        raise UserError(message, field="name", reason="invalid_name")
    if not re.fullmatch(NAME_PATTERN, name):
        message = f"{name!r} must consist of lower-case letters, digits, '.', '_' and '-', at most 64"
        raise UserError(message, field="name", reason="invalid_name")
