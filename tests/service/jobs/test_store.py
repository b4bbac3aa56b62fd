"""The store of jobs, in a local folder and in an object store."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from seedmint.service.api.jobs.pagination import listing_path, parse_listing
from seedmint.service.batch.storage import resolve
from seedmint.service.jobs.errors import QueueFullError
from seedmint.service.jobs.job_record import JobEntry, JobRecord, job_id
from seedmint.service.jobs.runner import JobRunner
from seedmint.service.jobs.store import JobStore
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from tests.support.batch_jobs import plan_for


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    monkeypatch.setattr(resolve, "_VOLATILE", ())
    return JobStore(str(tmp_path / "jobs") if request.param == "local" else f"memory://{uuid4().hex}")


@pytest.fixture
def files_read(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that the store has read."""
    names: list[str] = []
    root = store._files._root
    original = root.read

    def read(name: str) -> bytes:
        names.append(name)
        return original(name)

    monkeypatch.setattr(root, "read", read)
    return names


def ids(jobs: tuple[list[JobEntry], int]) -> list[str]:
    return [job.id for job in jobs[0]]


def done_record(submitted: datetime) -> JobRecord:
    return JobRecord(submitted=submitted, state="done", model="rgb", digest="0" * 64, format="npy", images=1, shards=1)


def test_a_list_reads_only_records_that_have_changed(store: JobStore, files_read: list[str], rgb: Generator):
    for last in range(9, 14):
        assert store.submit(plan_for(rgb, f"0-{last}"), 100)
    files_read.clear()
    assert {record.state for record in store.records().values()} == {"queued"}
    assert len(store.records()) == 5
    assert len(files_read) == len(set(files_read)) <= 5
    changed = ids(store.newest(None, 1))[0]
    store.cancel(changed)
    store.cancel(changed)
    files_read.clear()
    assert [job for job, record in store.records().items() if record.state == "cancelled"] == [changed]
    assert len(files_read) == 1
    assert changed in files_read[0]
    assert [job.state for job in store.newest(None, 100)[0]] == ["cancelled"] + ["queued"] * 4
    assert len(files_read) == 1


def test_pages_list_every_job_once_while_jobs_are_added(store: JobStore):
    first = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(25):  # five have the same time
        store._files.write(f"{number:016x}", done_record(first + timedelta(microseconds=number // 5)))
    found: list[str] = []
    query = "limit=10"
    while query:
        limit, before = parse_listing(query)
        entries, total = store.newest(before, limit)
        found += [entry.id for entry in entries]
        query = listing_path(limit, entries[-1]).partition("?")[2] if entries else ""
        store._files.write(f"{100 + total:016x}", done_record(datetime.now(UTC)))
    assert found == [f"{number:016x}" for number in reversed(range(25))]


def test_a_finished_job_without_its_files_fails_and_can_be_submitted_again(store: JobStore, rgb: Generator):
    plan = plan_for(rgb)
    assert store.submit(plan, 100)
    (job,) = ids(store.newest(None, 1))
    store.finish(job, size=1)
    assert not store.submit(plan, 100)
    store.recheck(job)
    found = store.find(job)
    assert found is not None
    assert found.state == "failed"
    assert found.record.error
    system, path = fsspec.core.url_to_fs(f"{store.url}/{job}")
    system.rm(path, recursive=True)
    assert not store.submit(plan, 100)  # the job is not new
    found = store.find(job)
    assert found is not None
    assert found.state == "queued"


def test_a_full_queue_is_an_error(store: JobStore, rgb: Generator):
    store.submit(plan_for(rgb, "0-9"), 1)
    with pytest.raises(QueueFullError) as error:
        store.submit(plan_for(rgb, "0-8"), 1)
    assert error.value.reason == "job_queue"


def test_a_queued_job_without_its_folder_fails_and_can_be_submitted_again(
    tmp_path: Path, rgb: Generator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "metrics"))
    url, plan = str(tmp_path / "jobs"), plan_for(rgb, "0-9")
    JobStore(url).submit(plan, 100)
    shutil.rmtree(tmp_path / "jobs" / job_id(plan))
    restarted = JobStore(url)
    runner = JobRunner(restarted, Settings(models=tmp_path, jobs_url=url))
    runner.update()
    runner.close()
    (record,) = restarted.records().values()
    assert record.state == "failed"
    assert record.error
    restarted.submit(plan, 100)
    assert [record.state for record in restarted.records().values()] == ["queued"]
    assert restarted.plan(job_id(plan)) == plan
