"""Writes images or samples to files, with the specs and encoders of the service, so that the bytes are the same."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import ImageOutput
from seedmint.models.errors import UserError
from seedmint.models.files import whole_file
from seedmint.models.label_choice import ClassChoice, choice_text
from seedmint.models.seeds import Seeds
from seedmint.service.cli.disk_space import check_free_space
from seedmint.service.cli.options import set_error_field
from seedmint.service.encoders.archives import ArchiveFormat, archive_formats, archive_writer, entry_name
from seedmint.service.encoders.images import encode, text_of
from seedmint.service.encoders.plots import plot
from seedmint.service.encoders.tabular import sample_output
from seedmint.service.runtime.arrays import Labels, Outputs, SeedArray
from seedmint.service.runtime.generator import Generator
from seedmint.service.runtime.pieces import check_distinct, pieces
from seedmint.service.specs.errors import SpecError
from seedmint.service.specs.sheet import SHEET_FORMATS, SheetSpec
from seedmint.service.specs.single import ImageSpec
from seedmint.service.specs.values import require_images, require_scale, require_truncation
from seedmint.service.specs.walk import WalkSpec

_ZIP_ENTRY_BYTES = 150  # approximate size of the headers of one file in a zip
_DISK_BLOCK_BYTES = 4096  # a file in a directory takes about one block more than its content
_ESTIMATE_IMAGES = 16  # number of PNG files that estimate the mean size
_UNSUPPORTED = ("jpg", "jpeg", "gif", "bmp", "tif", "tiff", "avif", "tar", "gz", "onnx", "csv", "jsonl", "txt")
_MAX_PLOTTED = 100_000

OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Images or samples to write.

    Attributes:
        generator: The generator.
        seeds: At least one seed.
        label: Class number of all outputs, or several class numbers, of which each seed has one; None for the labels that the
            seeds determine.
        truncation: Factor on z.
        scale: Factor of the enlargement of each image.
        columns: Images per row of a contact sheet; None for an almost square sheet.
    """

    generator: Generator
    seeds: Seeds
    label: ClassChoice | None = None
    truncation: float = 1.0
    scale: int = 1
    columns: int | None = None


def write_outputs(out: Path, request: SampleRequest, on_progress: OnProgress = lambda count: None) -> None:
    """Generate images or samples and write them to `out`. The suffix of `out` sets the format.

    Args:
        out: For images: .png or .webp for a contact sheet, .zip, .npz or .npy for an archive, any other name for a directory.
            For samples: .csv, .jsonl, .npz, .npy or, of strings, .txt for an archive, .png for a plot.
        request: The images or samples.
        on_progress: Receives the number of new images or samples after each batch.

    Raises:
        UserError: The values are invalid for the generator or the format, or the disk has too little space.
        OSError: `out` cannot be written.
    """
    writer = _Writer(out, request, require_truncation(request.generator, request.truncation), on_progress)
    output = request.generator.card.output
    suffix = _suffix(out)
    archive = next((known for known in archive_formats(output) if known == suffix), None)
    if not isinstance(output, ImageOutput):
        writer.write_samples(suffix, archive)
        return
    if suffix in SHEET_FORMATS:
        writer.write_sheet(suffix)
        return
    require_scale(output, request.scale)
    if request.columns is not None:
        raise UserError(
            "only a contact sheet has columns: end --out in .png or .webp", field="columns", reason="not_applicable"
        )
    if archive:
        writer.write_image_archive(archive)
    elif suffix in _UNSUPPORTED:
        raise _unknown_format(out, ".png, .webp, .zip, .npz, .npy or a directory")
    else:
        writer.write_directory()


