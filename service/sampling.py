"""Seeds to files without a server, by the same code as the service's.

Images: a contact sheet, an archive, or a directory of PNGs. Samples: an archive, or a plot of all.
"""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from models.card import ImageOutput
from models.errors import UserError
from models.files import whole_file
from models.seeds import Seeds
from service.archives import ArchiveFormat, archive_formats, archive_writer, check_distinct, entry_name, pieces
from service.generator import Generator
from service.images import GAP, Format, contact_sheet, encode, enlarge, max_scale, text_of
from service.plots import plot
from service.problems import Problem
from service.samples import sample_output
from service.walks import WALK_FORMATS, parse_walk

_MAX_SHEET_SIDE = 16383  # pixels; WebP's limit
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
    form = out.suffix.removeprefix(".").lower()
    archive = next((known for known in archive_formats(generator.card.output) if known == form), None)
    if not isinstance(generator.card.output, ImageOutput):
        _samples(out, form, archive, generator, seeds, label, truncation, scale, columns, progress)
        return
    sheet = _SHEETS.get(form)
    largest = max_scale(generator.card.output)
    if not 1 <= scale <= largest:
        raise UserError(f"--scale {scale} is out of range: 1 to {largest} for images of this generator")
    if columns is not None and sheet is None:
        raise UserError("--columns is for a contact sheet: give --out a name ending in .png or .webp")
    if sheet:
        _sheet(out, sheet, generator, seeds, label, truncation, scale, columns, progress)
    elif archive:
        if scale != 1:
            raise UserError(f"--scale is for contact sheets and directories: a .{form} file holds the pixels as they are")
        if archive == "zip":
            check_distinct(seeds, label)
        _check_room(out, generator, seeds, label, truncation, 1, archive == "zip", _ENTRY_BYTES)
        _archive(out, archive, generator, seeds, label, truncation, progress)
    elif form in _NOT_WRITTEN:
        raise UserError(f"--out {out.name}: .{form} is not written; give .png, .webp, .zip, .npz, .npy, or a directory")
    else:
        _directory(out, generator, seeds, label, truncation, scale, progress)


def walk_to(
    out: Path,
    generator: Generator,
    start: str,
    end: str,
    frames: int | None = None,
    label: int | None = None,
    truncation: float = 1.0,
    scale: int = 1,
) -> int:
    """Write the walk from one seed to another, as the service has it at its address, and tell how many frames it has.

    Raises:
        UserError: the options do not fit together.
        OSError: `out` cannot be written.
    """
    if not isinstance(generator.card.output, ImageOutput):
        raise UserError(f"--walk is for images, and {generator.name!r} makes samples")
    form = out.suffix.removeprefix(".").lower()
    if form not in WALK_FORMATS:
        known = ", ".join(f".{one}" for one in WALK_FORMATS)
        raise UserError(f"--out {out.name}: give a name ending in {known} for a walk")
    asked = {"from": start, "to": end, "frames": frames, "label": label, "truncation": truncation, "scale": scale}
    try:
        walk = parse_walk(generator, form, urlencode({name: value for name, value in asked.items() if value is not None}))
    except Problem as problem:
        raise UserError(f"--{'walk' if problem.field in ('from', 'to') else problem.field}: {problem.detail}") from None
    made = [generator.generate_from(z, labels, walk.truncation) for _, labels, z in walk.parts(generator) if z is not None]
    with whole_file(out) as file:
        file.write(walk.finish(generator, np.concatenate(made)))
    return walk.count


