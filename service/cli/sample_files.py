"""Seeds to files without a server, by the same code as the service's.

Images: a contact sheet, an archive, or a directory of PNGs. Samples: an archive, or a plot of all.
"""

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.files import whole_file
from seedmint.models.seeds import Seeds
from seedmint.service.encoders.archives import ArchiveFormat, archive_formats, archive_writer, entry_name
from seedmint.service.encoders.images import (
    MAX_SHEET_SIDE,
    Format,
    contact_sheet,
    encode,
    enlarge,
    max_scale,
    sheet_size,
    text_of,
)
from seedmint.service.encoders.plots import plot
from seedmint.service.encoders.tabular import sample_output
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import check_distinct, pieces

_SHEETS: dict[str, Format] = {"png": "png", "webp": "webp"}
_ENTRY_BYTES = 150  # about what a zip needs for one file beside its content
_BLOCK_BYTES = 4096  # about what a file system needs at least for one file
_TRIED = 16  # images whose PNGs are made to estimate the size of all
_NOT_WRITTEN = ("jpg", "jpeg", "gif", "bmp", "tif", "tiff", "avif", "tar", "gz", "onnx", "csv", "jsonl")
_MOST_PLOTTED = 100_000

Progress = Callable[[int], None]


def sample_to(
    out: Path,
    generator: Generator,
    seeds: Seeds,
    label: int | None = None,
    truncation: float = 1.0,
    scale: int = 1,
    columns: int | None = None,
    progress: Progress = lambda made: None,
) -> None:
    """Make the images or samples of seeds and write them to `out`.

    Args:
        out: of images, NAME.png or NAME.webp becomes a contact sheet, NAME.zip, .npz or .npy an archive, anything else a
            directory; of samples, NAME.csv, .jsonl, .npz or .npy becomes an archive, and NAME.png a plot.
        label: one label for all; None takes the labels that the seeds name.
        truncation: factor on z, 0.001 to 1.
        scale: enlargement of each image, for sheets and directories.
        columns: images in a row of a sheet; None makes it about square.
        progress: told the number made, after each batch.

    Raises:
        UserError: the options do not fit together, or the disk has no room.
        OSError: `out` cannot be written.
    """
    asked = _Asked(out, generator, seeds, label, truncation, scale, progress)
    archive = next((known for known in archive_formats(generator.card.output) if known == asked.form), None)
    if not isinstance(generator.card.output, ImageOutput):
        if scale != 1 or columns is not None:
            raise UserError(f"--scale and --columns are for images, and {generator.name!r} makes samples")
        _samples(asked, archive)
        return
    sheet = _SHEETS.get(asked.form)
    largest = max_scale(generator.card.output)
    if not 1 <= scale <= largest:
        raise UserError(f"--scale {scale} is out of range: 1 to {largest} for images of this generator")
    if columns is not None and sheet is None:
        raise UserError("--columns is for a contact sheet: give --out a name ending in .png or .webp")
    if sheet:
        _sheet(asked, sheet, columns)
    elif archive:
        if scale != 1:
            raise UserError(f"--scale is for contact sheets and directories: a .{asked.form} file holds the pixels as they are")
        if archive == "zip":
            check_distinct(seeds, label)
        _check_room(asked, archive == "zip", _ENTRY_BYTES)
        _archive(asked, archive)
    elif asked.form in _NOT_WRITTEN:
        raise UserError(f"--out {out.name}: .{asked.form} is not written; give .png, .webp, .zip, .npz, .npy, or a directory")
    else:
        _directory(asked)


@dataclass(frozen=True)
class _Asked:
    """What `sample_to` was asked for."""

    out: Path
    generator: Generator
    seeds: Seeds
    label: int | None
    truncation: float
    scale: int
    progress: Progress

    @property
    def form(self) -> str:
        """What the name of `out` ends in, lower case."""
        return self.out.suffix.removeprefix(".").lower()

    def made(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[Any]]]:
        """Seeds, labels, and what they make, batch by batch; the progress is told as the next one is asked for."""
        for part, labels in pieces(self.generator, self.seeds, self.label):
            yield part, labels, self.generator.generate(part, labels, self.truncation)
            self.progress(len(part))

    def text(self) -> dict[str, str]:
        """What a picture of all tells of itself."""
        return text_of(self.generator, str(self.seeds), self.label, self.truncation)


def _samples(asked: _Asked, archive: ArchiveFormat | None) -> None:
    out, generator, seeds = asked.out, asked.generator, asked.seeds
    if archive:
        part, labels, samples = next(asked.made())
        first = archive_writer(archive, generator, len(part), asked.truncation).add(part, labels, samples)
        _check_free(out, len(first) * seeds.count // len(part))
        _archive(asked, archive)
    elif asked.form == "png":
        if seeds.count > _MOST_PLOTTED:
            raise UserError(f"--seeds: {seeds.count} are more than a plot can show: {_MOST_PLOTTED} at most")
        picture = plot(sample_output(generator), np.concatenate([samples for _, _, samples in asked.made()]))
        with whole_file(out) as file:
            file.write(encode(picture, "png", asked.text()))
    else:
        known = ", ".join(f".{one}" for one in archive_formats(generator.card.output))
        raise UserError(f"--out {out.name}: give a name ending in {known}, or .png for a plot: these are samples, not images")


def _archive(asked: _Asked, form: ArchiveFormat) -> None:
    writer = archive_writer(form, asked.generator, asked.seeds.count, asked.truncation)
    with whole_file(asked.out) as file:
        for part, labels, outputs in asked.made():
            file.write(writer.add(part, labels, outputs))
        file.writelines(writer.finish())


def _sheet(asked: _Asked, form: Format, columns: int | None) -> None:
    count, output = asked.seeds.count, asked.generator.card.output
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    assert isinstance(output, ImageOutput)
    width, height = sheet_size(output, columns, -(-count // columns), asked.scale)
    if max(width, height) > MAX_SHEET_SIDE:
        raise UserError(f"the sheet would be {width}x{height} pixels, and {MAX_SHEET_SIDE} is the limit: ask for fewer seeds")
    shown = [enlarge(image, asked.scale) for _, _, images in asked.made() for image in images]
    with whole_file(asked.out) as file:
        file.write(encode(contact_sheet(np.stack(shown), columns), form, asked.text()))


def _directory(asked: _Asked) -> None:
    check_distinct(asked.seeds, asked.label)
    _check_room(asked, True, _BLOCK_BYTES)
    for part, labels, images in asked.made():
        for i, image in enumerate(images):
            seed, label = int(part[i]), None if labels is None else int(labels[i])
            png = encode(enlarge(image, asked.scale), "png", text_of(asked.generator, seed, label, asked.truncation))
            with whole_file(asked.out / entry_name(seed, label)) as file:
                file.write(png)


def _check_room(asked: _Asked, png: bool, beside: int) -> None:
    """Refuse images that would surely fill the disk, before hours of work.

    Raises:
        UserError: the disk has less room than the files will take, by the size of the first few.
    """
    _, _, images = next(asked.made())
    sizes = [len(encode(enlarge(image, asked.scale), "png", {})) if png else image.nbytes for image in images[:_TRIED]]
    _check_free(asked.out, int(np.mean(sizes) + beside * png) * asked.seeds.count)


def _check_free(out: Path, needed: int) -> None:
    place = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise UserError(f"--out {out} would take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there")
