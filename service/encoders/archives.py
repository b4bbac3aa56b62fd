"""Many images or samples into one stream, written piece by piece, so that memory does not grow with their number.

Images: zip of PNGs, npz, npy. Samples: npz, npy, csv, jsonl (a JSON document in each line).

A writer gives the bytes to send after each piece. Dates and order are fixed: the same seeds give the same bytes.
"""

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.service.encoders.images import encode, text_of
from seedmint.service.encoders.tabular import csv_header, csv_rows, csv_text, json_text, sample_output
from seedmint.service.encoders.zip_stream import StoredZip
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

ArchiveFormat = Literal["zip", "npz", "npy", "csv", "jsonl"]
ARCHIVE_FORMATS: tuple[ArchiveFormat, ...] = get_args(ArchiveFormat)
ARCHIVE_MEDIA_TYPES: dict[ArchiveFormat, str] = {
    "zip": "application/zip",
    "npz": "application/x-npz",
    "npy": "application/x-npy",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
}
_OF_IMAGES: tuple[ArchiveFormat, ...] = ("zip", "npz", "npy")
_OF_SAMPLES: tuple[ArchiveFormat, ...] = ("npz", "npy", "csv", "jsonl")
_TOGETHER = 256  # pieces whose seeds go out together


def archive_formats(output: ImageOutput | SampleOutput) -> tuple[ArchiveFormat, ...]:
    """The formats that many outputs of a generator may be had in."""
    return _OF_IMAGES if isinstance(output, ImageOutput) else _OF_SAMPLES


class ArchiveWriter(Protocol):
    """`add` each piece in order, then `finish`; both give bytes for the stream. Not for several threads at once.

    Of each image or sample they keep until the end: its seed and label, 8 bytes each (npz); 10 bytes and its name (zip); or
    nothing.
    """

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes: ...

    def finish(self) -> Iterator[bytes]: ...


def archive_writer(form: ArchiveFormat, generator: Generator, count: int, truncation: float) -> ArchiveWriter:
    """The writer of a format, one of `archive_formats`, for `count` images or samples."""
    match form:
        case "zip":
            return ZipWriter(generator, truncation)
        case "npz":
            return NpzWriter(generator, count)
        case "npy":
            return NpyWriter(generator, count)
        case "csv":
            return CsvWriter(generator)
        case "jsonl":
            return JsonLinesWriter()


def entry_name(seed: int, label: int | None) -> str:
    """An image's name in a zip or a directory: {label}/{seed}.png, the layout of image folders; {seed}.png without labels."""
    return f"{seed}.png" if label is None else f"{label}/{seed}.png"


class NpyWriter:
    """uint8[count, h, w, c] or float32[count, ...] in the npy format: a header, then the values.

    Attributes:
        size: bytes of it all.
    """

    def __init__(self, generator: Generator, count: int) -> None:
        output = generator.card.output
        shape, dtype = (count, *output.shape), np.dtype(output.dtype)
        self._start = array_header(shape, dtype)
        self.size = len(self._start) + math.prod(shape) * dtype.itemsize

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes:
        start, self._start = self._start, b""
        return start + made.tobytes()

    def finish(self) -> Iterator[bytes]:
        return iter(())


class NpzWriter:
    """Arrays as `numpy.load` reads them: images (uint8[count, h, w, c]) or samples (float32[count, ...]), seeds and, where
    there are any, labels (int64[count])."""

    def __init__(self, generator: Generator, count: int) -> None:
        self._zip = _Zip()
        output = generator.card.output
        self._values = self._zip.array(f"{output.kind}s.npy", (count, *output.shape), np.dtype(output.dtype))
        self._seeds: list[SeedArray] = []
        self._labels: list[Labels] = []

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes:
        self._values.write(made.tobytes())
        self._seeds.append(seeds)
        if labels is not None:
            self._labels.append(labels)
        return self._zip.take()

    def finish(self) -> Iterator[bytes]:
        self._values.close()
        columns: tuple[tuple[str, list[NDArray[np.int64]]], ...] = (("seeds.npy", self._seeds), ("labels.npy", self._labels))
        for name, parts in columns:
            if parts:
                with self._zip.array(name, (sum(map(len, parts)),), parts[0].dtype) as file:
                    for i in range(0, len(parts), _TOGETHER):
                        file.write(np.concatenate(parts[i : i + _TOGETHER]).tobytes())
                        yield self._zip.take()
        yield self._zip.finish()


class ZipWriter:
    """PNGs, each the same bytes as at its own address, stored without compressing them again."""

    def __init__(self, generator: Generator, truncation: float) -> None:
        self._zip = StoredZip()
        self._generator = generator
        self._truncation = truncation

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes:
        files = []
        for i, image in enumerate(made):
            seed, label = int(seeds[i]), None if labels is None else int(labels[i])
            png = encode(image, "png", text_of(self._generator, seed, label, self._truncation))
            files.append(self._zip.add(entry_name(seed, label), png))
        return b"".join(files)

    def finish(self) -> Iterator[bytes]:
        return self._zip.finish()


class CsvWriter:
    """A line of names, then one for each sample, or for each step of each series: seed, label where there are any, values."""

    def __init__(self, generator: Generator) -> None:
        self._output = sample_output(generator)
        before = ("seed",) if generator.card.classes is None else ("seed", "label")
        self._start = csv_text([csv_header(self._output, *before)])

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes:
        start, self._start = self._start, b""
        named = zip(seeds.tolist()) if labels is None else zip(seeds.tolist(), labels.tolist(), strict=True)
        rows = (row for before, sample in zip(named, made, strict=True) for row in csv_rows(self._output, sample, *before))
        return start + csv_text(rows)

    def finish(self) -> Iterator[bytes]:
        return iter(())


class JsonLinesWriter:
    """A line for each sample: {"seed": ..., "label": ..., "values": [...]}."""

    def add(self, seeds: SeedArray, labels: Labels | None, made: Outputs) -> bytes:
        lines = []
        for i, values in enumerate(made.tolist()):
            about = {"seed": int(seeds[i])} | ({} if labels is None else {"label": int(labels[i])})
            lines.append(json_text(about | {"values": values}) + "\n")
        return "".join(lines).encode()

    def finish(self) -> Iterator[bytes]:
        return iter(())


def array_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The header of an npy file of a C-ordered array."""
    buffer = io.BytesIO()
    described = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, described)
    return buffer.getvalue()


class _Sink:
    """A place to write that cannot be sought, and forgets what has been taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """There is nothing behind it."""

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _ZipFile(zipfile.ZipFile):
    def __del__(self) -> None:
        """Left unfinished when its client has gone; ZipFile would try to close itself, and complain in the log."""


class _Zip:
    """A zip file going out while it is written."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._file = _ZipFile(self._sink, "w", zipfile.ZIP_STORED)  # type: ignore[call-overload]  # it asks for no more

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A member that is an npy file, its header written, to write the values to."""
        header = array_header(shape, dtype)
        size = len(header) + math.prod(shape) * dtype.itemsize
        info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        info.create_system = 3  # Unix, whatever this machine is
        info.external_attr = 0o644 << 16
        file = self._file.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT)
        file.write(header)
        return file

    def take(self) -> bytes:
        return self._sink.take()

    def finish(self) -> bytes:
        self._file.close()
        return self._sink.take()
