"""The encoding of series of different lengths, and of series with missing values, for the networks.

An encoded series has its standardized channels, which are 0 where a value is missing or after the end, and then channels with 1
where a value is known: one for all channels together, or one for each channel of series with missing values.

The length of a generated series is a function of one number of its noise, by the shares of the lengths in the data, of all
series or of the series of a class. So the lengths have the distribution of the data before the first step, and the network
learns the series of each length. Series with missing values get, during the training only, the missing values of a training
series of the same length (AmbientGAN, Bora et al., 2018): so generated series have no missing values.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.series import series_lengths
from seedmint.training.datasets.scaling import Scaling, scaling_of, scaling_of_values

_MAX_COUNTS = 100_000  # lengths times classes; the classes share the distribution of all series if there are more
_MAX_MASK_BYTES = 64 << 20
_MASKS_KEY = 8  # of Philox


@dataclass(frozen=True)
class SeriesEncoding:
    """The encoding of series.

    Attributes:
        scaling: Standardization of the channels.
        length: Length of the longest series, in steps.
        lengths: The different lengths, ascending.
        counts: Number of training series of each length: of all series, and then of each class, if the classes have different
            distributions.
        is_masked: Whether values within the series can be missing.
        masks: Which values of training series are known, bool[k, length, channels], by ascending length; None if no value is
            missing, and for a generator that does not train.
    """

    scaling: Scaling
    length: int
    lengths: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    is_masked: bool
    masks: NDArray[np.bool_] | None = field(default=None, compare=False)

    @property
    def channels(self) -> int:
        """Number of channels of the data."""
        return len(self.scaling.mean)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of an encoded series."""
        return self.length, self.channels + (self.channels if self.is_masked else 1)

    @property
    def has_lengths(self) -> bool:
        """Whether the series have different lengths."""
        return self.lengths != (self.length,)

    @property
    def extra_noise(self) -> int:
        """Numbers of noise besides those of the network: for the length, and for the missing values."""
        return int(self.has_lengths) + int(self.is_masked)

    def standardize(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return encoded series, float32[n, *shape].

        Args:
            samples: float32[n, length, channels], NaN where a value is missing or after the end.
        """
        known = ~np.isnan(samples)
        values = np.where(known, self.scaling.standardize(np.where(known, samples, 0.0).astype(np.float32)), 0.0)
        mask = known if self.is_masked else known.any(axis=2, keepdims=True)
        return np.ascontiguousarray(np.concatenate([values, mask], axis=2), np.float32)

    def document(self) -> dict[str, Any]:
        """Return the encoding as JSON values, without the masks."""
        return {
            "scaling": asdict(self.scaling),
            "length": self.length,
            "lengths": list(self.lengths),
            "counts": [list(row) for row in self.counts],
            "is_masked": self.is_masked,
        }

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> "SeriesEncoding":
        """Return the encoding of a document.

        Args:
            document: See `document`.
        """
        return cls(
            scaling_of_values(document["scaling"]),
            document["length"],
            tuple(document["lengths"]),
            tuple(tuple(row) for row in document["counts"]),
            document["is_masked"],
        )


def fit_series_encoding(
    samples: NDArray[np.float32], labels: NDArray[np.int64] | None, classes: int, has_lengths: bool, is_masked: bool
) -> SeriesEncoding:
    """Return the encoding for training data.

    Args:
        samples: float32[n, length, channels], NaN where a value is missing or after the end.
        labels: int64[n]; None without labels.
        classes: Number of classes; 0 without labels.
        has_lengths: Whether the series have different lengths.
        is_masked: Whether values within the series can be missing.
    """
    n, length, _ = samples.shape
    own = series_lengths(samples) if has_lengths else np.full(n, length)
    lengths, index = np.unique(own, return_inverse=True)
    counts = [np.bincount(index, minlength=len(lengths))]
    if labels is not None and len(lengths) > 1 and len(lengths) * classes <= _MAX_COUNTS:
        by_class = [np.bincount(index[labels == label], minlength=len(lengths)) for label in range(classes)]
        counts += [row if row.any() else counts[0] for row in by_class]
    masks = _masks(samples, own) if is_masked else None
    rows = tuple(tuple(row.tolist()) for row in counts)
    return SeriesEncoding(scaling_of(samples, is_limited=True), length, tuple(lengths.tolist()), rows, is_masked, masks)


def _masks(samples: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which values are known, by ascending length, of at most so many series as memory allows."""
    most = max(1, _MAX_MASK_BYTES // samples[0].size)
    rows = np.arange(len(samples))
    if len(rows) > most:
        rows = np.argsort(np.random.Philox(key=_MASKS_KEY).random_raw(len(rows)), kind="stable")[:most]
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    return np.ascontiguousarray(~np.isnan(samples[rows]))
