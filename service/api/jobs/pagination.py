"""The query of a list of jobs: `?limit=`, and `?before=`, the cursor of the next page."""

import re
from datetime import UTC, datetime

from seedmint.models.seeds import quoted
from seedmint.service.api.parameters import integer, parse_query
from seedmint.service.api.urls import query_string
from seedmint.service.jobs.job_record import ID_DIGITS, JobEntry
from seedmint.service.problems import Problem

MAX_LIMIT = 100
MAX_FILES = 1000  # on a page of the index
MAX_WAIT_SECONDS = 60
BEFORE = rf"[0-9]{{16}}-[0-9a-f]{{{ID_DIGITS}}}"  # submission time in microseconds, and id of the last job of a page
_BEFORE = re.compile(BEFORE, re.ASCII)
_PARAMETERS = ("limit", "before")

Cursor = tuple[datetime, str]


def parse_listing(query: str) -> tuple[int, Cursor | None]:
    """Parse the query of a list of jobs.

    Args:
        query: The query string.

    Returns:
        The largest number of jobs, and the cursor or None for the first page.

    Raises:
        QueryError: The query is malformed.
        Problem: 400 malformed cursor, 422 limit out of range.
    """
    parameters = parse_query(query, _PARAMETERS)
    requested_limit = integer(parameters, "limit")
    limit = MAX_LIMIT if requested_limit is None else requested_limit
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(422, f"{limit} is out of range: 1 to {MAX_LIMIT}", "limit")
    before = parameters.get("before")
    if before is None:
        return limit, None
    if not _BEFORE.fullmatch(before):
        raise Problem(400, f"{quoted(before)} is not a cursor of a next_url", "before")
    microseconds, job = before.split("-")
    seconds, rest = divmod(int(microseconds), 10**6)
    return limit, (datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), job)


def parse_file_page(query: str) -> tuple[int, int]:
    """Parse the query of the index of files.

    Args:
        query: The query string.

    Returns:
        The largest number of files, and the number of the first file.

    Raises:
        QueryError: The query is malformed.
        Problem: 422, the limit is out of range.
    """
    parameters = parse_query(query, ("limit", "after"))
    limit = integer(parameters, "limit")
    if limit is not None and not 1 <= limit <= MAX_FILES:
        raise Problem(422, f"{limit} is out of range: 1 to {MAX_FILES}", "limit")
    return limit or MAX_FILES, integer(parameters, "after") or 0


def parse_wait(query: str) -> int:
    """Parse the query of a job.

    Args:
        query: The query string.

    Returns:
        Seconds to wait for a change.

    Raises:
        QueryError: The query is malformed.
        Problem: 422, the time is out of range.
    """
    wait = integer(parse_query(query, ("wait",)), "wait") or 0
    if wait > MAX_WAIT_SECONDS:
        raise Problem(422, f"{wait} is out of range: 0 to {MAX_WAIT_SECONDS}", "wait")
    return wait


def listing_path(limit: int, last: JobEntry) -> str:
    """Return the URL path of the next page.

    Args:
        limit: Largest number of jobs.
        last: The last job of this page.
    """
    submitted = last.record.submitted
    microseconds = int(submitted.timestamp()) * 10**6 + submitted.microsecond
    return f"/v1/jobs{query_string(limit=limit, before=f'{microseconds:016}-{last.id}')}"
