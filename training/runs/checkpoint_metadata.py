"""The part of a checkpoint that describes the data and the software."""

import json
from dataclasses import asdict
from typing import Any

from seedmint.models.series import series_lengths
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import SeriesInfo
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.datasets.table_encoding import TableEncoding
from seedmint.training.runs.versions import code_version, library_versions


def checkpoint_metadata(dataset: Dataset) -> dict[str, Any]:
    """Return JSON values: the data set, the version of Seedmint, and the versions of the libraries.

    Args:
        dataset: The training data.
    """
    if isinstance(dataset.encoding, TableEncoding) and dataset.table is not None:
        output: dict[str, Any] = {
            "shape": dataset.samples.shape[1:],
            "names": dataset.names,
            "columns": [column.model_dump(mode="json") for column in dataset.table.columns],
            "labels": [label.model_dump(mode="json") for label in dataset.table.labels],
            "encoding": dataset.encoding.document(),
        }
    elif dataset.scaling is None:
        output = {"shape": [*dataset.images.shape[2:], dataset.images.shape[1]]}
    else:
        output = {"shape": dataset.samples.shape[1:], "names": dataset.names}
        if isinstance(dataset.encoding, SeriesEncoding):
            output["series_encoding"] = dataset.encoding.document()
        else:
            assert isinstance(dataset.scaling, Scaling)
            output["scaling"] = asdict(dataset.scaling)
        if dataset.series is not None:
            output["series"] = _series_output(dataset, dataset.series)
    return {
        "dataset": {
            "name": dataset.name,
            "digest": dataset.digest,
            "examples": len(dataset),
            "licence": dataset.licence,
            "classes": None if dataset.classes is None else list(dataset.classes),
            "class_counts": dataset.class_counts(),
            **json.loads(json.dumps(output)),
        },
        "code_version": code_version(),
        "libraries": library_versions(),
    }


def _series_output(dataset: Dataset, series: SeriesInfo) -> dict[str, Any] | None:
    """Return the section of the card about the series; None if nothing is known."""
    if not (series.units or series.step or series.has_lengths):
        return None
    longest = dataset.samples.shape[1]
    lengths = [min(int(series_lengths(dataset.samples).min()), longest - 1), longest] if series.has_lengths else None
    return {"units": series.units, "step": series.step, "lengths": lengths}


def is_same_data(metadata: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two checkpoints' metadata describe the same data, classes and column names.

    Args:
        metadata: See `checkpoint_metadata`.
        other: The same, of another checkpoint.
    """
    return all(metadata["dataset"].get(key) == other["dataset"].get(key) for key in ("digest", "classes", "names", "columns"))
