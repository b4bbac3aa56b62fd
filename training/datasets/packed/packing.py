"""Packs a source once: lists it, reads the headers, decodes all images in threads, and writes the file and its summary.

The cache holds `packs/DIGEST.safetensors`, and `packs/index/KEY.json` with the summary. The key depends on the files of the
source, their sizes and times, and the conversion, so that an unchanged source is not read again.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from seedmint.models.files import write_whole
from seedmint.models.runtime.processors import num_processors
from seedmint.training.datasets.cache import cache_directory
from seedmint.training.datasets.dataset import DataError, Dataset
from seedmint.training.datasets.packed.decode import Conversion, UnreadableImageError, decode
from seedmint.training.datasets.packed.detect import open_source
from seedmint.training.datasets.packed.files import Files, source_name
from seedmint.training.datasets.packed.ordered import ordered_map
from seedmint.training.datasets.packed.pack_file import Pack, PackWriter, read_pack
from seedmint.training.datasets.packed.report import Broken, BrokenImagesError, Report
from seedmint.training.datasets.packed.source import Note, Record, Source
from seedmint.training.datasets.packed.survey import Survey, choose_conversion, class_names, survey_source
from seedmint.training.datasets.progress import OnProgress, ignore_progress
from seedmint.training.recipes.data import Data, PackedSource

_VERSION = 1  # of the rules of listing and decoding; a new version reads all sources again
_AUTOMATIC_SIDES = (512, 256, 128, 64, 32, 16, 8)
_MIN_SIDE, _MAX_SIDE = 8, 512
MAX_AUTOMATIC_SIDE = 128
"""Largest side that is chosen for images of different sizes."""


@dataclass(frozen=True)
class Packed:
    """Packed images with the report on their source.

    Attributes:
        pack: The images.
        report: The summary.
        data: The section of a recipe that gives these images.
    """

    pack: Pack
    report: Report
    data: Data

    def train(self) -> Dataset:
        """Return the training images."""
        return self.pack.train(_name(self.data), self.data.licence)

    def held_out(self) -> Dataset | None:
        """Return the held-out images; None if there are none."""
        return self.pack.held_out(_name(self.data), self.data.licence)


def open_packed(data: Data, on_progress: OnProgress = ignore_progress, threads: int | None = None) -> Packed:
    """Return the images of a source, packed. Reads the source only if it has changed.

    Args:
        data: The section `data` of a recipe.
        on_progress: Called after each image.
        threads: Number of threads; None uses all processors. It does not change the result.

    Raises:
        DataError: The source does not exist or is damaged; sizes or channels differ; or an image is not readable, and
            `data.skip_broken` is false.
        OSError: The disk is full.
    """
    packed = _open(data, on_progress, threads, automatic=False)
    if packed.report.broken and not data.skip_broken:
        raise BrokenImagesError(str(data.path), packed.report.broken)
    return packed


def find_pack(training_digest: str) -> Pack | None:
    """Return the packed file of the cache with these training images, or None.

    Args:
        training_digest: Digest of the training images, as on the card of a generator.
    """
    for path in sorted((cache_directory() / "packs").glob("[!.]*.safetensors")):
        try:
            pack = read_pack(path)
        except (DataError, OSError):
            continue
        if pack.digests[0] == training_digest:
            return pack
    return None


def inspect_data(data: Data, on_progress: OnProgress = ignore_progress, threads: int | None = None) -> Packed:
    """Return the images of a source, packed. Chooses the side and the channels if they differ and are not given.

    Images of different sizes, and images above 512 pixels, get the largest power of two up to `MAX_AUTOMATIC_SIDE` that 95% of
    the images reach. Gray and color images together get three channels.

    Args:
        data: The section `data` of a recipe.
        on_progress: Called after each image.
        threads: Number of threads; None uses all processors. It does not change the result.

    Raises:
        DataError: The source does not exist or is damaged, or no image is readable.
        OSError: The disk is full.
    """
    return _open(data, on_progress, threads, automatic=True)


def _open(data: Data, on_progress: OnProgress, threads: int | None, automatic: bool) -> Packed:
    assert data.path is not None
    files = Files(data.path)
    kind: PackedSource = data.source  # type: ignore[assignment]
    directory = cache_directory() / "packs"
    key = _key(files, kind, data.side, data.channels, automatic)
    if (known := _known(directory, key, data)) is not None:
        return known
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        if (known := _known(directory, key, data)) is not None:  # another process has packed it meanwhile
            return known
        for partial_file in directory.glob(".*.safetensors.*"):  # of a process that was killed
            partial_file.unlink()
        source = open_source(files, kind)
        workers = threads or num_processors()
        survey = survey_source(source, on_progress, workers)
        side, channels = _choose_automatically(survey, data) if automatic else (data.side, data.channels)
        # Without a readable image, any conversion serves to collect the problems of all images.
        conversion = choose_conversion(survey, side, channels) if survey.count else Conversion(side, 1)
        path, report = _pack(directory, source, kind, survey, conversion, on_progress, workers)
        chosen = data.model_copy(update={"side": side, "channels": channels})
        content = {"digest": path.stem, "side": side, "channels": channels, "report": report.document()}
        for name in {key, _key(files, kind, side, channels, False)}:
            write_whole(_entry(directory, name), json.dumps(content).encode())
        return Packed(read_pack(path), report, chosen)


def _name(data: Data) -> str:
    """Return the name of a data set: the last part of its path."""
    return source_name(str(data.path))


def _choose_automatically(survey: Survey, data: Data) -> tuple[int | None, Literal[1, 3, 4] | None]:
    channels = data.channels
    if channels is None and 0 < survey.gray < survey.count:
        channels = 3
    sides = sorted(side for (width, height), n in survey.sizes.items() for side in [min(width, height)] * n)
    fits = len(survey.sizes) == 1 and all(_MIN_SIDE <= side <= _MAX_SIDE for size in survey.sizes for side in size)
    if data.side is not None or fits or not sides:
        return data.side, channels
    reached = sides[len(sides) // 20]  # 95% of the images are at least as large
    side = next((side for side in _AUTOMATIC_SIDES if side <= min(reached, MAX_AUTOMATIC_SIDE)), _MIN_SIDE)
    return side, channels


def _key(files: Files, kind: str, side: int | None, channels: int | None, automatic: bool) -> str:
    text = json.dumps([_VERSION, files.digest, files.is_directory and files.directories, kind, side, channels, automatic])
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(directory: Path, key: str) -> Path:
    return directory / "index" / f"{key}.json"


def _known(directory: Path, key: str, data: Data) -> Packed | None:
    """Return the packed images of a key; None if they are not in the cache, or damaged."""
    try:
        content = json.loads(_entry(directory, key).read_bytes())
        pack = read_pack(directory / f"{content['digest']}.safetensors")
        chosen = data.model_copy(update={"side": content["side"], "channels": content["channels"]})
        return Packed(pack, Report.of_document(content["report"]), chosen)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _pack(
    directory: Path,
    source: Source,
    kind: str,
    survey: Survey,
    conversion: Conversion,
    on_progress: OnProgress,
    threads: int,
) -> tuple[Path, Report]:
    classes = class_names(source, survey)
    numbers = {name: number for number, name in enumerate(classes or ())}
    counts = np.zeros(len(classes or ()), dtype=np.int64)
    broken: list[Broken] = []
    low, high, total = 255, 0, source.count or survey.count
    writer: PackWriter | None = None
    try:
        decoded = ordered_map(partial(_decode, conversion=conversion), source.records(), threads)
        for number, (record, image) in enumerate(decoded, 1):
            on_progress("decode", number, max(total, number))
            if isinstance(image, str):
                broken.append(Broken(record.name, image))
                continue
            if writer is None:
                writer = PackWriter(directory, image.shape)
            if image.shape != writer.shape:
                broken.append(Broken(record.name, f"{image.shape[2]}x{image.shape[1]} pixels differ from the header"))
                continue
            label = record.label if isinstance(record.label, int) and source.classes else numbers.get(str(record.label))
            if label is not None:
                counts[label] += 1
            writer.add(image, label, record.name)
            low, high = min(low, int(image.min())), max(high, int(image.max()))
        if writer is None:
            raise BrokenImagesError(source.files.location, tuple(broken))
        on_progress("write the packed file", 0, 1)
        path = writer.finish(classes)
        duplicates = writer.num_duplicates
    finally:
        if writer is not None:
            writer.close()
    pack = read_pack(path)
    _, channels, height, width = pack.images.shape
    report = Report(
        kind,
        len(pack.images),
        len(pack.images) - pack.num_train,
        width,
        height,
        channels,
        (low, high),
        tuple((*size, n) for size, n in survey.sizes.most_common()),
        tuple(zip(classes or (), counts.tolist(), strict=True)),
        duplicates,
        (*source.notes, *_conversions(survey, conversion, (width, height))),
        tuple(broken),
    )
    on_progress("write the packed file", 1, 1)
    return path, report


def _decode(record: Record, conversion: Conversion) -> tuple[Record, NDArray[np.uint8] | str]:
    """Return the record and its image, or the problem of the image."""
    try:
        return record, decode(record.content(), conversion)
    except UnreadableImageError as error:
        return record, str(error)
    except (ValueError, OSError) as error:  # the content cannot be read
        return record, str(error).splitlines()[0] if str(error) else type(error).__name__


def _conversions(survey: Survey, conversion: Conversion, size: tuple[int, int]) -> tuple[Note, ...]:
    """Return notes about the conversion of sizes, channels and bits."""
    notes = []
    other_size = survey.count - survey.sizes[size]
    if other_size:
        cropped = sum(n for (width, height), n in survey.sizes.items() if width != height)
        crop = f"; {cropped:,} of them are cropped to the central square" if cropped else ""
        notes.append(Note("resized", f"images are resized to {size[0]}x{size[1]}{crop}", other_size))
    if survey.transparent and conversion.channels != 4:
        text = "images have an opacity: transparent parts are put on white (4 channels keep the opacity)"
        notes.append(Note("transparency_on_white", text, survey.transparent))
    if survey.deep:
        text = f"images of 16 bits use {conversion.bits} bits; the upper 8 are kept"
        notes.append(Note("reduced_depth", text, survey.deep))
    if conversion.channels == 1 and survey.gray < survey.count:
        notes.append(Note("to_gray", "images in color are converted to grayscale", survey.count - survey.gray))
    if conversion.channels != 1 and survey.gray:
        notes.append(Note("to_color", "grayscale images are converted to color", survey.gray))
    return tuple(notes)
