"""The data set class, common to all sources."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seedmint.models.columns import Column, LabelColumn
from seedmint.models.errors import UserError
from seedmint.training.datasets import draw
from seedmint.training.datasets.scaling import Scaling, scaling_of
from seedmint.training.datasets.series_encoding import SeriesEncoding, fit_series_encoding
from seedmint.training.datasets.table_encoding import TableEncoding, fit_encoding

_BLOCK_BYTES = 1 << 24


class DataError(UserError):
    """Data that do not exist, or have the wrong form."""

    reason = "invalid_data"


@dataclass(frozen=True)
class TableColumns:
    """The types of a table.

    Attributes:
        columns: One for each column of codes.
        labels: The columns of labels; empty without labels.
        notes: Lines for people: how the file was read.
    """

    columns: tuple[Column, ...]
    labels: tuple[LabelColumn, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether a row is one string, without other columns."""
        return not self.labels and [column.type for column in self.columns] == ["string"]


@dataclass(frozen=True)
class SeriesInfo:
    """What is known about series.

    Attributes:
        units: Unit of each channel, None where it is unknown; None if all are unknown.
        step: The time from one step to the next, for people; None if unknown.
        has_lengths: Whether the series have different lengths: the values after the end of a series are NaN.
        is_masked: Whether values within the series can be missing, and are NaN.
        notes: Lines for people: how the files were read.
    """

    units: tuple[str | None, ...] | None
    step: str | None
    has_lengths: bool
    is_masked: bool
    notes: tuple[str, ...] = ()

    @property
    def is_encoded(self) -> bool:
        """Whether the series need an encoding, because they are not all complete and of the same length."""
        return self.has_lengths or self.is_masked


Encoding = TableEncoding | SeriesEncoding
"""An encoding of samples that is more than a scaling."""


