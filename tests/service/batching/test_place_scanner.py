"""The scanner of places with places that tests control: what is new, removed, refused and complete."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching import place_scanner
from seedmint.service.batching.place_scanner import PlaceScanner, Scan, reason_and_message
from seedmint.service.places.folder_place import FolderPlace
from seedmint.service.places.place import FoundFile, Listing, PlaceStatus


class Place:
    """A place whose files a test sets. Each content is a version."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.files: dict[str, FoundFile] = {}
        self.errors: dict[str, Exception] = {}
        self.failure: Exception | None = None
        self.open_error: Exception | None = None
        self.is_tried = self.is_known = True
        self.calls: list[str] = []

    def put(self, stem: str, version: int, is_whole: bool = True) -> None:
        path = self.directory / f"{self.name}-{stem}"
        path.write_bytes(b"")
        self.files[stem] = FoundFile(path, (version,), 7.0, is_whole)

    def start(self, on_change: Callable[[], None]) -> None:
        self.calls.append("start")
        on_change()

    def close(self) -> None:
        self.calls.append("close")

    def refresh(self) -> None:
        self.calls.append("refresh")

    def list(self) -> Listing:
        if self.failure is not None:
            raise self.failure
        return Listing(dict(self.files), dict(self.errors))

    def open(self, file: FoundFile) -> int:
        if self.open_error is not None:
            raise self.open_error
        return os.open(file.path, os.O_RDONLY)

    def status(self) -> PlaceStatus:
        return PlaceStatus(self.name, self.failure, None, self.is_known, self.is_tried)


@pytest.fixture
def one(tmp_path: Path) -> Place:
    return Place("one", tmp_path)


@pytest.fixture
def two(tmp_path: Path) -> Place:
    return Place("two", tmp_path)


def scanner_of(*places: Place | FolderPlace) -> PlaceScanner:
    return PlaceScanner(places, 3600)


def changes(scan: Scan) -> list[tuple[str, str | None, float]]:
    """Return the stem, the reason of the refusal and the time of each change."""
    for change in scan.changes:
        if change.descriptor is not None:
            os.close(change.descriptor)
    return [(change.stem, change.error and reason_and_message(change.error)[0], change.modified) for change in scan.changes]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UserError("no\n", reason="odd"), ("odd", "no\\n")),
        (PermissionError(13, "Permission denied", "/secret"), ("unreadable", "Permission denied")),
        (OSError("cut"), ("unreadable", "cut")),
        (ValueError("bad"), ("unexpected", "ValueError: bad")),
    ],
)
def test_errors_have_a_reason_and_one_line(error: Exception, expected: tuple[str, str]):
    assert reason_and_message(error) == expected


def test_new_versions_and_removed_files_are_reported_once(one: Place):
    scanner = scanner_of(one)
    one.put("a", 1)
    one.put("b", 1)
    assert changes(scanner.scan()) == [("a", None, 7.0), ("b", None, 7.0)]
    assert changes(scanner.scan()) == []
    one.put("a", 2)
    former = one.files.pop("b")
    scan = scanner.scan()
    assert (changes(scan), scan.removed) == ([("a", None, 7.0)], ("b",))
    assert scanner.scan().removed == ()
    one.files["b"] = former
    assert changes(scanner.scan()) == [("b", None, 7.0)]  # the same version returns


def test_the_earlier_place_counts(one: Place, two: Place):
    scanner = scanner_of(one, two)
    one.put("a", 1)
    two.put("a", 1)
    assert changes(scanner.scan()) == [("a", None, 7.0)]
    del one.files["a"]
    assert changes(scanner.scan()) == [("a", None, 7.0)]  # from the other place
    assert scanner.scan().removed == ()


def test_a_file_without_a_version_that_can_be_read_is_refused_once(one: Place):
    scanner = scanner_of(one)
    one.errors["a"] = UserError("no", reason="wrong_digest")
    assert changes(scanner.scan()) == [("a", "wrong_digest", 0.0)]
    one.errors["a"] = UserError("no", reason="wrong_digest")
    assert changes(scanner.scan()) == []
    one.errors["a"] = UserError("still no", reason="wrong_digest")
    assert changes(scanner.scan()) == [("a", "wrong_digest", 0.0)]
    one.put("a", 1)
    assert changes(scanner.scan()) == [("a", "wrong_digest", 7.0)]  # the newest version is refused
    one.errors.clear()
    assert changes(scanner.scan()) == [("a", None, 7.0)]


