"""metadata.parquet: file, seed and label of each row, for the formats whose files do not hold them: png and npy.

`datasets` reads this file together with a folder of images. A folder for each label is not enough: a label without images has
no folder, so readers that number the folders would give wrong labels.
"""

import io
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from seedmint.service.batch.formats.features import INT64, STRING, key_features
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import file_name
from seedmint.service.batch.splits import Split
from seedmint.service.batch.storage.base import Output

ROW_INDEX = "metadata.parquet"
_INDEXED_FORMATS = ("png", "npy")


def row_indices(plan: Plan) -> dict[str, Split]:
    """Return the names of the index files of a job, each with the split that it describes.

    Args:
        plan: The plan of the job.
    """
    return {f"{split.folder}/{ROW_INDEX}": split for split in plan.layout} if plan.format in _INDEXED_FORMATS else {}


def write_row_indices(output: Output, plan: Plan) -> None:
    """Write the index files of a job. Their content depends only on the plan.

    Args:
        output: The output of the job.
        plan: Its plan.
    """
    for name, split in row_indices(plan).items():
        from seedmint.service.batch.formats.row_table import write_table

        with output.write(name) as file:
            write_table(file, _features(plan), _rows(plan, split))


def row_index_size(plan: Plan) -> int:
    """Return the approximate size in bytes of all index files of a job.

    Args:
        plan: The plan of the job.
    """
    if not row_indices(plan):
        return 0
    from seedmint.service.batch.formats.row_table import write_table

    file = io.BytesIO()
    group = next(_rows(plan, plan.layout[0]))
    write_table(file, _features(plan), iter([group]))
    return file.tell() * plan.count // len(group["seed"])


def is_row_index(file: IO[bytes], plan: Plan, split: Split) -> bool:
    """Return whether a file holds the index of a split.

    Args:
        file: The file.
        plan: The plan of the job.
        split: The split.
    """
    from seedmint.service.batch.formats.row_table import is_table

    return is_table(file, _features(plan), _rows(plan, split))


def _features(plan: Plan) -> dict[str, Any]:
    return {"file_name": STRING} | ({"row": INT64} if plan.format == "npy" else {}) | key_features(plan.card)


def _rows(plan: Plan, split: Split) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split in groups, in the order of the plan. File names are relative to the index file."""
    from seedmint.service.batch.formats.row_table import GROUP_ROWS

    position = split.start
    for seeds in plan.seeds_between(split.start, split.start + split.count).chunks(GROUP_ROWS):
        labels = plan.labels_at(position, seeds)
        columns: dict[str, Any] = {"seed": seeds, "label": labels}
        if plan.format == "npy":
            positions = position + np.arange(len(seeds))
            columns["row"] = (positions - split.start) % plan.shard_size
            names = [plan.file_name(index) for index in plan.shards_at(positions).tolist()]
        else:
            row_labels = [None] * len(seeds) if labels is None else labels.tolist()
            names = [file_name(plan, split.folder, seed, label) for seed, label in zip(seeds.tolist(), row_labels, strict=True)]
        columns["file_name"] = [name.removeprefix(f"{split.folder}/") for name in names]
        yield columns
        position += len(seeds)
