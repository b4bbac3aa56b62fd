"""Archives of many images or samples, written piece by piece, so that memory does not grow with their number.

Images: zip of PNGs, npz, npy. Samples: npz, npy, csv, jsonl (one JSON document in each line).

A writer returns the bytes to send after each piece. Dates and order are fixed, so that the same seeds give the same bytes.
"""

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any, Literal, Protocol

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.models.table import is_table, table_rows, table_schema
from seedmint.service.encoders.images import encode, text_of
from seedmint.service.encoders.tabular import csv_header, csv_rows, csv_text, json_text, sample_output, table_lines
from seedmint.service.encoders.zip_stream import StoredZip
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

ArchiveFormat = Literal["zip", "npz", "npy", "csv", "jsonl"]
Key = Literal["seed", "row"]
"""Identifies an output: its seed, or the number of its latent vector in the request."""
ARCHIVE_MEDIA_TYPES: dict[ArchiveFormat, str] = {
    "zip": "application/zip",
    "npz": "application/x-npz",
    "npy": "application/x-npy",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
_IMAGE_FORMATS: tuple[ArchiveFormat, ...] = ("zip", "npz", "npy")
_SAMPLE_FORMATS: tuple[ArchiveFormat, ...] = ("npz", "npy", "csv", "jsonl")
_PIECES_AT_A_TIME = 256  # number of pieces whose seeds or labels are sent together


def archive_formats(output: ImageOutput | SampleOutput) -> tuple[ArchiveFormat, ...]:
    """Return the archive formats of a generator.

    Args:
        output: The output in the card of the generator.
    """
    return _IMAGE_FORMATS if isinstance(output, ImageOutput) else _SAMPLE_FORMATS


class ArchiveWriter(Protocol):
    """Encodes one archive. Call `add` for each piece in order, then `finish`, from one thread at a time.

    Memory that a writer keeps for each image or sample: npz 16 bytes (seed and label), zip 10 bytes and the name, others none.
    """

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        """Return the bytes of one piece.

        Args:
            seeds: int64[n], or the numbers of the latent vectors.
            labels: int64[n]; None for an unconditional generator.
            outputs: uint8[n, height, width, channels] or float32[n, ...].
        """

    def finish(self) -> Iterator[bytes]:
        """Yield the bytes after the last piece."""


def archive_writer(
    form: ArchiveFormat, generator: Generator, count: int, truncation: float, key: Key = "seed"
) -> ArchiveWriter:
    """Return the writer of an archive.

    Args:
        form: One of `archive_formats`.
        generator: The generator of the outputs.
        count: Number of images or samples.
        truncation: Factor on z, for the text in PNGs.
        key: What identifies an output.
    """
    match form:
        case "zip":
            return ZipWriter(generator, truncation, key)
        case "npz":
            return NpzWriter(generator, count, key)
        case "npy":
            return NpyWriter(generator, count)
        case "csv":
            return CsvWriter(generator, key)
        case "jsonl":
            return JsonLinesWriter(generator, key)


def entry_name(seed: int, label: int | None) -> str:
    """Return the name of an image in a zip or a directory: LABEL/SEED.png, or SEED.png without a label.

    Args:
        seed: The seed of the image.
        label: The label of the image, or None.
    """
    return f"{seed}.png" if label is None else f"{label}/{seed}.png"


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

    Arrays: `images`, uint8[count, height, width, channels], or `samples`, float32[count, ...]; `seeds`, int64[count], if
    seeds identify the outputs; `labels`, int64[count], of a conditional generator; and `generator`, a text, in a data set of
    several generators.
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

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        self._values.write(outputs.tobytes())
        if self._key == "seed":
            self._seeds.append(seeds)
        if labels is not None:
            self._labels.append(labels)
        return self._zip.pop()

    def finish(self) -> Iterator[bytes]:
        self._values.close()
        columns: tuple[tuple[str, list[NDArray[np.int64]]], ...] = (("seeds.npy", self._seeds), ("labels.npy", self._labels))
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


class ZipWriter:
    """A zip of PNGs, stored without further compression. Each PNG has the same bytes as at its own URL."""

    def __init__(self, generator: Generator, truncation: float, key: Key = "seed") -> None:
        """
        Args:
            generator: The generator of the images.
            truncation: Factor on z, for the text in the PNGs.
            key: What identifies an image.
        """
        self._key = key
        self._zip = StoredZip()
        self._generator = generator
        self._truncation = truncation

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        files = []
        for i, image in enumerate(outputs):
            seed, label = int(seeds[i]), None if labels is None else int(labels[i])
            png = encode(image, "png", text_of(self._generator, seed, label, self._truncation, self._key))
            files.append(self._zip.add(entry_name(seed, label), png))
        return b"".join(files)

    def finish(self) -> Iterator[bytes]:
        return self._zip.finish()


class CsvWriter:
    """A CSV file: a line of names, then one line for each sample, or for each step of each series.

    Columns: seed (or row), label (of a conditional generator), step (of series), values. Of a table: seed (or row), and the
    columns of the table.
    """

    def __init__(self, generator: Generator, key: Key = "seed") -> None:
        """
        Args:
            generator: The generator of the samples.
            key: What identifies a sample.
        """
        self._card, self._output = generator.card, sample_output(generator)
        first_columns = (key,) if generator.card.classes is None else (key, "label")
        header = csv_header(self._output, *first_columns)
        if is_table(self._card):
            header = [key, *(column.name for column in table_schema(self._card))]
        self._header = csv_text([header])

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        header, self._header = self._header, b""
        if is_table(self._card):
            lines = table_lines(self._card, outputs, labels)
            return header + csv_text([seed, *line] for seed, line in zip(seeds.tolist(), lines, strict=True))
        keys = zip(seeds.tolist()) if labels is None else zip(seeds.tolist(), labels.tolist(), strict=True)
        rows = (row for key, sample in zip(keys, outputs, strict=True) for row in csv_rows(self._output, sample, *key))
        return header + csv_text(rows)

    def finish(self) -> Iterator[bytes]:
        return iter(())


class JsonLinesWriter:
    """One line for each sample: {"seed": ..., "label": ..., "values": [...]}, or with "row" instead of "seed".

    Of a table: {"seed": ..., NAME: VALUE, ...} with the names and values of the columns.
    """

    def __init__(self, generator: Generator, key: Key = "seed") -> None:
        """
        Args:
            generator: The generator of the samples.
            key: What identifies a sample.
        """
        self._key, self._card = key, generator.card

    def add(self, seeds: SeedArray, labels: Labels | None, outputs: Outputs) -> bytes:
        lines = []
        if is_table(self._card):
            names = [column.name for column in table_schema(self._card)]
            for seed, row in zip(seeds.tolist(), table_rows(self._card, outputs, labels), strict=True):
                lines.append(json_text({self._key: seed} | dict(zip(names, row, strict=True))) + "\n")
            return "".join(lines).encode()
        for i, values in enumerate(outputs.tolist()):
            key = {self._key: int(seeds[i])} | ({} if labels is None else {"label": int(labels[i])})
            lines.append(json_text(key | {"values": values}) + "\n")
        return "".join(lines).encode()

    def finish(self) -> Iterator[bytes]:
        return iter(())


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
