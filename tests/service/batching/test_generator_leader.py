"""The leader of the generators with stand-ins for workers: a version is announced only when all workers hold it."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedmint.models.errors import UserError
from seedmint.service.batching.generator_leader import GeneratorLeader
from seedmint.service.batching.place_scanner import Change, PlaceScanner, Scan
from seedmint.service.places.folder_place import FolderPlace
from seedmint.service.places.place import PlaceStatus


class Link:
    """A worker that records its messages. Files are read when they arrive, as a worker reads them."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.contents: dict[int, bytes] = {}

    def send(self, message: dict[str, Any], file: int | None = None) -> None:
        if file is not None:
            self.contents[message["number"]] = os.pread(file, 100, 0)
        self.messages.append(message)

    def take(self) -> list[tuple[Any, ...]]:
        """Return the type and the subject of each message since the last call."""
        taken = [(m["type"], m.get("number", m.get("stem", m.get("complete")))) for m in self.messages]
        self.messages.clear()
        return taken


class Scanner:
    """Gives the scans that a test adds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.scans: list[Scan] = []
        self.retried: list[str] = []

    def take(self) -> list[Scan]:
        scans, self.scans = self.scans, []
        return scans

    def retry(self, stem: str) -> None:
        self.retried.append(stem)

    def close(self) -> None:
        pass

    def found(self, **contents: bytes) -> None:
        """Add a scan that has found new versions of files."""
        changes = []
        for stem, content in contents.items():
            path = self.directory / f"{stem}.onnx"
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            changes.append(Change(stem, os.open(path, os.O_RDONLY), None))
        self.scans.append(Scan(tuple(changes)))


class Cluster:
    """A leader with two workers."""

    def __init__(self, directory: Path) -> None:
        self.scanner = Scanner(directory)
        self.leader = GeneratorLeader(self.scanner)  # type: ignore[arg-type]
        self.one, self.two = Link(), Link()
        self.leader.attach(self.one)
        self.leader.attach(self.two)

    def find(self, **contents: bytes) -> None:
        self.scanner.found(**contents)
        self.leader.poll()

    def loaded(self, link: Link, number: int, digest: str) -> None:
        answer = {"type": "loaded", "digest": digest, "level": logging.INFO, "text": f"loaded {digest}"}
        self.leader.handle(link, {"number": number, **answer})

    def refused(self, link: Link, number: int, reason: str = "not_onnx") -> None:
        self.leader.handle(link, {"number": number, "type": "refused", "reason": reason, "message": "no"})

    def serve_first(self) -> None:
        """Put version 1 of the file `a` into service."""
        self.find(a=b"old")
        for link in (self.one, self.two):
            self.loaded(link, 1, "old")
        for link in (self.one, self.two):
            assert ("serve", 1) in link.take()


@pytest.fixture
def cluster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Cluster]:
    caplog.set_level(logging.INFO)
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.leader.close()
    assert not [entry for entry in Path("/proc/self/fd").iterdir() if entry.resolve().is_relative_to(tmp_path.resolve())]


def test_a_version_is_announced_when_all_workers_hold_it(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.find(a=b"old")
    assert cluster.one.take() == [("load", 1), ("state", False)]
    cluster.loaded(cluster.one, 1, "old")
    assert cluster.one.take() == []
    cluster.loaded(cluster.two, 1, "old")
    assert cluster.one.take() == [("serve", 1), ("state", True)]
    assert cluster.two.take() == [("load", 1), ("state", False), ("serve", 1), ("state", True)]
    assert [record.getMessage() for record in caplog.records] == ["loaded old"]


def test_a_version_that_one_worker_refuses_is_served_by_none(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.serve_first()
    caplog.clear()
    cluster.find(a=b"bad")
    cluster.one.take()
    cluster.loaded(cluster.one, 2, "bad")
    cluster.refused(cluster.two, 2)
    assert cluster.one.take() == [("drop", 2), ("state", True)]
    assert cluster.one.messages == []
    assert len(caplog.records) == 1
    late = Link()
    cluster.leader.attach(late)  # gets the old version, although its file is gone
    assert late.contents == {1: b"old"}


def test_a_worker_that_answers_too_late_drops_the_version(cluster: Cluster):
    cluster.find(a=b"bad")
    cluster.refused(cluster.one, 1)
    cluster.two.take()
    cluster.loaded(cluster.two, 1, "bad")
    assert cluster.two.take() == [("drop", 1)]


def test_a_dead_worker_does_not_hold_up_the_others(cluster: Cluster):
    cluster.find(a=b"old")
    cluster.loaded(cluster.one, 1, "old")
    cluster.one.take()
    cluster.leader.detach(cluster.two)
    assert ("serve", 1) in cluster.one.take()


def test_a_new_worker_has_everything_before_it_is_complete(cluster: Cluster):
    cluster.serve_first()
    cluster.find(b=b"other")
    late = Link()
    cluster.leader.attach(late)
    assert late.take() == [("load", 1), ("load", 2), ("state", False)]
    for link in (cluster.one, cluster.two):
        cluster.loaded(link, 2, "other")
    assert ("serve", 2) not in cluster.one.take()  # the new worker does not hold it
    cluster.loaded(late, 1, "old")
    assert late.take() == [("serve", 1), ("state", True)]
    cluster.loaded(late, 2, "other")
    assert late.take() == [("serve", 2)]
    assert ("serve", 2) in cluster.one.take()


def test_a_version_that_kills_workers_is_refused(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.find(a=b"deadly", b=b"good")
    cluster.leader.detach(cluster.one)
    caplog.clear()
    cluster.leader.detach(cluster.two)
    assert "worker_died" in caplog.text
    late = Link()
    cluster.leader.attach(late)
    assert late.take() == [("load", 2), ("state", False)]


def test_the_same_bytes_again_are_no_new_version(cluster: Cluster):
    cluster.serve_first()
    cluster.find(a=b"old")
    for link in (cluster.one, cluster.two):
        cluster.loaded(link, 2, "old")
    assert cluster.one.take() == [("load", 2), ("drop", 2)]


def test_a_file_that_was_written_between_two_reads_is_tried_again(cluster: Cluster):
    cluster.find(a=b"half")
    cluster.loaded(cluster.one, 1, "half")
    cluster.loaded(cluster.two, 1, "whole")
    assert cluster.scanner.retried == ["a"]
    assert ("drop", 1) in cluster.one.take()


def test_a_version_that_a_new_worker_cannot_load_is_removed_from_all(cluster: Cluster):
    cluster.serve_first()
    late = Link()
    cluster.leader.attach(late)
    cluster.loaded(late, 1, "overwritten")
    assert ("remove", "a") in cluster.one.take()


def test_a_removed_file_is_removed_from_all_workers(cluster: Cluster):
    cluster.serve_first()
    cluster.scanner.scans.append(Scan(removed=("a",)))
    cluster.leader.poll()
    assert cluster.one.take() == [("remove", "a")]


def test_unreadable_directory_is_logged_once_and_told_to_all(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.serve_first()
    caplog.clear()
    for _ in range(3):
        status = PlaceStatus("/models", PermissionError(13, "Permission denied"), is_known=True, is_tried=True)
        cluster.scanner.scans.append(Scan(statuses=(status,)))
        cluster.leader.poll()
    assert [[place["is_up"] for place in message["places"]] for message in cluster.one.messages] == [[False]]
    assert len(caplog.records) == 1


def state(link: Link) -> dict[str, Any]:
    """Return the last state that a worker has received."""
    return [message for message in link.messages if message["type"] == "state"][-1]


def test_a_file_that_cannot_be_opened_is_an_error_that_is_logged_once(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.serve_first()
    caplog.clear()
    for text in ("a link", "a link", "a pipe"):
        error = UserError(text, reason="outside_directory")
        cluster.scanner.scans.append(Scan((Change("a", None, error), Change("b", None, error))))
        cluster.leader.poll()
    assert len(caplog.records) == 4
    assert sorted(state(cluster.one)["errors"]) == ["a", "b"]
    late = Link()
    cluster.leader.attach(late)
    assert late.contents == {1: b"old"}


def test_an_unreadable_file_is_tried_again_and_logged_once(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    for number in (1, 2, 3):
        cluster.find(a=b"bad")
        cluster.refused(cluster.one, number, "unreadable")
    assert cluster.scanner.retried == ["a"] * 3
    assert len(caplog.records) == 1


def test_a_refused_file_is_logged_for_each_version_and_not_tried_again(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    for number in (1, 2):
        cluster.find(a=b"bad")
        cluster.refused(cluster.one, number)
    assert cluster.scanner.retried == []
    assert len(caplog.records) == 2


def test_a_worker_that_dies_changes_nothing_for_versions_in_service(cluster: Cluster):
    cluster.serve_first()
    cluster.leader.detach(cluster.two)
    assert cluster.one.take() == []


def test_all_workers_know_which_version_is_present(cluster: Cluster):
    cluster.find(**{"a@bbbbbbbbbbbb": b"1"})
    for link in (cluster.one, cluster.two):
        cluster.loaded(link, 1, "b" * 64)
    late = Link()
    cluster.leader.attach(late)
    for link in (cluster.one, cluster.two, late):
        assert [message["stems"] for message in link.messages if message["type"] == "present"] == [{"a": "a@bbbbbbbbbbbb"}]


def test_a_pinned_version_that_is_not_in_service_is_logged_once(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.serve_first()
    caplog.clear()
    for pins in ({"a": "b" * 64}, {"a": "b" * 64}, {}, {"a": "b" * 64}):
        cluster.scanner.scans.append(Scan(pins=pins))
        cluster.leader.poll()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_warnings_of_a_scan_are_logged(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    cluster.serve_first()
    caplog.clear()
    cluster.scanner.scans.append(Scan(warnings=("one", "two")))
    cluster.leader.poll()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_places_without_a_generator_file_are_named_once(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    places = tuple(PlaceStatus(name, is_known=True, is_tried=True) for name in ("/models", "s3://bucket"))
    unread = PlaceStatus("s3://down", is_known=False, is_tried=True)
    for is_complete in (False, True, True):
        cluster.scanner.scans.append(Scan(statuses=(*places, unread), is_complete=is_complete))
        cluster.leader.poll()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert all(place.name in record.getMessage() for place in places)
    assert unread.name not in record.getMessage()


def test_the_scanner_reports_a_file_when_it_stops_changing(tmp_path: Path):
    scanner = PlaceScanner([FolderPlace(tmp_path)], 1.0)
    (tmp_path / "a.onnx").write_bytes(b"1")
    (first,) = scanner.scan().changes  # the first scan reports all files
    assert first.descriptor is not None
    (tmp_path / "a.onnx").write_bytes(b"12")
    assert scanner.scan().changes == ()
    (second,) = scanner.scan().changes
    assert second.descriptor is not None
    assert scanner.scan().changes == ()
    scanner.retry("a")
    (third,) = scanner.scan().changes
    assert third.descriptor is not None
    (tmp_path / "a.onnx").unlink()
    assert scanner.scan().removed == ("a",)
    for change in (first, second, third):
        assert change.descriptor is not None
        os.close(change.descriptor)


def test_the_scanner_refuses_links_out_of_the_directory(tmp_path: Path):
    outside, directory = tmp_path / "outside.onnx", tmp_path / "models"
    outside.write_bytes(b"1")
    directory.mkdir()
    (directory / "a.onnx").symlink_to(outside)
    (change,) = PlaceScanner([FolderPlace(directory)], 1.0).scan().changes
    assert change.descriptor is None
    assert isinstance(change.error, UserError)
    assert change.error.reason == "outside_directory"
