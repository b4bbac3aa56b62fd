"""What every data set is, whatever it was read from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError


class DataError(UserError):
    """Data that are not to be found, or not what they should be."""


@dataclass(frozen=True)
class Dataset:
    """Images and their labels.

    Attributes:
        name: for the card.
        images: uint8[n, channels, height, width], 1 or 3 channels.
        labels: int64[n], or None.
        classes: name of each label, or None.
        licence: of the data, or None where it is not known.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    licence: str | None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or self.images.shape[1] not in (1, 3) or not self.images.size:
            raise DataError(f"{self.name}: images must be uint8[n, 1 or 3, height, width], not {self._describe(self.images)}")
        if self.labels is None:
            return
        if self.labels.shape != (len(self.images),) or self.labels.dtype != np.int64 or self.classes is None:
            raise DataError(f"{self.name}: there must be one label for each of {len(self.images)} images")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(f"{self.name}: labels must be 0 to {len(self.classes) - 1}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and bytes of images and labels."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels is not None)).encode())
        digest.update(np.ascontiguousarray(self.images))
        if self.labels is not None:
            digest.update(self.labels.astype("<i8"))
        return digest.hexdigest()

    def every_fifth(self) -> "Dataset":
        """Images 0, 5, 10 and so on."""
        labels = None if self.labels is None else self.labels[::5]
        return Dataset(f"{self.name} (every fifth)", self.images[::5], labels, self.classes, self.licence)

    @staticmethod
    def _describe(array: NDArray[np.generic]) -> str:
        return f"{array.dtype}{list(array.shape)}"
