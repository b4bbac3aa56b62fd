"""The formats of shards. A writer takes the pieces of one shard in order; how they were cut does not change its bytes."""

import platform
import sys
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, ImageOutput
from seedmint.models.errors import UserError
from seedmint.service.runtime.arrays import Outputs, SeedArray

Form = Literal["webdataset", "parquet", "png", "npz", "npy"]
FORMS: tuple[Form, ...] = get_args(Form)
EXTENSIONS: dict[Form, str | None] = {"webdataset": "tar", "parquet": "parquet", "png": None, "npz": "npz", "npy": "npy"}
_OF_SAMPLES: tuple[Form, ...] = ("parquet", "npz", "npy")
_OF_PNGS: tuple[Form, ...] = ("webdataset", "parquet", "png")
_OWN_COLUMNS = ("seed", "label")


class FormError(UserError):
    """The format cannot hold what the generator makes."""


class Sink(Protocol):
    """Where a shard's bytes go, in order."""

    def write(self, data: bytes) -> int: ...


class ShardWriter(Protocol):
    """`add` each piece in order, then `finish`."""

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, made: Outputs) -> None: ...

    def finish(self) -> None: ...


def forms(card: Card) -> tuple[Form, ...]:
    """The formats that can hold a generator's output."""
    return FORMS if isinstance(card.output, ImageOutput) else _OF_SAMPLES


def check_form(form: Form, card: Card) -> None:
    """
    Raises:
        FormError: the format is not one for the generator's output.
    """
    if form not in forms(card):
        raise FormError(f"--format {form} is for images, and {card.name!r} makes samples: take {', '.join(_OF_SAMPLES)}")
    if form == "parquet" and not isinstance(card.output, ImageOutput):
        for name in _OWN_COLUMNS:
            if name in card.output.names:
                raise FormError(f"--format parquet has its own column {name!r}, as {card.name!r} does: take npz")


def libraries(form: Form, card: Card) -> dict[str, str]:
    """What decides the bytes of shards, beside the plan and this program: the kind of machine, and versions."""
    import onnxruntime

    from seedmint.service.encoders.images import ENCODERS

    found: dict[str, Any] = {"machine": platform.machine(), "onnxruntime": onnxruntime.__version__}
    if form in _OF_PNGS and isinstance(card.output, ImageOutput):
        found["png"] = ENCODERS["png"]
    if form == "parquet":
        import pyarrow

        found["pyarrow"] = pyarrow.__version__
    if form in ("npz", "npy"):
        found["numpy"] = np.__version__  # its headers
    if form == "npz":
        found["python"] = "{}.{}".format(*sys.version_info)  # its zipfile
    return found
