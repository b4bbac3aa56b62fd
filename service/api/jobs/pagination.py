"""The address of a list of jobs: `?limit=`, and `?before=`, which stands in the address of the next page."""

import re
from datetime import UTC, datetime

from seedmint.models.seeds import quoted
from seedmint.service.api.query import integer, parse_query
from seedmint.service.api.urls import query_string
from seedmint.service.jobs.store import ID_DIGITS, Entry
from seedmint.service.problems import Problem

MAX_LISTED = 100
BEFORE = rf"[0-9]{{16}}-[0-9a-f]{{{ID_DIGITS}}}"  # the microseconds of the last job's time, and its id
_BEFORE = re.compile(BEFORE, re.ASCII)
_PARAMETERS = ("limit", "before")

Cursor = tuple[datetime, str]


def parse_listing(query: str) -> tuple[int, Cursor | None]:
    """The most jobs that are asked for, and what they were submitted before.

    Raises:
        QueryError: malformed.
        Problem: 400 malformed, 422 out of range.
    """
    parameters = parse_query(query, _PARAMETERS)
    limit = integer(parameters, "limit")
    limit = MAX_LISTED if limit is None else limit
    if not 1 <= limit <= MAX_LISTED:
        raise Problem(422, f"limit {limit} is out of range: 1 to {MAX_LISTED}", "limit")
    before = parameters.get("before")
    if before is None:
        return limit, None
    if not _BEFORE.fullmatch(before):
        raise Problem(400, f"before {quoted(before)} is not of a next_url", "before")
    microseconds, job = before.split("-")
    seconds, rest = divmod(int(microseconds), 10**6)
    return limit, (datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), job)


def listing_path(limit: int, last: Entry) -> str:
    """The address of the jobs that are older than one."""
    when = last.note.submitted
    microseconds = int(when.timestamp()) * 10**6 + when.microsecond
    return f"/v1/jobs{query_string(limit=limit, before=f'{microseconds:016}-{last.id}')}"
