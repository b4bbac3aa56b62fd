"""The index of the files of a job: names and sizes, page by page, in the order of the plan."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np

from seedmint.service.api.jobs.schemas import FileEntry, Files, job_path
from seedmint.service.api.urls import query_string
from seedmint.service.batch.data_card import DATA_CARD
from seedmint.service.batch.manifest import MANIFEST
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.png_folder import recorded_files
from seedmint.service.batch.records import read_record, recorded_shards
from seedmint.service.batch.row_index import row_indices
from seedmint.service.batch.storage.base import PLAN_FILE, Output

_READERS = 16  # concurrent requests to an object store


def file_index(job: str, output: Output, plan: Plan, after: int, limit: int, prefix: str = "") -> Files:
    """Return one page of the files that exist.

    Args:
        job: Id of the job.
        output: The output of the job.
        plan: Its plan.
        after: Number of the first file, of those that the finished job has.
        limit: Largest number of files.
        prefix: Path prefix of all URLs.

    Raises:
        UserError: The output is not readable.
        OSError: The same.
    """
    page: list[tuple[int, str]] = []
    for number, name in _planned_files(output, plan, after):
        page.append((number, name))
        if len(page) > limit:
            break

    def size(entry: tuple[int, str]) -> int | None:
        try:
            return output.size(entry[1])
        except FileNotFoundError:
            return None

    with ThreadPoolExecutor(_READERS) as readers:
        sizes = list(readers.map(size, page[:limit]))
    url = f"{prefix}{job_path(job)}/files"
    files = tuple(
        FileEntry(name=name, bytes=found, url=f"{url}/{quote(name)}")
        for (_, name), found in zip(page[:limit], sizes, strict=True)
        if found is not None
    )
    more = page[limit:]
    return Files(files=files, next_url=f"{url}{query_string(limit=limit, after=more[0][0])}" if more else None)


def _planned_files(output: Output, plan: Plan, after: int) -> Iterator[tuple[int, str]]:
    """Yield the number and name of each file, starting at a number: the summaries, then the data of the finished shards."""
    summaries = [PLAN_FILE, MANIFEST, DATA_CARD, *row_indices(plan)]
    yield from list(enumerate(summaries))[after:]
    first = max(0, after - len(summaries))
    recorded = recorded_shards(output, plan)
    if plan.format != "png":
        for index in np.flatnonzero(recorded[first:]).tolist():
            yield len(summaries) + first + index, plan.file_name(first + index)
        return
    starts = np.concatenate([[0], np.cumsum(plan.shard_sizes)])
    for index in np.flatnonzero(recorded & (starts[1:] > first)).tolist():
        for position, name in enumerate(recorded_files(plan, read_record(output, plan, index)), int(starts[index])):
            if position >= first:
                yield len(summaries) + position, name
