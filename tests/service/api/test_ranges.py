"""Range requests: which header gives which bytes."""

import pytest

from seedmint.service.api.ranges import requested_range
from seedmint.service.problems import Problem

SIZE = 1000
TAG = '"abc"'


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-999", (0, 1000)),
        ("bytes=5-", (5, 1000)),
        ("bytes=-5", (995, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=990-99999999", (990, 1000)),
        ("Bytes= 1-2", (1, 3)),
    ],
)
def test_a_range_gives_its_bytes(header: str, expected: tuple[int, int]):
    found = requested_range("GET", {"range": header}, SIZE, TAG)
    assert (found.start, found.stop, found.status) == (*expected, 206)
    assert found.headers["Content-Range"] == f"bytes {expected[0]}-{expected[1] - 1}/{SIZE}"
    assert found.headers["Content-Length"] == str(expected[1] - expected[0])


@pytest.mark.parametrize(
    "header", ["", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=1--2"]
)
def test_another_header_gives_the_whole_content(header: str):
    found = requested_range("GET", {"range": header}, SIZE, TAG)
    assert (found.start, found.stop, found.status) == (0, SIZE, 200)
    assert found.headers == {"Content-Length": "1000", "Accept-Ranges": "bytes"}


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=1000-", SIZE), ("bytes=1000-1001", SIZE), ("bytes=-0", SIZE), ("bytes=0-", 0)]
)
def test_a_range_beyond_the_content_is_an_error(header: str, size: int):
    with pytest.raises(Problem) as raised:
        requested_range("GET", {"range": header}, size, TAG)
    assert (raised.value.status, raised.value.headers["Content-Range"]) == (416, f"bytes */{size}")


@pytest.mark.parametrize(
    ("method", "tag", "condition", "status"),
    [
        ("GET", TAG, TAG, 206),
        ("GET", TAG, '"other"', 200),
        ("GET", TAG, "Sat, 28 Nov 2026 12:00:00 GMT", 200),
        ("GET", f"W/{TAG}", f"W/{TAG}", 200),
        ("HEAD", TAG, TAG, 200),
    ],
)
def test_if_range_compares_strongly(method: str, tag: str, condition: str, status: int):
    assert requested_range(method, {"range": "bytes=0-1", "if-range": condition}, SIZE, tag).status == status