@dataclass(frozen=True)
class Dataset:
    """Images or samples, and their labels.

    Attributes:
        name: Name for the card.
        values: Images, uint8[n, channels, height, width] with 1, 3 or 4 channels; or samples in their own units,
            float32[n, columns] or float32[n, length, channels]; or codes, float32[n, codes].
        labels: int64[n], or None.
        classes: Name of each label, or None.
        licence: Licence of the data; None if unknown.
        names: Names of a sample's columns or channels; None for images.
        stored_digest: The digest, if it is known; None computes the digest.
        table: Types of the columns of a table, whose values are codes; None for other data.
        series: What is known about series; None for other data, and for generated series.
        groups: int64[n], parts of the data that are held out together, such as the windows of one long series; None if each
            example can be held out alone.
    """

    name: str
    values: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] | None
    licence: str | None
    names: tuple[str, ...] | None = None
    stored_digest: str | None = None
    table: TableColumns | None = None
    series: SeriesInfo | None = None
    groups: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.names is None:
            self._check_images(self.values)
        else:
            width = len(self.names) if self.table is None else sum(column.width for column in self.table.columns)
            self._check_samples(self.values, width, self.series is not None and self.series.is_encoded)
        if self.labels is None:
            return
        if self.labels.shape != (len(self),) or self.labels.dtype != np.int64 or self.classes is None:
            raise DataError(f"{self.name} needs one label for each of its {len(self)} {self.noun}s", reason="wrong_labels")
        if len(set(self.classes)) < len(self.classes):
            raise DataError(f"two classes of {self.name} have the same name", reason="duplicate_class")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes):
            raise DataError(f"the labels of {self.name} must be 0 to {len(self.classes) - 1}", reason="wrong_labels")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def noun(self) -> str:
        """The word for one example: image or sample."""
        return "image" if self.names is None else "sample"

    @property
    def images(self) -> NDArray[np.uint8]:
        """The images, uint8[n, channels, height, width].

        Raises:
            DataError: The data are samples.
        """
        if self.values.dtype != np.uint8:
            raise DataError(f"images are required, but {self.name} consists of samples", reason="not_images")
        return self.values  # type: ignore[return-value]

    @property
    def samples(self) -> NDArray[np.float32]:
        """The samples, float32[n, columns] or float32[n, length, channels].

        Raises:
            DataError: The data are images.
        """
        if self.values.dtype != np.float32:
            raise DataError(f"samples are required, but {self.name} consists of images", reason="not_samples")
        return self.values  # type: ignore[return-value]

    @cached_property
    def scaling(self) -> Scaling | Encoding | None:
        """The standardization of samples, or the encoding of a table or of series, for training; None for images.

        Raises:
            DataError: A column or channel of samples that are no table is constant.
        """
        if self.names is None:
            return None
        if self.table is not None:
            return fit_encoding(self.samples, self.table.columns)
        encoding, scaling = None, None
        if self.series is not None and self.series.is_encoded:
            classes = len(self.classes or ())
            encoding = fit_series_encoding(self.samples, self.labels, classes, self.series.has_lengths, self.series.is_masked)
            scaling = encoding.scaling
        scaling = scaling_of(self.samples, self.series is not None) if scaling is None else scaling
        if 0.0 in scaling.std:
            column = self.names[scaling.std.index(0.0)]
            raise DataError(f"column {column!r} of {self.name} is constant; leave it out", reason="constant_column")
        return scaling if encoding is None else encoding

    @property
    def encoding(self) -> Encoding | None:
        """The encoding of a table, or of series with different lengths or missing values; None for other data."""
        return self.scaling if isinstance(self.scaling, Encoding) else None

    def marginals(self) -> NDArray[np.float64]:
        """Return the mean example as the networks receive it.

        Returns:
            float64[channels, height, width] in [0, 1] for images; zeros of one sample's shape, or of the shape of an encoded
            row or series, for samples.
        """
        if self.scaling is None:
            means: NDArray[np.float64] = self.images.mean(axis=0) / 255
            return means
        return np.zeros(self.samples.shape[1:] if isinstance(self.scaling, Scaling) else self.scaling.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the shape and the bytes of values and labels, in hexadecimal."""
        if self.stored_digest is not None:
            return self.stored_digest
        return digest_of(self.values.shape, self.labels, _blocks(self.values))

    def class_counts(self) -> tuple[int, ...] | None:
        """Return the number of examples of each class; None without labels."""
        if self.labels is None or self.classes is None:
            return None
        return tuple(np.bincount(self.labels, minlength=len(self.classes)).tolist())

    @cached_property
    def draw_order(self) -> NDArray[np.int64]:
        """The rows in the order of the draw `draw-v1`, int64[n]."""
        return draw.draw_order(self.values, self.labels)

    def left_out_of(self, whole: "Dataset") -> "Dataset | None":
        """Return the examples of a data set that `first` left out of this one; None if there are none.

        Args:
            whole: The data set of whose `first` this one is the result.
        """
        if len(self) == len(whole):
            return None
        own = {row.tobytes() for row in self.values}
        kept = np.array([row.tobytes() not in own for row in whole.values])
        return whole._select(kept, f"{whole.name} without {self.name}") if kept.any() else None

    def take(self, rows: NDArray[np.int64], name: str) -> "Dataset":
        """Return some examples.

        Args:
            rows: int64[n].
            name: Name of the selection.
        """
        return self._select(rows, name)

    def first(self, n: int | None, stored_order: bool = False) -> "Dataset":
        """Return the first n examples of the draw `draw-v1`.

        Args:
            n: Number of examples; None returns the whole data set.
            stored_order: Return the first n examples in their stored order instead.

        Raises:
            DataError: The data set has fewer than n examples.
        """
        if n is None:
            return self
        if n > len(self):
            raise DataError(
                f"{n} exceeds the {len(self)} {self.noun}s of {self.name}", field="data.first", reason="too_few_examples"
            )
        if n == len(self):
            return self
        if stored_order:
            return self._select(slice(0, n), f"{self.name}, first {n}")
        return self._select(self.draw_order[:n], f"{self.name}, {n} by {draw.NAME}")

    def holdout_every_n(self, n: int) -> tuple["Dataset", "Dataset"]:
        """Split off every n-th example in the stored order. Only for examples that are stored in random order.

        Args:
            n: Interval of the held-out examples.

        Returns:
            The training data, and the held-out examples 0, n, 2n, ...
        """
        held_out = np.arange(len(self)) % n == 0
        return self._select(~held_out, f"{self.name}, all but every {n}th {self.noun}"), self._select(
            held_out, f"{self.name}, every {n}th {self.noun}"
        )

    def holdout(self, n: int) -> tuple["Dataset", "Dataset"]:
        """Split off one example in n, the first part of the draw `draw-v1`. It does not depend on the order of the rows.

        With groups, one group in n is held out, by the draw of the first examples of the groups.

        Args:
            n: Number of examples for each held-out example, at most the number of all examples.

        Returns:
            The training data in their stored order, and the held-out data in the order of the draw.

        Raises:
            DataError: All examples would be held out.
        """
        noun = self.noun if self.groups is None else "block"
        held_out = self.draw_order[: max(1, len(self) // n)] if self.groups is None else self._held_out_groups(self.groups, n)
        is_kept = np.ones(len(self), dtype=bool)
        is_kept[held_out] = False
        if not is_kept.any():
            message = f"{self.name} has only one {noun}, and one is held out: nothing is left to learn"
            raise DataError(message, field="data.path", reason="too_few_samples")
        return self._select(is_kept, f"{self.name}, but one {noun} in {n} by {draw.NAME}"), self._select(
            held_out, f"{self.name}, one {noun} in {n} by {draw.NAME}"
        )

    def _held_out_groups(self, groups: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        """Return the examples of one group in n, int64[k], in the order of the draw."""
        numbers, first = np.unique(groups, return_index=True)
        order = draw.draw_order(self.values[first])
        is_held_out = np.isin(groups, numbers[order[: max(1, len(numbers) // n)]])
        return self.draw_order[is_held_out[self.draw_order]]

    def _select(self, rows: NDArray[np.bool_] | NDArray[np.int64] | slice, name: str) -> "Dataset":
        labels = None if self.labels is None else self.labels[rows]
        groups = None if self.groups is None else self.groups[rows]
        values = self.values[rows]
        return Dataset(name, values, labels, self.classes, self.licence, self.names, None, self.table, self.series, groups)

    def _check_images(self, images: NDArray[np.generic]) -> None:
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1] not in (1, 3, 4) or not images.size:
            raise DataError(
                f"the images of {self.name} must be uint8[n, 1, 3 or 4, height, width], not {_describe(images)}",
                reason="wrong_array",
            )

    def _check_samples(self, samples: NDArray[np.generic], width: int, can_miss: bool) -> None:
        if samples.ndim not in (2, 3) or samples.dtype != np.float32 or not samples.size or samples.shape[-1] != width:
            raise DataError(
                f"the samples of {self.name} must be float32[n, {width}] or float32[n, length, {width}], "
                f"not {_describe(samples)}",
                reason="wrong_array",
            )
        is_wrong = np.isinf(samples) if can_miss else ~np.isfinite(samples)
        if is_wrong.any():
            index = np.argwhere(is_wrong)[0].tolist()
            raise DataError(f"the value at {index} of {self.name} is not finite", reason="not_finite")


def digest_of(shape: tuple[int, ...], labels: NDArray[np.int64] | None, blocks: Iterable[bytes]) -> str:
    """Return the SHA-256 of the shape and the bytes of values and labels, in hexadecimal.

    Args:
        shape: Shape of the values.
        labels: int64[n], or None.
        blocks: The bytes of the values, little-endian, in any number of parts.
    """
    digest = hashlib.sha256(repr((shape, labels is not None)).encode())
    for block in blocks:
        digest.update(block)
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def _blocks(values: NDArray[np.generic]) -> Iterator[bytes]:
    """Yield the little-endian bytes of an array in parts, so that memory does not grow with the array."""
    rows = max(1, _BLOCK_BYTES * len(values) // max(1, values.nbytes))
    for start in range(0, len(values), rows):
        part = values[start : start + rows]
        yield part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()


def _describe(array: NDArray[np.generic]) -> str:
    return f"{array.dtype}{list(array.shape)}"