def write_walk(
    out: Path,
    generator: Generator,
    start: int,
    end: int,
    frames: int | None = None,
    label: int | None = None,
    truncation: float = 1.0,
    scale: int = 1,
) -> int:
    """Write a latent walk, the same bytes as the service returns.

    Args:
        out: .webp or .gif for an animation, .png for a strip of all frames.
        generator: A generator of images.
        start: Seed of the first frame.
        end: Seed of the last frame.
        frames: Number of frames; None for the default of the service.
        label: Class number of all frames; None for the label that `start` determines.
        truncation: Factor on z, 0.001 to 1.
        scale: Factor of the enlargement of each frame.

    Returns:
        The number of frames.

    Raises:
        UserError: The values are invalid for the generator or the format.
        OSError: `out` cannot be written.
    """
    with _out_is_format():
        spec = WalkSpec.create(generator, start, end, _suffix(out), frames, label, truncation, scale)
    images = [generator.generate_from(z, labels, spec.truncation) for _, labels, z in spec.pieces(generator) if z is not None]
    with whole_file(out) as file:
        file.write(spec.encode(generator, np.concatenate(images)))
    return spec.count


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the outputs of one request; one method for each kind of file."""

    out: Path
    request: SampleRequest
    truncation: float
    on_progress: OnProgress

    def write_samples(self, suffix: str, archive: ArchiveFormat | None) -> None:
        request, generator = self.request, self.request.generator
        for option, is_default in (("scale", request.scale == 1), ("columns", request.columns is None)):
            if not is_default:
                message = f"generator {generator.name!r} produces samples, not images: omit this option"
                raise UserError(message, field=option, reason="not_applicable")
        if archive:
            self._check_sample_space(archive)
            self._write_archive(archive)
        elif suffix == "png":
            self._write_plot()
        else:
            known = ", ".join(f".{name}" for name in archive_formats(generator.card.output))
            raise _unknown_format(self.out, f"{known}, or .png for a plot")

    def write_sheet(self, suffix: str) -> None:
        request = self.request
        assert not isinstance(request.label, tuple)  # only tables have several
        with _out_is_format():
            spec = SheetSpec.create(
                request.generator, request.seeds, suffix, request.columns, request.label, self.truncation, request.scale
            )
        images = [
            outputs for _, _, outputs in self._generate((seeds, labels) for seeds, labels, _ in spec.pieces(request.generator))
        ]
        with whole_file(self.out) as file:
            file.write(spec.encode(request.generator, np.concatenate(images)))

    def write_image_archive(self, archive: ArchiveFormat) -> None:
        if self.request.scale != 1:
            message = f"a .{archive} file contains the pixels without enlargement: omit this option"
            raise UserError(message, field="scale", reason="not_applicable")
        if archive == "zip":
            self._check_distinct()
            self._check_image_space(_ZIP_ENTRY_BYTES)
        else:
            self._check_image_space(None)
        self._write_archive(archive)

    def write_directory(self) -> None:
        self._check_distinct()
        self._check_image_space(_DISK_BLOCK_BYTES)
        generator = self.request.generator
        for seeds, labels, images in self._generate():
            for i in range(len(images)):
                seed, label = int(seeds[i]), None if labels is None else int(labels[i])
                spec = ImageSpec(seed, label, self.truncation, self.request.scale, "png")
                with whole_file(self.out / entry_name(seed, label)) as file:
                    file.write(spec.encode(generator, images[i : i + 1], None if labels is None else labels[i : i + 1]))

    def _generate(
        self, parts: Iterable[tuple[SeedArray, Labels | None]] | None = None
    ) -> Iterator[tuple[SeedArray, Labels | None, NDArray[Any]]]:
        """Yield seeds, labels and outputs of each batch."""
        generator = self.request.generator
        if parts is None:
            parts = pieces(generator, self.request.seeds, self.request.label)
        for seeds, labels in parts:
            yield seeds, labels, generator.generate(seeds, labels, self.truncation)
            self.on_progress(len(seeds))

    def _first_batch(self) -> tuple[SeedArray, Labels | None, Outputs]:
        return next(self._generate())

    def _write_archive(self, archive: ArchiveFormat) -> None:
        writer = archive_writer(archive, self.request.generator, self.request.seeds.count, self.truncation)
        with whole_file(self.out) as file:
            for seeds, labels, outputs in self._generate():
                file.write(writer.add(seeds, labels, outputs))
            file.writelines(writer.finish())

    def _write_plot(self) -> None:
        generator, seeds, label = self.request.generator, self.request.seeds, self.request.label
        if seeds.count > _MAX_PLOTTED:
            message = f"a plot shows at most {_MAX_PLOTTED} samples, not {seeds.count}"
            raise UserError(message, field="seeds", reason="too_large")
        picture = plot(sample_output(generator), np.concatenate([samples for _, _, samples in self._generate()]))
        text = text_of(generator, str(seeds), None if label is None else choice_text(label), self.truncation)
        with whole_file(self.out) as file:
            file.write(encode(picture, "png", text))

    def _check_distinct(self) -> None:
        with set_error_field("seeds"):
            check_distinct(self.request.seeds, self.request.label)

    def _check_image_space(self, overhead: int | None) -> None:
        """Check the free space by the size of the first images.

        Args:
            overhead: Size in bytes of a PNG file besides its content; None for arrays.
        """
        images = self._first_batch()[2][:_ESTIMATE_IMAGES]
        if overhead is None:
            mean = float(images[0].nbytes)
        else:
            output = require_images(self.request.generator)
            scale = require_scale(output, self.request.scale)
            spec = ImageSpec(0, None, 1.0, scale, "png")
            sizes = [len(spec.encode(self.request.generator, images[i : i + 1], None)) for i in range(len(images))]
            mean = float(np.mean(sizes)) + overhead
        check_free_space(self.out, int(mean * self.request.seeds.count))

    def _check_sample_space(self, archive: ArchiveFormat) -> None:
        seeds, labels, samples = self._first_batch()
        writer = archive_writer(archive, self.request.generator, len(seeds), self.truncation)
        first = writer.add(seeds, labels, samples)
        check_free_space(self.out, len(first) * self.request.seeds.count // len(seeds))


@contextmanager
def _out_is_format() -> Iterator[None]:
    """Replace the field `format` of errors with `out`, whose suffix is the format."""
    try:
        yield
    except SpecError as error:
        if error.field == "format":
            error.field = "out"
        raise


def _suffix(out: Path) -> str:
    return out.suffix.removeprefix(".").lower()


def _unknown_format(out: Path, known: str) -> UserError:
    return UserError(f"the format of {out.name!r} is unknown: use {known}", field="out", reason="unknown_format")
