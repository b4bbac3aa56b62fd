"""A source of images: what all kinds of sources have in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedmint.training.datasets.packed.files import Files

MAX_EXAMPLES = 5
"""Number of names that a note lists."""


@dataclass(frozen=True)
class Record:
    """One image of a source, not decoded.

    Attributes:
        name: Name of the image in the source.
        label: Name of the class, or its number among the classes of the source; None without labels.
        content: Returns the bytes of an image file, or the pixels, uint8[height, width, channels].
    """

    name: str
    label: int | str | None
    content: Callable[[], bytes | NDArray[np.uint8]]


@dataclass(frozen=True)
class Note:
    """Something that is skipped or converted, or that the user may not expect.

    Attributes:
        reason: A stable code, in snake_case.
        text: One line for people.
        count: Number of images or files.
        examples: Some of their names.
    """

    reason: str
    text: str
    count: int
    examples: tuple[str, ...] = ()


def note(reason: str, text: str, names: list[str]) -> tuple[Note, ...]:
    """Return a note about files; an empty tuple if there are none.

    Args:
        reason: See `Note`.
        text: See `Note`.
        names: Names of all files that the note is about.
    """
    return (Note(reason, text, len(names), tuple(names[:MAX_EXAMPLES])),) if names else ()


@dataclass(frozen=True)
class Source:
    """A listed source. Its images are not read yet.

    Attributes:
        files: The files of the source.
        count: Number of images; None if only reading tells.
        classes: Names of the classes, if the source lists them; otherwise the labels of the images are the classes.
        notes: What is skipped.
        records: Yields the images in a fixed order.
    """

    files: Files
    count: int | None
    classes: tuple[str, ...] | None
    notes: tuple[Note, ...]
    records: Callable[[], Iterator[Record]]
