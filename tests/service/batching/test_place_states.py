"""The states of the places: when each was last read, and one line in the log for each change."""

import logging
from typing import Any

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching import place_states
from seedmint.service.batching.place_scanner import Scan
from seedmint.service.batching.place_states import PlaceState, PlaceStates
from seedmint.service.places.place import PlaceStatus

FOLDER, STORE = "/models", "s3://bucket/models"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests set."""
    found = [1000.0]
    monkeypatch.setattr(place_states.time, "monotonic", lambda: found[0])
    return found


def update(states: PlaceStates, name: str = FOLDER, error: Exception | None = None, **fields: Any) -> dict[str, Any]:
    """Let the states take the scan of one place that was tried. Return the state of the place."""
    states.update(Scan(statuses=(PlaceStatus(name, error, **({"is_tried": True} | fields)),)))
    (document,) = states.documents()
    return document


def levels(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Return the level of each line since the last call."""
    found = [record.levelno for record in caplog.records]
    caplog.clear()
    return found


@pytest.mark.parametrize(
    ("is_up", "read_at", "age"),
    [(True, None, 0.0), (False, None, None), (True, 992.5, 7.5), (False, 999.5, 0.5), (True, 1003.0, 0.0)],
)
def test_the_age_is_the_time_since_the_last_success(now: list[float], is_up: bool, read_at: float | None, age: float | None):
    assert PlaceState("place", is_up, True, read_at).age == age


def test_a_folder_has_a_time_only_while_it_cannot_be_read(now: list[float]):
    states = PlaceStates()
    assert update(states) == {"name": FOLDER, "is_up": True, "is_remote": False, "read_at": None}
    assert not states.has_error
    now[0] = 1005.0
    assert update(states, error=OSError(13, "Permission denied")) == {
        "name": FOLDER,
        "is_up": False,
        "is_remote": False,
        "read_at": 1000.0,
    }
    assert states.has_error


def test_a_store_has_the_time_of_its_last_listing(now: list[float]):
    states = PlaceStates()
    assert update(states, STORE, is_tried=False)["read_at"] is None
    found = update(states, STORE, read_at=900.0)
    assert found == {"name": STORE, "is_up": True, "is_remote": True, "read_at": 900.0}
    assert update(states, STORE, ConnectionError("down"))["read_at"] == 900.0


def test_a_place_that_was_not_tried_is_neither_up_nor_an_error(caplog: pytest.LogCaptureFixture, now: list[float]):
    states = PlaceStates()
    assert not update(states, STORE, ConnectionError("of an earlier server"), is_tried=False)["is_up"]
    assert not states.has_error
    assert levels(caplog) == []
    assert update(states, STORE, ConnectionError("down"))["read_at"] is None


def test_a_store_that_fails_in_different_ways_is_logged_once_until_it_is_read_again(caplog: pytest.LogCaptureFixture):
    states = PlaceStates()
    for text in ("no route", "timeout"):
        update(states, STORE, ConnectionError(text))
    assert levels(caplog) == [logging.ERROR]
    for _ in range(2):
        update(states, STORE)
    assert levels(caplog) == [logging.WARNING]
    update(states, STORE, ConnectionError("timeout"))
    assert levels(caplog) == [logging.ERROR]


def test_each_error_of_a_folder_is_logged_once(caplog: pytest.LogCaptureFixture):
    states = PlaceStates()
    update(states)
    assert levels(caplog) == []
    for text in ("Permission denied", "Permission denied", "Permission denied", "Not a directory"):
        update(states, error=UserError(text))
    assert levels(caplog) == [logging.ERROR, logging.ERROR]


def test_each_error_of_a_file_of_aliases_is_logged_once(caplog: pytest.LogCaptureFixture):
    states = PlaceStates()
    for errors in ({FOLDER: "line 1"}, {FOLDER: "line 1"}, {FOLDER: "line 2"}, {}, {FOLDER: "line 2"}):
        states.update(Scan(alias_errors=errors))
    assert levels(caplog) == [logging.ERROR] * 3
