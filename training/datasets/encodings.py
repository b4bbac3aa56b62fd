"""Reads the scaling or the encoding of a data set from the metadata of a checkpoint."""

from typing import Any

from seedmint.training.datasets.dataset import Encoding
from seedmint.training.datasets.scaling import Scaling, scaling_of_values
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.datasets.table_encoding import TableEncoding


def encoding_of_document(dataset: dict[str, Any]) -> Encoding | None:
    """Return the encoding of a table or of series; None for other data.

    Args:
        dataset: The section `dataset` of a checkpoint's metadata.
    """
    if "encoding" in dataset:
        return TableEncoding.of_document(dataset["encoding"])
    return SeriesEncoding.of_document(dataset["series_encoding"]) if "series_encoding" in dataset else None


def scaling_of_document(dataset: dict[str, Any]) -> Scaling | Encoding | None:
    """Return the encoding, or else the scaling of samples; None for images.

    Args:
        dataset: The section `dataset` of a checkpoint's metadata.
    """
    encoding = encoding_of_document(dataset)
    if encoding is not None or "scaling" not in dataset:
        return encoding
    return scaling_of_values(dataset["scaling"])
