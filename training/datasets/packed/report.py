"""The summary of a source, before anything is trained."""

from dataclasses import asdict, dataclass
from typing import Any

from seedmint.training.datasets.dataset import DataError
from seedmint.training.datasets.packed.source import Note

_MAX_LISTED = 5


@dataclass(frozen=True)
class Broken:
    """An image that cannot be used.

    Attributes:
        name: Its name in the source.
        problem: Why, in one line.
    """

    name: str
    problem: str


class BrokenImagesError(DataError):
    """Images of a source that cannot be used.

    Attributes:
        broken: All of them.
    """

    reason = "unreadable_image"

    def __init__(self, location: str, broken: tuple[Broken, ...]) -> None:
        """
        Args:
            location: The source.
            broken: All images that cannot be used; at least one.
        """
        listed = "; ".join(f"{entry.name}: {entry.problem}" for entry in broken[:_MAX_LISTED])
        others = f"; and {len(broken) - _MAX_LISTED} others (see `seedmint data inspect`)" if len(broken) > _MAX_LISTED else ""
        count = "1 image is" if len(broken) == 1 else f"{len(broken)} images are"
        message = f"{count} not readable; repair or delete the files, or set true to skip them: {listed}{others}"
        super().__init__(f"{location}: {message}", field="data.skip_broken")
        self.broken = broken


@dataclass(frozen=True)
class Report:
    """The summary of a source.

    Attributes:
        kind: Kind of the source.
        count: Number of usable images.
        held_out: Number of these images that training does not use.
        width: Pixels, after the conversion.
        height: Pixels, after the conversion.
        channels: 1, 3 or 4, after the conversion.
        value_range: Smallest and largest value of a pixel.
        sizes: Width, height and number of images of each size in the source, the most frequent first.
        classes: Name and number of images of each class; empty without labels.
        duplicates: Number of images that are equal to another image.
        notes: What is skipped or converted, and why.
        broken: All images that are not readable.
    """

    kind: str
    count: int
    held_out: int
    width: int
    height: int
    channels: int
    value_range: tuple[int, int]
    sizes: tuple[tuple[int, int, int], ...]
    classes: tuple[tuple[str, int], ...]
    duplicates: int
    notes: tuple[Note, ...]
    broken: tuple[Broken, ...]

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "Report":
        """Return the summary from its JSON values.

        Args:
            document: See `document`.
        """
        return cls(
            **{
                **document,
                "value_range": tuple(document["value_range"]),
                "sizes": tuple(tuple(size) for size in document["sizes"]),
                "classes": tuple(tuple(entry) for entry in document["classes"]),
                "notes": tuple(Note(**{**entry, "examples": tuple(entry["examples"])}) for entry in document["notes"]),
                "broken": tuple(Broken(**entry) for entry in document["broken"]),
            }
        )
