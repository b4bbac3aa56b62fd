"""Finds the complete shards of a job by listing its files. A shard is complete when its record and its data exist."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import SEED_LIMIT
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import file_name
from seedmint.service.batch.records import RECORD_NAME, RECORDS_FOLDER, image_counts, recorded_shards, recorded_sizes
from seedmint.service.batch.row_index import row_indices
from seedmint.service.batch.splits import DATA_FOLDER
from seedmint.service.batch.storage.base import Output

_SHARD_NAME = re.compile(r"(?:[a-z0-9_]+/)?shard-([0-9]{6})\.[a-z]+", re.ASCII)
_PNG_NAME = re.compile(r"(?:[a-z0-9._-]+/){0,3}(0|[1-9][0-9]{0,18})\.png", re.ASCII)


def complete_shards(output: Output, plan: Plan) -> NDArray[np.bool_]:
    """Return which shards have both a record and all their data.

    Args:
        output: The output of the job.
        plan: Its plan.

    Returns:
        bool[num_shards].
    """
    recorded = recorded_shards(output, plan)  # list records first: a running job writes data before the record
    if not recorded.any():
        return recorded
    owners = _owners(plan, _data_names(output, plan))
    num_files = np.bincount(owners[owners >= 0], minlength=plan.num_shards)
    has_all_data: NDArray[np.bool_] = num_files == _expected_files(output, plan, recorded)
    return recorded & has_all_data


def damaged_shards(output: Output, plan: Plan, complete: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which complete shards are damaged: the size of the data differs from the record, or the record is not readable.

    Reads the records of the shards, but not the data.

    Args:
        output: The output of the job.
        plan: Its plan.
        complete: bool[num_shards], the result of `complete_shards`.

    Returns:
        bool[num_shards].
    """
    names, sizes = [], []
    for name, size in output.sizes(DATA_FOLDER):
        names.append(name)
        sizes.append(size)
    owners = _owners(plan, names)
    found = np.bincount(owners[owners >= 0], np.array(sizes, np.float64)[owners >= 0], plan.num_shards)
    damaged = np.zeros(plan.num_shards, np.bool_)
    for index, recorded in recorded_sizes(output, plan, np.flatnonzero(complete).tolist()):
        damaged[index] = recorded != found[index]
    return damaged


def missing_shards(output: Output, plan: Plan, part: int = 0, parts: int = 1) -> NDArray[np.int64]:
    """Return the indices of the shards that are not complete, in ascending order.

    Args:
        output: The output of the job.
        plan: Its plan.
        part: Only shards whose index modulo `parts` is `part`.
        parts: Number of parts.

    Returns:
        int64[n].
    """
    indices = np.flatnonzero(~complete_shards(output, plan))
    selected: NDArray[np.int64] = indices[indices % parts == part]
    return selected


def orphans(output: Output, plan: Plan) -> Iterator[str]:
    """Yield the data and record files that belong to no shard.

    Args:
        output: The output of the job.
        plan: Its plan.
    """
    names = _data_names(output, plan)
    for name, owner in zip(names, _owners(plan, names).tolist(), strict=True):
        if owner < 0:
            yield f"{DATA_FOLDER}/{name}"
    for name in output.names(RECORDS_FOLDER):
        match = RECORD_NAME.fullmatch(name)
        if match is None or int(match[1]) >= plan.num_shards:
            yield f"{RECORDS_FOLDER}/{name}"


def _data_names(output: Output, plan: Plan) -> list[str]:
    """Return the names of the data files without the index. Only the format png and splits have subfolders."""
    has_folders = plan.format == "png" or plan.splits is not None
    names = output.walk(DATA_FOLDER) if has_folders else output.names(DATA_FOLDER)
    indices = {name.removeprefix(f"{DATA_FOLDER}/") for name in row_indices(plan)}
    return [name for name in names if name not in indices]


def _expected_files(output: Output, plan: Plan, recorded: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the number of data files of each recorded shard, as int64[num_shards]."""
    if plan.format != "png":
        return np.ones(plan.num_shards, np.int64)
    expected = np.full(plan.num_shards, -1, np.int64)
    expected[recorded] = image_counts(output, plan, np.flatnonzero(recorded))
    return expected


def _owners(plan: Plan, names: list[str]) -> NDArray[np.int64]:
    """Return the index of the shard of each data file, or -1, as int64[n]."""
    if plan.format == "png":
        return _png_owners(plan, names)
    owners = np.full(len(names), -1, np.int64)
    for i, name in enumerate(names):
        match = _SHARD_NAME.fullmatch(name)
        if match and (index := int(match[1])) < plan.num_shards and f"{DATA_FOLDER}/{name}" == plan.file_name(index):
            owners[i] = index
    return owners


def _png_owners(plan: Plan, names: list[str]) -> NDArray[np.int64]:
    seeds, generators = np.full(len(names), -1, np.int64), _png_generators(plan, names)
    for i, name in enumerate(names):
        if (match := _PNG_NAME.fullmatch(name)) and (seed := int(match[1])) < SEED_LIMIT:
            seeds[i] = seed
    seed_positions = plan.seed_order.positions(seeds)
    in_plan = np.flatnonzero((seed_positions >= 0) & (generators >= 0))
    positions = np.empty(len(in_plan), np.int64)
    for generator in np.unique(generators[in_plan]).tolist():
        rows = generators[in_plan] == generator
        positions[rows] = plan.image_positions(seed_positions[in_plan][rows], generator)
    labels = plan.labels_of(positions, seeds[in_plan])
    file_labels = [None] * len(in_plan) if labels is None else labels.tolist()
    owners = np.full(len(names), -1, np.int64)
    shards = plan.shards_at(positions).tolist()
    for i, label, index in zip(in_plan.tolist(), file_labels, shards, strict=True):
        if file_name(plan, plan.file_name(index), int(seeds[i]), label) == f"{DATA_FOLDER}/{names[i]}":
            owners[i] = index
    return owners


def _png_generators(plan: Plan, names: list[str]) -> NDArray[np.int64]:
    """Return the index of the generator of each file by its folder, or -1, as int64[n]."""
    if not plan.others:
        return np.zeros(len(names), np.int64)
    folders = {generator.folder: index for index, generator in enumerate(plan.generators)}
    depth = 0 if plan.splits is None else 1
    found = [folders.get(next(iter(name.split("/")[depth:]), ""), -1) for name in names]
    return np.array(found, np.int64)
