"""Archives of many images or samples, written piece by piece, so that memory does not grow with their number.

Images: zip of PNGs, npz, npy. Samples: npz, npy, csv, jsonl (one JSON document in each line). Strings: also txt.

A writer returns the bytes to send after each piece. Dates and order are fixed, so that the same seeds give the same bytes.
"""

from collections.abc import Iterator
from typing import Literal, Protocol

from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.service.encoders.archive_key import Key
from seedmint.service.encoders.array_files import NpyWriter, NpzWriter
from seedmint.service.encoders.images import encode, text_of
from seedmint.service.encoders.text_archives import CsvWriter, JsonLinesWriter, TextWriter
from seedmint.service.encoders.zip_stream import StoredZip
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator

ArchiveFormat = Literal["zip", "npz", "npy", "csv", "jsonl", "txt"]
ARCHIVE_MEDIA_TYPES: dict[ArchiveFormat, str] = {
    "zip": "application/zip",
    "npz": "application/x-npz",
    "npy": "application/x-npy",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "txt": "text/plain; charset=utf-8",
}
_IMAGE_FORMATS: tuple[ArchiveFormat, ...] = ("zip", "npz", "npy")
_SAMPLE_FORMATS: tuple[ArchiveFormat, ...] = ("npz", "npy", "csv", "jsonl")
_TEXT_FORMATS: tuple[ArchiveFormat, ...] = (*_SAMPLE_FORMATS, "txt")


def archive_formats(output: ImageOutput | SampleOutput) -> tuple[ArchiveFormat, ...]:
    """Return the archive formats of a generator.

    Args:
        output: The output in the card of the generator.
    """
    if isinstance(output, ImageOutput):
        return _IMAGE_FORMATS
    return _TEXT_FORMATS if output.is_text else _SAMPLE_FORMATS


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
        case "txt":
            return TextWriter(generator)


def entry_name(seed: int, label: int | None) -> str:
    """Return the name of an image in a zip or a directory: LABEL/SEED.png, or SEED.png without a label.

    Args:
        seed: The seed of the image.
        label: The label of the image, or None.
    """
    return f"{seed}.png" if label is None else f"{label}/{seed}.png"


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
