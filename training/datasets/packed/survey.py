"""Reads the headers of all images of a source, to find their sizes, channels and classes before any image is decoded."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from seedmint.models.card import MAX_CLASSES
from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.decode import Conversion, Facts, read_facts
from seedmint.training.datasets.packed.ordered import ordered_map
from seedmint.training.datasets.packed.source import Record, Source
from seedmint.training.datasets.progress import OnProgress

_DEPTHS = (8, 10, 12, 14, 16)  # bits of cameras and scanners


@dataclass
class Survey:
    """Sizes, channels and labels of a source, counted from the headers of its images.

    Attributes:
        count: Number of images with a readable header.
        sizes: Number of images of each size (width, height).
        gray: Number of images without color.
        transparent: Number of images with an opacity.
        deep: Number of images of 16 bits.
        highest: Largest value of the images of 16 bits.
        first_of: The first image of each kind, for messages: gray, color, and each size.
        labels: Number of images of each label; the label of unlabeled images is None.
    """

    count: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    gray: int = 0
    transparent: int = 0
    deep: int = 0
    highest: int = 0
    first_of: dict[str | tuple[int, int], str] = field(default_factory=dict)
    labels: Counter[int | str | None] = field(default_factory=Counter)

    @property
    def bits(self) -> int:
        """Number of bits that the images of 16 bits use."""
        return next(depth for depth in _DEPTHS if self.highest < 1 << depth)

    @property
    def natural_channels(self) -> Literal[1, 3]:
        """1 if no image has color, otherwise 3."""
        return 1 if self.gray == self.count else 3

    def add(self, record: Record, facts: Facts) -> None:
        """Count one image.

        Args:
            record: The image.
            facts: Its header.
        """
        self.count += 1
        self.sizes[facts.size] += 1
        self.gray += facts.is_gray
        self.transparent += facts.is_transparent
        self.labels[record.label] += 1
        self.first_of.setdefault(facts.size, record.name)
        self.first_of.setdefault("gray" if facts.is_gray else "color", record.name)
        if facts.highest is not None:
            self.deep += 1
            self.highest = max(self.highest, facts.highest)


def survey_source(source: Source, on_progress: OnProgress, threads: int) -> Survey:
    """Read the headers of all images. Skips images whose header is damaged; decoding reports them.

    Args:
        source: The source.
        on_progress: Called after each image.
        threads: Number of threads.

    Raises:
        DataError: The source is damaged.
    """
    survey = Survey()
    for number, (record, facts) in enumerate(ordered_map(_read, source.records(), threads), 1):
        if facts is not None:
            survey.add(record, facts)
        on_progress("read the headers", number, source.count or number)
    return survey


def _read(record: Record) -> tuple[Record, Facts | None]:
    try:
        return record, read_facts(record.content())
    except ValueError:
        return record, None


def class_names(source: Source, survey: Survey) -> tuple[str, ...] | None:
    """Return the names of the classes, sorted, or None without labels.

    Args:
        source: The source.
        survey: Its headers.

    Raises:
        DataError: Some images have a label and others have none, a label is not one of the classes, or there are too many.
    """
    labels = set(survey.labels)
    if labels <= {None}:
        return None
    if None in labels:
        message = f"{survey.labels[None]} images of {source.files.location} have no label, the others have one"
        raise DataError(message, reason="wrong_labels")
    classes = source.classes or _sorted_names(labels)
    numbers = [label for label in labels if isinstance(label, int) and source.classes is not None]
    unknown = [label for label in labels if isinstance(label, str) and label not in classes]
    if unknown or any(not 0 <= number < len(classes) for number in numbers):
        example = unknown[0] if unknown else next(number for number in numbers if not 0 <= number < len(classes))
        raise DataError(f"{source.files.location} has a label {example!r} that is none of its classes", reason="wrong_labels")
    if len(classes) > MAX_CLASSES:
        message = f"{source.files.location} has {len(classes)} different labels; at most {MAX_CLASSES} are allowed"
        raise DataError(message, reason="too_many_classes")
    return classes


def _sorted_names(labels: set[int | str | None]) -> tuple[str, ...]:
    names = {str(label) for label in labels}
    return tuple(sorted(names, key=int)) if all(name.isdecimal() for name in names) else tuple(sorted(names))


def choose_conversion(survey: Survey, side: int | None, channels: Literal[1, 3, 4] | None) -> Conversion:
    """Return the conversion to one size and one number of channels.

    Args:
        survey: The headers of a source.
        side: The side of the images; None requires that all images have the same size.
        channels: The channels of the images; None requires that all images are gray, or that all have color.

    Raises:
        DataError: Sizes or channels differ and are not given.
    """
    first = survey.first_of
    if channels is None and 0 < survey.gray < survey.count:
        message = f"set 1 or 3: of {first['color']} and {first['gray']}, one is grayscale and one is in color"
        raise DataError(message, field="data.channels", reason="mixed_channels")
    if side is None and len(survey.sizes) > 1:
        (w0, h0), (w, h), *_ = survey.sizes
        message = f"set a side to resize the images: {first[w, h]} is {w}x{h}, but {first[w0, h0]} is {w0}x{h0}"
        raise DataError(message, field="data.side", reason="mixed_sizes")
    return Conversion(side, survey.natural_channels if channels is None else channels, survey.bits)