def test_an_unreadable_file_is_tried_at_each_scan_and_a_refused_file_is_not(one: Place):
    scanner = scanner_of(one)
    one.put("a", 1)
    one.open_error = PermissionError(13, "Permission denied")
    for _ in range(2):
        assert changes(scanner.scan()) == [("a", "unreadable", 7.0)]
    one.open_error = UserError("a link", reason="outside_directory")
    assert changes(scanner.scan()) == [("a", "outside_directory", 7.0)]
    assert changes(scanner.scan()) == []
    scanner.retry("a")
    assert changes(scanner.scan()) == [("a", "outside_directory", 7.0)]


def test_a_file_that_may_be_incomplete_waits_except_at_the_first_scan_of_its_place(one: Place, two: Place):
    scanner = scanner_of(one, two)
    two.is_tried = two.is_known = False
    two.failure = OSError("not yet")
    one.put("a", 1, is_whole=False)
    assert changes(scanner.scan()) == [("a", None, 7.0)]
    one.put("b", 1, is_whole=False)
    assert changes(scanner.scan()) == []
    assert changes(scanner.scan()) == [("b", None, 7.0)]
    two.is_tried, two.failure = True, None
    two.put("c", 1, is_whole=False)
    assert changes(scanner.scan()) == [("c", None, 7.0)]  # the first scan of this place


def test_a_place_that_cannot_be_read_keeps_its_files_and_does_not_stop_the_scan(one: Place, two: Place):
    scanner = scanner_of(one, two)
    one.put("a", 1)
    two.put("b", 1)
    changes(scanner.scan())
    one.failure = OSError("down")
    two.put("c", 1)
    scan = scanner.scan()
    assert (changes(scan), scan.removed) == ([("c", None, 7.0)], ())
    assert [status.error is None for status in scan.statuses] == [False, True]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((True, True), (True, True), True),
        ((True, True), (True, False), True),
        ((True, True), (False, True), True),
        ((True, True), (False, False), False),
        ((True, False), (True, False), False),
    ],
)
def test_a_scan_is_complete_when_each_place_was_tried_or_is_known_and_one_is_known(
    one: Place, two: Place, first: tuple[bool, bool], second: tuple[bool, bool], expected: bool
):
    (one.is_tried, one.is_known), (two.is_tried, two.is_known) = first, second
    assert scanner_of(one, two).scan().is_complete is expected


@pytest.mark.parametrize(("seconds", "expected"), [(10.0, False), (10.5, True)])
def test_a_place_that_does_not_answer_is_awaited_for_ten_seconds(
    one: Place, two: Place, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: bool
):
    now = [1000.0]
    monkeypatch.setattr(place_scanner.time, "monotonic", lambda: now[0])
    two.is_tried = two.is_known = False
    scanner = scanner_of(one, two)
    now[0] += seconds
    assert scanner.scan().is_complete is expected


def test_files_of_other_formats_are_named_for_each_folder_that_can_be_read(tmp_path: Path):
    folders = [tmp_path / name for name in ("a", "gone", "b")]
    for folder in folders:
        folder.mkdir()
        (folder / "network.pkl").write_bytes(b"\x80\x04\x95\x10\x00\x00\x00")
    scanner = scanner_of(*map(FolderPlace, folders))
    (folders[1] / "network.pkl").unlink()
    folders[1].rmdir()
    assert len(scanner.scan().warnings) == 2
    assert scanner.scan().warnings == ()


def test_all_places_are_started_refreshed_and_closed(one: Place, two: Place):
    scanner = scanner_of(one, two)
    scanner.start()
    scanner.scan_soon()
    scanner.close()
    scanner._thread.join(60)
    assert not scanner._thread.is_alive()
    assert scanner._thread.daemon
    assert one.calls == two.calls == ["start", "refresh", "close"]


def test_the_thread_scans_again_and_again_also_after_an_error(
    one: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    scanner = scanner_of(one)
    scanned = threading.Semaphore(0)
    scans = [Scan(removed=("first",)), ValueError("odd"), Scan(removed=("second",))]

    def scan() -> Scan:
        found = scans.pop(0) if scans else Scan()
        scanned.release()
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(scanner, "scan", scan)
    monkeypatch.setattr(scanner, "_interval", 0.001)
    scanner.start()
    for _ in range(4):
        assert scanned.acquire(timeout=60)
    scanner.close()
    scanner._thread.join(60)
    assert [scan.removed for scan in scanner.take()][:2] == [("first",), ("second",)]
    assert scanner.take() == []
    assert [record.levelname for record in caplog.records] == ["ERROR"]
