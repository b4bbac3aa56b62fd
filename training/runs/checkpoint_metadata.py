"""The part of a checkpoint that describes the data and the software."""

import json
from dataclasses import asdict
from typing import Any

from seedmint.training.datasets import Dataset
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.runs.versions import code_version, library_versions


def checkpoint_metadata(dataset: Dataset) -> dict[str, Any]:
    """Return JSON values: the data set, the version of Seedmint, and the versions of the libraries.

    Args:
        dataset: The training data.
    """
    if dataset.encoding is not None and dataset.table is not None:
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
        assert isinstance(dataset.scaling, Scaling)
        output = {"shape": dataset.samples.shape[1:], "names": dataset.names, "scaling": asdict(dataset.scaling)}
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


def is_same_data(metadata: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two checkpoints' metadata describe the same data, classes and column names.

    Args:
        metadata: See `checkpoint_metadata`.
        other: The same, of another checkpoint.
    """
    return all(metadata["dataset"].get(key) == other["dataset"].get(key) for key in ("digest", "classes", "names", "columns"))
