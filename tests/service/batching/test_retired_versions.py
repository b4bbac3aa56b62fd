"""Retired versions: their pinned URLs are valid for ten seconds, and their metrics for five minutes."""

import pytest

from seedmint.service.batching import retired_versions
from seedmint.service.batching.retired_versions import RetiredVersions

OLD, NEW = ("one", "0" * 64), ("one", "1" * 64)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests set."""
    found = [1000.0]
    monkeypatch.setattr(retired_versions.time, "monotonic", lambda: found[0])
    return found


def test_a_version_is_found_by_name_and_digest_for_ten_seconds(now: list[float]):
    retired = RetiredVersions[str]()
    retired.add(OLD, "old")
    for now[0] in (1000.0, 1009.9):
        retired.end()
        assert retired.find("one", "0" * 12) == "old"
        assert len(retired) == 1
    for name, digest12 in (("two", "0" * 12), ("one", "1" * 12)):
        assert retired.find(name, digest12) is None
    now[0] = 1010.0
    assert retired.find("one", "0" * 12) is None
    assert len(retired) == 1
    retired.end()
    assert len(retired) == 0


def test_a_version_that_is_retired_again_is_found_for_ten_further_seconds(now: list[float]):
    retired = RetiredVersions[str]()
    retired.add(OLD, "first")
    now[0] = 1009.0
    retired.add(OLD, "second")
    now[0] = 1018.0
    retired.end()
    assert retired.find("one", "0" * 12) == "second"


def test_the_metrics_keep_a_version_for_five_minutes(now: list[float]):
    retired = RetiredVersions[str]()
    retired.add(OLD, "old")
    now[0] = 1299.9
    retired.add(NEW, "new")
    assert retired.recent() == [OLD, NEW]
    now[0] = 1300.0
    assert retired.recent() == [NEW]
    retired.add(("two", "2" * 64), "two")
    assert list(retired._recent) == [NEW, ("two", "2" * 64)]  # no version of the past is kept for ever
