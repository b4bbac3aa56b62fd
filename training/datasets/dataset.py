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
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"{self.name}: two classes have the same name")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(f"{self.name}: labels must be 0 to {len(self.classes) - 1}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and bytes of images and labels."""
        digest = hashlib.sha256(repr((self.images.shape, self.labels is not None)).encode())
        digest.update(self.images.tobytes())
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def first(self, n: int) -> "Dataset":
        """The first n images.

        Raises:
            DataError: there are not so many.
        """
        if n > len(self.images):
            raise DataError(f"data.first: {n} is more than the {len(self.images)} images of {self.name}")
        return self._those(np.arange(len(self.images)) < n, self.name if n == len(self.images) else f"{self.name}, first {n}")

    def parted(self, n: int) -> tuple["Dataset", "Dataset"]:
        """All images but 0, n, 2n and so on; and those."""
        second = np.arange(len(self.images)) % n == 0
        return self._those(~second, f"{self.name}, all but every {n}th image"), self._those(
            second, f"{self.name}, every {n}th image"
        )

    def _those(self, rows: NDArray[np.bool_], name: str) -> "Dataset":
        labels = None if self.labels is None else self.labels[rows]
        return Dataset(name, self.images[rows], labels, self.classes, self.licence)

    @staticmethod
    def _describe(array: NDArray[np.generic]) -> str:
        return f"{array.dtype}{list(array.shape)}"
