"""metadata.parquet: file, seed, label and generator of each row, for the formats whose files do not hold them: png and npy.

`datasets` reads this file together with a folder of images. A folder for each label is not enough: a label without images has
no folder, so readers that number the folders would give wrong labels.
"""

import io
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from seedmint.service.batch.formats.features import INT64, STRING
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import file_name
from seedmint.service.batch.records import read_record
from seedmint.service.batch.selection import pieces
from seedmint.service.batch.splits import Part, Split
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
    """Write the index files of a job whose shards are complete. Their content depends only on the plan and the filter's choice.

    Args:
        output: The output of the job.
        plan: Its plan.
    """
    for name, split in row_indices(plan).items():
        from seedmint.service.batch.formats.row_table import write_table

        with output.write(name) as file:
            write_table(file, _features(plan), _rows(plan, split, output))


def row_index_size(plan: Plan) -> int:
    """Return the approximate size in bytes of all index files of a job.

    Args:
        plan: The plan of the job.
    """
    if not row_indices(plan):
        return 0
    from seedmint.service.batch.formats.row_table import write_table

    size = 0
    for part in plan.layout[0].parts:
        file = io.BytesIO()
        group = next(_all_rows(plan, part))
        write_table(file, _features(plan), iter([group]))
        size += file.tell() * plan.num_seeds // len(group["seed"])
    return size


def is_row_index(file: IO[bytes], output: Output, plan: Plan, split: Split) -> bool:
    """Return whether a file holds the index of a split.

    Args:
        file: The file.
        output: The output of the job.
        plan: The plan of the job.
        split: The split.
    """
    from seedmint.service.batch.formats.row_table import is_table

    return is_table(file, _features(plan), _rows(plan, split, output))


def _features(plan: Plan) -> dict[str, Any]:
    return {"file_name": STRING} | ({"row": INT64} if plan.format == "npy" else {}) | plan.keys.features


def _rows(plan: Plan, split: Split, output: Output) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split in groups, in the order of the plan. File names are relative to the index file."""
    if plan.filter is None:
        for part in split.parts:
            yield from _all_rows(plan, part)
        return
    from seedmint.service.batch.formats.row_table import GROUP_ROWS

    pending: dict[str, Any] = {}
    for index in range(split.first_shard, split.last_shard + 1):
        shard, part = plan.shard(index), plan.part_of(index)
        for seeds, labels in pieces(plan, shard, read_record(output, plan, index).mask(shard), shard.count):
            shards = [plan.file_name(index)] * len(seeds)
            columns = _columns(plan, part, seeds, labels, np.arange(len(seeds)), shards)
            pending = {name: _joined(pending.get(name), values) for name, values in columns.items()}
        while len(pending.get("seed", ())) >= GROUP_ROWS:
            yield {name: values[:GROUP_ROWS] for name, values in pending.items()}
            pending = {name: values[GROUP_ROWS:] for name, values in pending.items()}
    if len(pending.get("seed", ())):
        yield pending


def _joined(before: Any, values: Any) -> Any:
    if before is None:
        return values
    return before + values if isinstance(values, list) else np.concatenate([before, values])


def _all_rows(plan: Plan, part: Part) -> Iterator[dict[str, Any]]:
    """Yield the rows of a part without a filter."""
    from seedmint.service.batch.formats.row_table import GROUP_ROWS

    position = part.start
    for seeds in plan.seed_order.between(part.first_seed, part.first_seed + part.count).chunks(GROUP_ROWS):
        labels = plan.labels_at(position, seeds)
        positions = position + np.arange(len(seeds))
        shards = [plan.file_name(index) for index in plan.shards_at(positions).tolist()] if plan.format == "npy" else []
        yield _columns(plan, part, seeds, labels, (positions - part.start) % plan.shard_size, shards)
        position += len(seeds)


def _columns(
    plan: Plan,
    part: Part,
    seeds: NDArray[np.int64],
    labels: NDArray[np.int64] | None,
    rows: NDArray[np.int64],
    shards: list[str],
) -> dict[str, Any]:
    """Return the columns of some rows.

    Args:
        plan: The plan of the job.
        part: The part of the rows.
        seeds: int64[n].
        labels: int64[n]; None for an unconditional generator.
        rows: int64[n], the row of each seed in its file; used for npy.
        shards: The file of each seed; used for npy.
    """
    columns: dict[str, Any] = {"seed": seeds} | ({} if labels is None else {"label": labels})
    origin = plan.origin(part.generator)
    if origin is not None:
        columns["generator"] = [origin] * len(seeds)
    if plan.format == "npy":
        columns["row"], names = rows, shards
    else:
        row_labels, folder = [None] * len(seeds) if labels is None else labels.tolist(), plan.image_folder(part)
        names = [file_name(plan, folder, seed, label) for seed, label in zip(seeds.tolist(), row_labels, strict=True)]
    return columns | {"file_name": [name.removeprefix(f"{part.folder}/") for name in names]}
