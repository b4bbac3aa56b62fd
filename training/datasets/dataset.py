"""What every data set is, whatever it was read from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.models.errors import UserError
from seedmint.training.datasets.scaling import Scaling, scaling_of


class DataError(UserError):
    """Data that are not to be found, or not what they should be."""


@dataclass(frozen=True)
class Dataset:
    """Images or samples, and their labels.

    Attributes:
        name: for the card.
        values: images: uint8[n, channels, height, width], 1 or 3 channels; or samples in their own units:
            float32[n, columns] or float32[n, length, channels].
        labels: int64[n], or None.
        classes: name of each label, or None.
        licence: of the data, or None where it is not known.
        names: of a sample's columns or channels; None for images.
    """

    name: str
    values: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    licence: str | None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.names is None:
            self._check_images(self.values)
        else:
            self._check_samples(self.values, self.names)
        if self.labels is None:
            return
        if self.labels.shape != (len(self),) or self.labels.dtype != np.int64 or self.classes is None:
            raise DataError(f"{self.name}: there must be one label for each of {len(self)} {self.noun}s")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"{self.name}: two classes have the same name")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(f"{self.name}: labels must be 0 to {len(self.classes) - 1}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def noun(self) -> str:
        """What one of them is called: image or sample."""
        return "image" if self.names is None else "sample"

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8[n, channels, height, width].

        Raises:
            DataError: they are no images.
        """
        if self.values.dtype != np.uint8:
            raise DataError(f"{self.name} holds samples, and this needs images")
        return self.values  # type: ignore[return-value]

    @property
    def samples(self) -> NDArray[np.float32]:
        """float32[n, columns] or float32[n, length, channels].

        Raises:
            DataError: they are images.
        """
        if self.values.dtype != np.float32:
            raise DataError(f"{self.name} holds images, and this needs samples")
        return self.values  # type: ignore[return-value]

    @cached_property
    def scaling(self) -> Scaling | None:
        """How samples are standardised for training; None for images.

        Raises:
            DataError: a column or channel never changes.
        """
        if self.names is None:
            return None
        scaling = scaling_of(self.samples)
        if 0.0 in scaling.std:
            raise DataError(f"{self.name}: {self.names[scaling.std.index(0.0)]!r} holds one value alone: leave it out")
        return scaling

    def marginals(self) -> NDArray[np.float64]:
        """The mean of all, as networks see them: of images float64[channels, height, width] in [0, 1], of samples zeros."""
        return self.images.mean(axis=0) / 255 if self.scaling is None else np.zeros(self.samples.shape[1:])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and bytes of values and labels."""
        digest = hashlib.sha256(repr((self.values.shape, self.labels is not None)).encode())
        digest.update(self.values.astype(self.values.dtype.newbyteorder("<")).tobytes())
        if self.labels is not None:
            digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def first(self, n: int | None) -> "Dataset":
        """The first n, or all where n is None.

        Raises:
            DataError: there are not so many.
        """
        if n is None:
            return self
        if n > len(self):
            raise DataError(f"data.first: {n} is more than the {len(self)} {self.noun}s of {self.name}")
        return self._those(np.arange(len(self)) < n, self.name if n == len(self) else f"{self.name}, first {n}")

    def parted(self, n: int) -> tuple["Dataset", "Dataset"]:
        """All but 0, n, 2n and so on; and those."""
        second = np.arange(len(self)) % n == 0
        return self._those(~second, f"{self.name}, all but every {n}th {self.noun}"), self._those(
            second, f"{self.name}, every {n}th {self.noun}"
        )

    def drawn(self, n: int) -> tuple["Dataset", "Dataset"]:
        """All but about one in n, and those: drawn for each row by a fixed rule, so that no order of the rows can favour some.

        Row i is of the second part where word i of the Philox stream with key 5 is a multiple of n.
        """
        second = np.random.Philox(key=5).random_raw(len(self)) % np.uint64(n) == 0
        return self._those(~second, f"{self.name}, but one {self.noun} in {n}"), self._those(
            second, f"{self.name}, one {self.noun} in {n}"
        )

    def _those(self, rows: NDArray[np.bool_], name: str) -> "Dataset":
        labels = None if self.labels is None else self.labels[rows]
        return Dataset(name, self.values[rows], labels, self.classes, self.licence, self.names)

    def _check_images(self, images: NDArray[np.generic]) -> None:
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in (1, 3) or not images.size:
            raise DataError(f"{self.name}: images must be uint8[n, 1 or 3, height, width], not {self._describe(images)}")

    def _check_samples(self, samples: NDArray[np.generic], names: tuple[str, ...]) -> None:
        if samples.ndim not in (2, 3) or samples.dtype != np.float32 or not samples.size or samples.shape[-1] != len(names):
            raise DataError(
                f"{self.name}: samples must be float32[n, {len(names)}] or float32[n, length, {len(names)}], "
                f"not {self._describe(samples)}"
            )
        if not np.isfinite(samples).all():
            raise DataError(f"{self.name}: {np.argwhere(~np.isfinite(samples))[0].tolist()} is not a finite number")

    @staticmethod
    def _describe(array: NDArray[np.generic]) -> str:
        return f"{array.dtype}{list(array.shape)}"
