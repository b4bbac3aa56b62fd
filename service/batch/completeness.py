"""What is there of a job, by listing it: a shard is done when its record is there, and its data."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seedmint.models.seeds import SEED_LIMIT
from seedmint.service.batch.formats import EXTENSIONS
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import file_name
from seedmint.service.batch.records import FOLDER, NAME, recorded
from seedmint.service.batch.storage.base import Output

_DATA = "data"
_SHARD = re.compile(r"shard-([0-9]{6})\.([a-z]+)", re.ASCII)
_PNG = re.compile(r"(?:[0-9]+/)?(0|[1-9][0-9]{0,18})\.png", re.ASCII)


def done(output: Output, plan: Plan) -> NDArray[np.bool_]:
    """Which shards are there, with record and data: bool[plan.shards]."""
    marked = recorded(output, plan)  # listed first: whoever makes a shard now writes its data first
    if not marked.any():
        return marked
    owners = _owners(plan, _data(output, plan))
    files = np.bincount(owners[owners >= 0], minlength=plan.shards)
    whole: NDArray[np.bool_] = files == _files(plan)
    return marked & whole


def strays(output: Output, plan: Plan) -> Iterator[str]:
    """The files among the data and the records that belong to no shard."""
    names = _data(output, plan)
    yield from (f"{_DATA}/{name}" for name, owner in zip(names, _owners(plan, names).tolist(), strict=True) if owner < 0)
    for name in output.names(FOLDER):
        match = NAME.fullmatch(name)
        if match is None or int(match[1]) >= plan.shards:
            yield f"{FOLDER}/{name}"


def _data(output: Output, plan: Plan) -> list[str]:
    """The names of the data: only of the format png are there folders among them."""
    return list(output.find(_DATA) if plan.format == "png" else output.names(_DATA))


def _files(plan: Plan) -> NDArray[np.int64]:
    """How many files the data of each shard are: int64[plan.shards]."""
    files = np.ones(plan.shards, np.int64)
    if plan.format == "png":
        files[:] = plan.shard_size
        files[-1] = plan.size(plan.shards - 1)
    return files


def _owners(plan: Plan, names: list[str]) -> NDArray[np.int64]:
    """The shard that each file of the data belongs to, or -1: int64[n]."""
    if plan.format == "png":
        return _owners_of_pngs(plan, names)
    owners = np.full(len(names), -1, np.int64)
    for i, name in enumerate(names):
        match = _SHARD.fullmatch(name)
        if match and match[2] == EXTENSIONS[plan.format] and int(match[1]) < plan.shards:
            owners[i] = int(match[1])
    return owners


def _owners_of_pngs(plan: Plan, names: list[str]) -> NDArray[np.int64]:
    seeds = np.full(len(names), -1, np.int64)
    for i, name in enumerate(names):
        if (match := _PNG.fullmatch(name)) and (seed := int(match[1])) < SEED_LIMIT:
            seeds[i] = seed
    positions = plan.positions(seeds)
    known = np.flatnonzero(positions >= 0)
    labels = plan.labels_of(positions[known], seeds[known])
    named = [None] * len(known) if labels is None else labels.tolist()
    owners = np.full(len(names), -1, np.int64)
    for i, label in zip(known.tolist(), named, strict=True):
        if file_name(plan, int(seeds[i]), label) == f"{_DATA}/{names[i]}":
            owners[i] = positions[i] // plan.shard_size
    return owners
