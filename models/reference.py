"""The reference of a card: the outputs that a generator must give for its first seeds, so that any machine can check itself."""

import base64
import binascii
import hashlib
import math
import zlib
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from seedmint.models.card_part import CardPart, Line, Sha256
from seedmint.models.errors import UserError

MAX_REFERENCE_SEEDS = 64
_MAX_DATA = 16_384  # characters of base64: a card is part of every generator file and of every page about a generator
_MAX_RAW_BYTES = 1 << 18  # of the stored values, without compression


class WrongReferenceError(UserError):
    """A reference whose stored values are damaged, or do not fit the output of the card."""

    reason = "damaged_values"


class MadeWith(CardPart):
    """Software and processor that computed a reference.

    Attributes:
        onnxruntime: Version of ONNX Runtime.
        machine: Architecture of the processor, such as "x86_64".
        features: Instruction sets of the processor, as NumPy names them.
        provider: Execution provider of ONNX Runtime.
    """

    onnxruntime: Line
    machine: Line
    features: tuple[Line, ...]
    provider: Literal["cpu", "cuda"]


class StoredValues(CardPart):
    """Some of the reference outputs themselves, so that a machine with other outputs can measure the difference.

    Attributes:
        seeds: The values are from the outputs of seeds 0 to `seeds` - 1.
        step: Every `step`-th value of these outputs in C order is stored, from the first.
        data: Base64 of a zlib stream of the values: the first byte of each little-endian value, then the second byte of each
            value, and so on.
    """

    seeds: int = Field(ge=1, le=MAX_REFERENCE_SEEDS)
    step: int = Field(ge=1)
    data: Annotated[str, Field(max_length=_MAX_DATA, pattern=r"^[A-Za-z0-9+/]+=*$")]

    def unpack(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Return the stored values.

        Args:
            shape: Shape of one output.
            dtype: Type of the outputs.

        Returns:
            uint8[n] or float32[n].

        Raises:
            WrongReferenceError: The data are damaged, or do not have the length for this shape.
        """
        little_endian = np.dtype(dtype).newbyteorder("<")
        count = -(-self.seeds * math.prod(shape) // self.step)
        size = count * little_endian.itemsize
        if size > _MAX_RAW_BYTES:
            raise WrongReferenceError(
                f"the stored values have {size} bytes, more than {_MAX_RAW_BYTES}", reason="values_too_large"
            )
        try:
            planes = zlib.decompressobj().decompress(base64.b64decode(self.data, validate=True), size + 1)
        except (binascii.Error, zlib.error) as error:
            raise WrongReferenceError(f"the stored values are damaged: {error}", reason="damaged_values") from None
        if len(planes) != size:
            raise WrongReferenceError(f"the stored values do not have {size} bytes", reason="wrong_number_of_values")
        values = np.frombuffer(planes, np.uint8).reshape(little_endian.itemsize, count).T.tobytes()
        return np.frombuffer(values, little_endian).astype(dtype)


class Reference(CardPart):
    """The outputs of the first seeds, with the label that each seed determines and truncation 1.

    Attributes:
        seeds: Number of seeds, from 0; fewer than `MAX_REFERENCE_SEEDS` for a slow generator.
        sha256: SHA-256 of the outputs [seeds, ...] as little-endian values in C order.
        values: Some of the outputs.
        made_with: What computed the outputs.
    """

    seeds: int = Field(ge=1, le=MAX_REFERENCE_SEEDS)
    sha256: Sha256
    values: StoredValues
    made_with: MadeWith

    def check(self, shape: tuple[int, ...], dtype: str) -> None:
        """Check that the reference fits the output of a card.

        Args:
            shape: Shape of one output.
            dtype: Type of the outputs.

        Raises:
            WrongReferenceError: The reference does not fit.
        """
        if self.values.seeds > self.seeds:
            message = f"the stored values are of {self.values.seeds} seeds, more than the {self.seeds} of the reference"
            raise WrongReferenceError(message, reason="too_many_seeds")
        self.values.unpack(shape, dtype)

    def difference(self, outputs: NDArray[Any]) -> float:
        """Return the greatest absolute difference between the stored values and the same values of other outputs.

        Args:
            outputs: uint8[seeds, height, width, channels] or float32[seeds, ...]: the outputs of the seeds of the reference.

        Returns:
            The difference, in gray levels or in the units of the samples. 0 if the outputs differ only elsewhere.
        """
        stored = self.values.unpack(outputs.shape[1:], outputs.dtype.name)
        found = outputs[: self.values.seeds].reshape(-1)[:: self.values.step]
        return greatest_difference(found, stored)


def greatest_difference(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Return the greatest absolute difference of outputs. NaN, after the end of a series, counts as 0.

    Args:
        left: Outputs.
        right: Outputs of the same shape.
    """
    return float(np.abs(np.nan_to_num(left.astype(np.float64)) - np.nan_to_num(right.astype(np.float64))).max())


def digest_outputs(outputs: NDArray[Any]) -> str:
    """Return the SHA-256 of outputs as little-endian values in C order, in hexadecimal.

    Args:
        outputs: The outputs.
    """
    return hashlib.sha256(outputs.astype(outputs.dtype.newbyteorder("<"), order="C", copy=False).tobytes()).hexdigest()


def reference_of(outputs: NDArray[Any], made_with: MadeWith) -> Reference:
    """Return the reference of outputs. It stores as many of the outputs as its size allows, or a part of the first output.

    Args:
        outputs: uint8[n, height, width, channels] or float32[n, ...]: the outputs of seeds 0 to n - 1, 1 <= n <= 64.
        made_with: What computed the outputs.
    """
    return Reference(seeds=len(outputs), sha256=digest_outputs(outputs), values=_stored_values(outputs), made_with=made_with)


def _stored_values(outputs: NDArray[Any]) -> StoredValues:
    seeds, step = len(outputs), 1
    while True:
        values = outputs[:seeds].reshape(-1)[::step]
        if values.nbytes <= _MAX_RAW_BYTES:
            little_endian = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            planes = little_endian.view(np.uint8).reshape(len(values), values.itemsize).T.tobytes()
            data = base64.b64encode(zlib.compress(planes, 9)).decode()
            if len(data) <= _MAX_DATA:
                return StoredValues(seeds=seeds, step=step, data=data)
        if seeds > 1:
            seeds //= 2
        else:
            step *= 2
