"""The shard formats and the interface of their writers.

A writer takes the batches of one shard in order; the batch size does not change the bytes.
"""

import platform
import sys
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, ImageOutput
from seedmint.models.columns import KEY_NAMES
from seedmint.models.errors import UserError
from seedmint.service.runtime.arrays import Outputs, SeedArray
from seedmint.service.runtime.output_check import Determinism

ShardFormat = Literal["webdataset", "parquet", "png", "npz", "npy"]
FORMATS: tuple[ShardFormat, ...] = get_args(ShardFormat)
EXTENSIONS: dict[ShardFormat, str | None] = {"webdataset": "tar", "parquet": "parquet", "png": None, "npz": "npz", "npy": "npy"}
_SAMPLE_FORMATS: tuple[ShardFormat, ...] = ("parquet", "npz", "npy")
_PNG_FORMATS: tuple[ShardFormat, ...] = ("webdataset", "parquet", "png")
_PARQUET_LAYOUT = "2"  # 1: no page index, and row groups of 1,000 rows for tables too
_RESERVED_COLUMNS = ("seed", "label")


class FormatError(UserError):
    """The format cannot hold the output of the generator."""

    reason = "format_mismatch"


class Sink(Protocol):
    """Receives the bytes of a shard, in order."""

    def write(self, data: bytes) -> int:
        """Write bytes.

        Args:
            data: The bytes.

        Returns:
            The number of bytes written.
        """
        ...


class ShardWriter(Protocol):
    """Writes one shard: call `add` with each batch in order, then `finish`."""

    def add(self, seeds: SeedArray, labels: NDArray[np.int64] | None, outputs: Outputs) -> None:
        """Write one batch.

        Args:
            seeds: int64[n].
            labels: int64[n], or None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """
        ...

    def finish(self) -> None:
        """Write the end of the file."""
        ...


def formats_for(card: Card) -> tuple[ShardFormat, ...]:
    """Return the formats that can hold the output of a generator.

    Args:
        card: The card of the generator.
    """
    return FORMATS if isinstance(card.output, ImageOutput) else _SAMPLE_FORMATS


def default_format(card: Card) -> ShardFormat:
    """Return the format of a job that names none.

    Args:
        card: The card of the generator.
    """
    return "webdataset" if isinstance(card.output, ImageOutput) else "parquet"


def check_format(shard_format: ShardFormat, card: Card, has_origin: bool) -> None:
    """Check that a format can hold the output of a generator.

    Args:
        shard_format: The format.
        card: The card of the generator.
        has_origin: Whether a column of the data set names the generator.

    Raises:
        FormatError: The format cannot hold it.
    """
    if shard_format not in formats_for(card):
        formats = ", ".join(_SAMPLE_FORMATS)
        raise FormatError(
            f"{shard_format} is for images, and {card.name!r} makes samples: use one of {formats}", field="format"
        )
    if shard_format == "parquet" and not isinstance(card.output, ImageOutput):
        reserved = KEY_NAMES[:1] if card.output.columns is not None else _RESERVED_COLUMNS
        names = {*card.output.names, *(each.name for each in card.output.table_schema(card.classes is not None))}
        for name in (*reserved, *(("generator",) if has_origin else ())):
            if name in names:
                raise FormatError(
                    f"parquet has a column {name!r} of its own, and so has {card.name!r}: use npz",
                    field="format",
                    reason="column_conflict",
                )


def toolchain(shard_format: ShardFormat, card: Card, determinism: Determinism) -> dict[str, str]:
    """Return what affects the bytes of shards, besides the generator file: the outcome of its check and library versions.

    All machines on which a generator is exact compute the same outputs. For an approximate generator, the kind of machine and
    the version of ONNX Runtime affect the outputs.

    Args:
        shard_format: The format.
        card: The card of the generator.
        determinism: Outcome of the generator's check on this machine.
    """
    from seedmint.service.encoders.images import ENCODERS

    versions: dict[str, Any] = {"determinism": determinism}
    if determinism == "approximate":
        import onnxruntime

        versions |= {"machine": platform.machine(), "onnxruntime": onnxruntime.__version__}
    if shard_format in _PNG_FORMATS and isinstance(card.output, ImageOutput):
        versions["png"] = ENCODERS["png"]
    if shard_format == "parquet":
        import pyarrow

        versions |= {"pyarrow": pyarrow.__version__, "parquet": _PARQUET_LAYOUT}
    if shard_format in ("npz", "npy"):
        versions["numpy"] = np.__version__  # writes the array headers
    if shard_format == "npz":
        versions["python"] = "{}.{}".format(*sys.version_info)  # its zipfile module writes the archive
    return versions
