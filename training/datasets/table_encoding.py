"""The encoding of a table for the networks, which turns codes into standard normal numbers and one-hot vectors, and back.

Each column has points and a continuous part. Points are codes with a probability of their own: categories, booleans, missing
values, and frequent values such as the zeros of a column that is mostly zero. A column with few different values has only
points. All other codes belong to the continuous part, which is encoded as a standard normal number y by the quantiles of the
data: whatever the distribution of the column, y is normal, and a generated code is never outside the range of the data. A
one-hot vector names the point, or the continuous part; y is 0 at a point.

Decoding rounds y to q, a multiple of 1/4096, and computes with integers only. Segments of q are the codes of the data between
two quantiles: q in [start, start + length) is code first + ((q - start) * 4096 + fine) * width // (length * 4096), where `fine`
are 12 further bits of the noise. So a column can return every code of its range, although q has only 32,768 values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from seedmint.models.columns import NULL, Column

UNITS = 4096
"""Values of q in one unit of y."""

FINE = 4096
"""Number of values of `fine`."""

_LIMIT = 4 * UNITS  # q is -_LIMIT to _LIMIT - 1
_MAX_POINT_VALUES = 24  # a number column with at most so many different values has only points
_MIN_SHARE = 0.05  # of the rows; more frequent values are points
_MAX_SEGMENTS = 256
_JITTER_KEY = 6  # of Philox


@dataclass(frozen=True)
class ColumnEncoding:
    """The encoding of one column.

    Attributes:
        points: Codes with a probability of their own, ascending.
        shares: Share of each point in the data, and last the share of the continuous part, if there is one.
        starts: q at the start of each segment, ascending; empty without a continuous part.
        firsts: The first code of each segment.
        widths: Number of codes of each segment.
    """

    points: tuple[int, ...]
    shares: tuple[float, ...]
    starts: tuple[int, ...] = ()
    firsts: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()

    @property
    def is_continuous(self) -> bool:
        """Whether the column has a continuous part."""
        return bool(self.starts)

    @property
    def slots(self) -> int:
        """Length of the one-hot vector; 0 for a column that is only continuous."""
        return len(self.shares) if self.points else 0

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of values of q of each segment."""
        return tuple(int(length) for length in np.diff([*self.starts, _LIMIT]))

    def standardize(self, codes: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the encoded column, float32[n, is_continuous + slots]. An unknown code is encoded as the nearest known code.

        Args:
            codes: int64[n].
            uniform: float64[n] from 0 to 1: the position of a row among the values of y that have the same code.
        """
        slot = np.full(len(codes), len(self.points))
        if self.points:
            points = np.array(self.points)
            after = np.searchsorted(points, codes).clip(0, len(points) - 1)
            before = np.maximum(after - 1, 0)
            nearest = np.where(np.abs(points[before] - codes) < np.abs(points[after] - codes), before, after)
            is_point = (points[nearest] == codes) | (not self.is_continuous) | (codes == NULL)
            slot = np.where(is_point, nearest, slot)
        parts = []
        if self.is_continuous:
            parts.append(np.where(slot == len(self.points), self._normal(codes, uniform), 0.0)[:, None])
        if self.slots:
            parts.append(slot[:, None] == np.arange(self.slots))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _normal(self, codes: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        starts, firsts, widths, lengths = (np.array(each) for each in (self.starts, self.firsts, self.widths, self.lengths))
        segment = (np.searchsorted(firsts, codes, side="right") - 1).clip(0)
        offset = (codes - firsts[segment]).clip(0, widths[segment] - 1)
        q = starts[segment] + (offset + uniform) / widths[segment] * lengths[segment]
        result: NDArray[np.float64] = q / UNITS
        return result


@dataclass(frozen=True)
class TableEncoding:
    """The encoding of all columns.

    Attributes:
        columns: One for each code of a row.
        is_text: Whether the codes are the characters of one string. Each of them has one slot for each code.
    """

    columns: tuple[ColumnEncoding, ...]
    is_text: bool = False

    @property
    def width(self) -> int:
        """Length of an encoded row: the continuous numbers of all columns, then their one-hot vectors."""
        return self.continuous + self.slots

    @property
    def shape(self) -> tuple[int]:
        """Shape of an encoded row."""
        return (self.width,)

    @property
    def extra_noise(self) -> int:
        """Numbers of noise besides those of the network: one for each slot."""
        return self.slots

    @property
    def continuous(self) -> int:
        """Number of columns with a continuous part."""
        return sum(column.is_continuous for column in self.columns)

    @property
    def slots(self) -> int:
        """Length of all one-hot vectors together; G receives as much further noise."""
        return sum(column.slots for column in self.columns)

    def standardize(self, codes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return encoded rows: float32[n, width].

        Rows with the same code get different numbers y, so that y is normal also for a column of few codes. The positions are
        drawn by a fixed pseudorandom rule.

        Args:
            codes: float32[n, columns].
        """
        rng = np.random.Generator(np.random.Philox(key=_JITTER_KEY))
        continuous, one_hot = [], []
        for i, column in enumerate(self.columns):
            part = column.standardize(codes[:, i].astype(np.int64), rng.random(len(codes)))
            continuous.append(part[:, : int(column.is_continuous)])
            one_hot.append(part[:, int(column.is_continuous) :])
        return np.ascontiguousarray(np.concatenate([*continuous, *one_hot], axis=1))

    def document(self) -> dict[str, Any]:
        """Return the encoding as JSON values."""
        columns = [{name: list(value) for name, value in vars(column).items()} for column in self.columns]
        return {"columns": columns} | ({"is_text": True} if self.is_text else {})

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "TableEncoding":
        """Return the encoding of a document.

        Args:
            document: See `document`.
        """
        return cls(
            tuple(ColumnEncoding(**{name: tuple(value) for name, value in column.items()}) for column in document["columns"]),
            document.get("is_text", False),
        )


def fit_encoding(codes: NDArray[np.float32], columns: tuple[Column, ...]) -> TableEncoding:
    """Return the encoding for the training data of a table.

    Args:
        codes: float32[n, codes], the training data.
        columns: Types of the columns.
    """
    owners = [column for column in columns for _ in range(column.width)]
    encodings = tuple(_fit_column(codes[:, i].astype(np.int64), column) for i, column in enumerate(owners))
    return TableEncoding(encodings, [column.type for column in columns] == ["string"])


def _fit_column(codes: NDArray[np.int64], column: Column) -> ColumnEncoding:
    nulls = [NULL] if column.nullable else []
    values, counts = np.unique(codes[codes != NULL], return_counts=True)
    if column.first is None:  # also categories that occur only in held-out rows
        points = [*nulls, *range(column.count)]
    elif len(values) <= _MAX_POINT_VALUES:
        points = [*nulls, *values.tolist()]
    else:
        points = [*nulls, *values[counts >= _MIN_SHARE * len(codes)].tolist()]
    rest = codes[~np.isin(codes, points)]
    # Half a row for each point, so that a category without a row in the training data has a probability above 0.
    shares = np.array([max(0.5, float((codes == point).sum())) for point in points] + ([len(rest)] if len(rest) else []))
    shares = shares / shares.sum()
    if not len(rest):
        return ColumnEncoding(tuple(points or [0]), tuple(shares.tolist()) or (1.0,))
    firsts, widths, below = _segments(rest)
    starts = np.rint(ndtri(below) * UNITS).clip(-_LIMIT, _LIMIT).astype(np.int64)
    starts[0] = -_LIMIT
    steps = np.arange(len(starts))
    starts = np.maximum.accumulate(starts - steps) + steps  # strictly ascending
    starts = np.minimum(starts, _LIMIT - len(starts) + steps)
    return ColumnEncoding(
        tuple(points), tuple(shares.tolist()), tuple(starts.tolist()), tuple(firsts.tolist()), tuple(widths.tolist())
    )


def _segments(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the first code and the number of codes of each segment, and the share of the rows below it."""
    values = np.unique(codes)
    if len(values) <= _MAX_SEGMENTS:
        firsts, widths = values, np.ones(len(values), np.int64)
    else:
        ranks = np.linspace(0, len(codes) - 1, _MAX_SEGMENTS + 1).astype(np.int64)
        edges = np.unique(np.sort(codes)[ranks])
        firsts, widths = edges[:-1], np.diff(edges)
        widths[-1] += 1  # the greatest value
    below = np.searchsorted(np.sort(codes), firsts) / len(codes)
    return firsts, widths, below
