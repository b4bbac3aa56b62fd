"""The card: what a generator file says about itself, one JSON document in the ONNX metadata under the key `seedmint`."""

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seedmint.models.errors import UserError
from seedmint.models.noise import MAX_Z_DIM, NOISE_RULES

CARD_KEY = "seedmint"
SCHEMA_VERSION = 1
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"
MAX_SIDE = 4096
MAX_CLASSES = 100_000
MAX_VALUES = 65_536  # of one sample
MAX_CARD = 4 << 20  # characters: who asks for a generator's page gets the whole card

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""One line of text that a terminal and a page can show."""

Axis = Annotated[int, Field(ge=1, le=MAX_VALUES)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _is_none(value: object) -> bool:
    """Leave optional fields out of the JSON text, so that cards without them keep their bytes."""
    return value is None


class CardError(UserError):
    """The card is missing, malformed, or of a schema this version does not read."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Noise(_Part):
    """The noise prior: which rule turns a seed into z, and how long z is."""

    rule: str
    z_dim: int = Field(ge=1, le=MAX_Z_DIM)

    @model_validator(mode="after")
    def _rule_is_known(self) -> "Noise":
        if self.rule not in NOISE_RULES:
            raise ValueError(f"noise rule {self.rule!r} is not known (known: {', '.join(NOISE_RULES)})")
        return self


class ImageOutput(_Part):
    """The output `image: uint8[batch, height, width, channels]`, black 0 to white 255."""

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


class SampleOutput(_Part):
    """The output `sample: float32[batch, *shape]`, in the units of the data: a row of columns, or a series.

    Attributes:
        shape: [columns], or [length, channels].
        names: of the columns or channels, the last axis.
        resolution: of each column or channel, of which its values are whole multiples; null where they are not rounded.
    """

    kind: Literal["sample"]
    shape: tuple[Axis, ...] = Field(min_length=1, max_length=2)
    names: tuple[Line, ...]
    resolution: tuple[Annotated[float, Field(gt=0)], ...] | None = None

    @model_validator(mode="after")
    def _parts_fit_each_other(self) -> "SampleOutput":
        if math.prod(self.shape) > MAX_VALUES:
            raise ValueError(f"shape {list(self.shape)} is more than {MAX_VALUES} values")
        if len(set(self.names)) < len(self.names) or len(self.names) != self.shape[-1]:
            raise ValueError(f"names must be {self.shape[-1]} different ones, one for each place of the last axis")
        if self.resolution is not None and len(self.resolution) != self.shape[-1]:
            raise ValueError(f"resolution must be null or {self.shape[-1]} numbers, one for each place of the last axis")
        return self

    @property
    def dtype(self) -> Literal["float32"]:
        return "float32"


class Dataset(_Part):
    """The training data: a name, the SHA-256 of the arrays trained on, and how many examples."""

    name: str
    digest: Sha256 | None = None
    examples: int | None = Field(default=None, ge=1)


class Provenance(_Part):
    """Where the weights come from. What an imported file does not tell is null."""

    recipe: dict[str, Any] | None = None
    recipe_digest: Sha256 | None = None
    dataset: Dataset | None = None
    steps: int | None = Field(default=None, ge=0)
    weights: Literal["last", "ema"] | None = None
    training_seed: int | None = Field(default=None, ge=0)
    code_version: str | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    reference_difference: float | None = Field(default=None, ge=0, exclude_if=_is_none)


class Metric(_Part):
    """One figure of the evaluation. Figures compare only where `metric` and `protocol` are the same."""

    metric: str
    protocol: str
    value: float
    standard_error: float | None = Field(default=None, ge=0)
    samples: int = Field(ge=1)


class Licence(_Part):
    """Licences of the training data and of the weights (SPDX identifiers where there is one)."""

    data: str | None = None
    weights: str | None = None


class Card(_Part):
    """The card of one generator. JSON field `schema` is its version, `SCHEMA_VERSION`."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: Name
    title: Line
    noise: Noise
    classes: tuple[Line, ...] | None = Field(default=None, max_length=MAX_CLASSES)
    output: Annotated[ImageOutput | SampleOutput, Field(discriminator="kind")]
    provenance: Provenance
    evaluation: tuple[Metric, ...] = ()
    licence: Licence = Licence()
    truncation: Literal["input"] | None = Field(default=None, exclude_if=_is_none)
    max_batch: int | None = Field(default=None, ge=1, exclude_if=_is_none)

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="after")
    def _classes_are_distinct(self) -> "Card":
        if self.classes is not None and (not self.classes or len(set(self.classes)) < len(self.classes)):
            raise ValueError("classes must be null, or at least one name, all different")
        return self

    def to_json(self) -> str:
        """The card as it stands in the file: sorted keys, so that one card has one spelling."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False, allow_nan=False)


def read_card(text: str) -> Card:
    """The card of a generator file, from its JSON text.

    Raises:
        CardError: naming the field that is wrong, or the schema version that is not known.
    """
    if len(text) > MAX_CARD:
        raise CardError(f"the card has {len(text)} characters: at most {MAX_CARD}")
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CardError(f"the card is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CardError("the card is not a JSON object")
    version = document.get("schema")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise CardError(f"card schema {version!r} is not known to this version, which reads schema {SCHEMA_VERSION}")
    try:
        card = Card.model_validate(document)
        card.to_json().encode()
    except ValidationError as error:
        raise CardError("; ".join(f"card field {field}: {message}" for field, message in field_errors(error))) from None
    except (ValueError, RecursionError) as error:  # half a surrogate pair, or nested without end
        raise CardError(f"the card cannot be shown again as JSON: {error}") from None
    return card


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Each error of a validation as (dotted field, message)."""
    found = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in item["loc"]) or "(whole)"
        found.append((field, item["msg"].removeprefix("Value error, ")))
    return found