def _samples(
    out: Path,
    form: str,
    archive: ArchiveFormat | None,
    generator: Generator,
    seeds: Seeds,
    label: int | None,
    truncation: float,
    scale: int,
    columns: int | None,
    progress: Progress,
) -> None:
    if scale != 1 or columns is not None:
        raise UserError(f"--scale and --columns are for images, and {generator.name!r} makes samples")
    if archive:
        part, labels = next(pieces(generator, seeds, label))
        first = archive_writer(archive, generator, len(part), truncation).add(
            part, labels, generator.generate(part, labels, truncation)
        )
        _check_free(out, len(first) * seeds.count // len(part))
        _archive(out, archive, generator, seeds, label, truncation, progress)
    elif form == "png":
        if seeds.count > _MOST_PLOTTED:
            raise UserError(f"--seeds: {seeds.count} are more than a plot can show: {_MOST_PLOTTED} at most")
        made = []
        for part, labels in pieces(generator, seeds, label):
            made.append(generator.generate(part, labels, truncation))
            progress(len(part))
        picture = plot(sample_output(generator), np.concatenate(made))
        with whole_file(out) as file:
            file.write(encode(picture, "png", text_of(generator, str(seeds), label, truncation)))
    else:
        known = ", ".join(f".{one}" for one in archive_formats(generator.card.output))
        raise UserError(f"--out {out.name}: give a name ending in {known}, or .png for a plot: these are samples, not images")


def _archive(
    out: Path,
    form: ArchiveFormat,
    generator: Generator,
    seeds: Seeds,
    label: int | None,
    truncation: float,
    progress: Progress,
) -> None:
    writer = archive_writer(form, generator, seeds.count, truncation)
    with whole_file(out) as file:
        for part, labels in pieces(generator, seeds, label):
            file.write(writer.add(part, labels, generator.generate(part, labels, truncation)))
            progress(len(part))
        file.writelines(writer.finish())


def _sheet(
    out: Path,
    form: Format,
    generator: Generator,
    seeds: Seeds,
    label: int | None,
    truncation: float,
    scale: int,
    columns: int | None,
    progress: Progress,
) -> None:
    columns = min(seeds.count, columns or math.ceil(math.sqrt(seeds.count)))
    output = generator.card.output
    assert isinstance(output, ImageOutput)
    width = columns * (output.width * scale + GAP) - GAP
    height = -(-seeds.count // columns) * (output.height * scale + GAP) - GAP
    if max(width, height) > _MAX_SHEET_SIDE:
        raise UserError(f"the sheet would be {width}x{height} pixels, and {_MAX_SHEET_SIDE} is the limit: ask for fewer seeds")
    made = []
    for part, labels in pieces(generator, seeds, label):
        made += [enlarge(image, scale) for image in generator.generate(part, labels, truncation)]
        progress(len(part))
    text = text_of(generator, str(seeds), label, truncation)
    with whole_file(out) as file:
        file.write(encode(contact_sheet(np.stack(made), columns), form, text))


def _directory(
    out: Path, generator: Generator, seeds: Seeds, label: int | None, truncation: float, scale: int, progress: Progress
) -> None:
    check_distinct(seeds, label)
    _check_room(out, generator, seeds, label, truncation, scale, True, _BLOCK_BYTES)
    for part, labels in pieces(generator, seeds, label):
        for i, image in enumerate(generator.generate(part, labels, truncation)):
            seed, its_label = int(part[i]), None if labels is None else int(labels[i])
            png = encode(enlarge(image, scale), "png", text_of(generator, seed, its_label, truncation))
            with whole_file(out / entry_name(seed, its_label)) as file:
                file.write(png)
        progress(len(part))


def _check_room(
    out: Path, generator: Generator, seeds: Seeds, label: int | None, truncation: float, scale: int, png: bool, beside: int
) -> None:
    """Refuse images that would surely fill the disk, before hours of work.

    Raises:
        UserError: the disk has less room than the files will take, by the size of the first few.
    """
    part, labels = next(pieces(generator, seeds, label))
    images = generator.generate(part, labels, truncation)[:_TRIED]
    sizes = [len(encode(enlarge(image, scale), "png", {})) if png else image.nbytes for image in images]
    _check_free(out, int(np.mean(sizes) + beside * png) * seeds.count)


def _check_free(out: Path, needed: int) -> None:
    place = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise UserError(f"--out {out} would take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free there")
