"""Arrays of many images or samples as npy and npz files, written piece by piece."""

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seedmint.models.card import SampleOutput
from seedmint.models.series import series_lengths
from seedmint.service.encoders.archive_key import Key
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

_PIECES_AT_A_TIME = 256  # number of pieces whose seeds or labels are sent together


class NpyWriter:
    """An npy file of uint8[count, height, width, channels] or float32[count, ...]: a header, then the values.

    Attributes:
        size: Size of the file in bytes.
    """

    def __init__(self, generator: Generator, count: int) -> None:
        """
        Args:
            generator: The generator of the outputs.
            count: Number of images or samples.
        """
        output = generator.card.output
        shape, dtype = (count, *output.shape), np.dtype(output.dtype)
        self._header = array_header(shape, dtype)
        self.size = len(self._header) + math.prod(shape) * dtype.itemsize

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        header, self._header = self._header, b""
        return header + outputs.tobytes()

    def finish(self) -> Iterator[bytes]:
        return iter(())


class NpyRange(NpyWriter):
    """A range of bytes of an npy file. `add` receives the rows of the range only.

    Attributes:
        size: Size of the range in bytes.
    """

    def __init__(self, header: bytes, offset: int, start: int, stop: int) -> None:
        """
        Args:
            header: The first bytes of the file.
            offset: Position of the first row of the range, after the header.
            start: First byte of the range.
            stop: End of the range, exclusive.
        """
        self._header = header[start:]
        self._position = max(start, len(header)) - len(self._header) if self._header else len(header) + offset
        self._start = start
        self._stop = stop
        self.size = stop - start

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        content = super().add(seeds, labels, outputs)
        position, self._position = self._position, self._position + len(content)
        return content[max(0, self._start - position) : max(0, self._stop - position)]


class NpzWriter:
    """An npz file for `numpy.load`.

    Arrays: `images`, uint8[count, height, width, channels], or `samples`, float32[count, ...]; `lengths`, int64[count], of
    series of different lengths; `seeds`, int64[count], if seeds identify the outputs; `labels`, int64[count], of a conditional
    generator; and `generator`, a text, in a data set of several generators.
    """

    def __init__(self, generator: Generator, count: int, key: Key = "seed", origin: str | None = None) -> None:
        """
        Args:
            generator: The generator of the outputs.
            count: Number of images or samples.
            key: What identifies an output.
            origin: Name and version of the generator, for the array `generator`; None without this array.
        """
        self._origin = origin
        self._key = key
        self._zip = _Zip()
        output = generator.card.output
        self._values = self._zip.array(f"{output.kind}s.npy", (count, *output.shape), np.dtype(output.dtype))
        self._seeds: list[SeedArray] = []
        self._labels: list[Labels] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._has_lengths = isinstance(output, SampleOutput) and output.has_lengths

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        self._values.write(outputs.tobytes())
        if self._key == "seed":
            self._seeds.append(seeds)
        if labels is not None:
            self._labels.append(labels)
        if self._has_lengths:
            self._lengths.append(series_lengths(outputs))
        return self._zip.pop()

    def finish(self) -> Iterator[bytes]:
        self._values.close()
        columns: tuple[tuple[str, list[NDArray[np.int64]]], ...] = (
            ("lengths.npy", self._lengths),
            ("seeds.npy", self._seeds),
            ("labels.npy", self._labels),
        )
        for name, parts in columns:
            if parts:
                with self._zip.array(name, (sum(map(len, parts)),), parts[0].dtype) as file:
                    for i in range(0, len(parts), _PIECES_AT_A_TIME):
                        file.write(np.concatenate(parts[i : i + _PIECES_AT_A_TIME]).tobytes())
                        yield self._zip.pop()
        if self._origin is not None:
            text = np.array(self._origin)
            with self._zip.array("generator.npy", text.shape, text.dtype) as file:
                file.write(text.tobytes())
        yield self._zip.finish()


def array_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return the header of an npy file (version 1.0) of a C-ordered array.

    Args:
        shape: Shape of the array.
        dtype: Type of the array.
    """
    buffer = io.BytesIO()
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


class _Sink:
    """A file that cannot seek, and keeps only the bytes since the last `pop`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def pop(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _ZipFile(zipfile.ZipFile):
    def __del__(self) -> None:
        """Do nothing. ZipFile would close an unfinished archive, whose client has disconnected, and log an error."""


class _Zip:
    """A zip stream for a few members of any size. `StoredZip` is for many small files."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._file = _ZipFile(self._sink, "w", zipfile.ZIP_STORED)  # type: ignore[call-overload]  # ZipFile needs only write and flush

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Open a member, write the header of an npy file, and return the open member for the values."""
        header = array_header(shape, dtype)
        size = len(header) + math.prod(shape) * dtype.itemsize
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.create_system = 3  # Unix on every machine, for the same bytes
        info.external_attr = 0o644 << 16
        file = self._file.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT)
        file.write(header)
        return file

    def pop(self) -> bytes:
        return self._sink.pop()

    def finish(self) -> bytes:
        self._file.close()
        return self._sink.pop()
