"""The notes of jobs, locally and in an object store: a list of them reads no more than what has changed."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from seedmint.service.api.jobs.pagination import listing_path, parse_listing
from seedmint.service.batch.storage import object_store
from seedmint.service.batch.storage.local import Folder
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.jobs.runner import Runner
from seedmint.service.jobs.store import Entry, Note, Store, job_id
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from tests.support.batch_jobs import plan_for


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    return Store(str(tmp_path / "jobs") if request.param == "folder" else f"memory://{uuid4().hex}")


@pytest.fixture
def read(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that the store has read."""
    names: list[str] = []
    true = store._root.read

    def noted(name: str) -> bytes:
        names.append(name)
        return true(name)

    monkeypatch.setattr(store._root, "read", noted)
    return names


def ids(jobs: tuple[list[Entry], int]) -> list[str]:
    return [job.id for job in jobs[0]]


def test_only_notes_that_have_changed_are_read(store: Store, read: list[str], rgb: Generator):
    for last in range(9, 14):
        assert store.submit(plan_for(rgb, f"0-{last}"), 100)
    read.clear()
    assert {note.state for note in store.notes().values()} == {"queued"}
    assert len(store.notes()) == 5
    assert len(read) == len(set(read)) <= 5
    changed = ids(store.newest(None, 1))[0]
    read.clear()
    store.cancel(changed)
    store.cancel(changed)
    read.clear()
    assert [job for job, note in store.notes().items() if note.state == "cancelled"] == [changed]
    assert read == [f"notes/{changed}.json"]
    assert [job.state for job in store.newest(None, 100)[0]] == ["cancelled"] + ["queued"] * 4
    assert read == [f"notes/{changed}.json"]


def test_pages_hold_every_job_once_whatever_comes_between(store: Store):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(25):
        when = begin + timedelta(microseconds=number // 5)  # five at once
        note = Note(submitted=when, state="done", model="rgb", digest="0" * 64, format="npy", images=1, shards=1)
        store._write(f"{number:016x}", note)
    found: list[str] = []
    query = "limit=10"
    while query:
        limit, before = parse_listing(query)
        entries, total = store.newest(before, limit)
        found += [entry.id for entry in entries]
        query = listing_path(limit, entries[-1]).partition("?")[2] if entries else ""
        later = Note(submitted=datetime.now(UTC), state="done", model="rgb", digest="0" * 64, format="npy", images=1, shards=1)
        store._write(f"{100 + total:016x}", later)
    assert found == [f"{number:016x}" for number in reversed(range(25))]


def test_a_job_whose_note_or_folder_is_gone(store: Store, rgb: Generator):
    plan = plan_for(rgb)
    assert store.submit(plan, 100)
    (job,) = ids(store.newest(None, 1))
    store.settle(job, size=1)
    assert not store.submit(plan, 100)
    store.look_again(job)
    found = store.find(job)
    assert found is not None
    assert (found.state, found.note.error) == ("failed", "some of its files were removed")
    if isinstance(store._root, Folder):
        shutil.rmtree(store._root.root / job)
    assert not store.submit(plan, 100)  # it is not new
    found = store.find(job)
    assert found is not None
    assert found.state == "queued"


def test_a_file_is_passed_on_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(object_store, "_PIECE", 1000)
    monkeypatch.setattr("seedmint.service.batch.storage.local._PIECE", 1000)
    content = bytes(range(256)) * 10
    output = open_output(f"{store.url}/x")
    output.prepare()
    output.create("plan.json", content)
    pieces = list(output.pieces("plan.json", len(content)))
    assert [len(piece) for piece in pieces] == [1000, 1000, 560]
    assert b"".join(pieces) == content
    with pytest.raises(FileNotFoundError):
        next(output.pieces("other", 1))


def test_a_job_whose_folder_has_vanished_fails_and_can_be_asked_for_again(tmp_path: Path, rgb: Generator, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    url, plan = str(tmp_path / "jobs"), plan_for(rgb, "0-9")
    Store(url).submit(plan, 100)
    shutil.rmtree(tmp_path / "jobs" / job_id(plan))
    restarted = Store(url)
    runner = Runner(restarted, Settings(models=tmp_path, jobs_url=url))
    runner.look()
    runner.close()
    (note,) = restarted.notes().values()
    assert (note.state, note.error) == ("failed", "its folder has vanished: submit it again")
    restarted.submit(plan, 100)
    assert [note.state for note in restarted.notes().values()] == ["queued"]
    assert restarted.plan(job_id(plan)) == plan
