"""A state machine over the store of jobs: random operations give the states and lists of a simple model."""

import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seedmint.models.seeds import parse_seeds
from seedmint.service.api.jobs.pagination import listing_path, parse_listing
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.planning import CheckedGenerator, JobSpec, make_plan
from seedmint.service.jobs.errors import JobActiveError, QueueFullError
from seedmint.service.jobs.job_record import Job, job_id
from seedmint.service.jobs.progress import JobProgress, write_progress
from seedmint.service.jobs.store import FILES_REMOVED, JobStore
from tests.support import generators

NUM_PLANS = 5
MAX_QUEUED = 3
UNKNOWN_JOB = "f" * 16


@cache
def plan(number: int) -> Plan:
    spec = JobSpec(parse_seeds(f"0-{99 + number}"), format="npy", shard_size=10)
    return make_plan(CheckedGenerator("0" * 64, generators.card("one")), spec)


@dataclass
class Model:
    """The expected state of one job. `images` is its progress while it runs."""

    order: int
    state: str = "queued"
    error: str | None = None
    bytes: int = 0
    images: int | None = None

    @property
    def shown_state(self) -> str:
        return "running" if self.is_running else self.state

    @property
    def is_running(self) -> bool:
        return self.state == "queued" and self.images is not None


class StoreMachine(RuleBasedStateMachine):
    """Submits, starts, finishes, fails and cancels jobs, restarts the store and lists pages."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="seedmint-test-"))
        self.jobs: dict[str, Model] = {}
        self.submissions = 0
        self.store = self.new_store()

    @initialize()
    def prepare(self) -> None:
        self.store.prepare()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def new_store(self) -> JobStore:
        return JobStore(str(self.folder / "jobs"))

    def num_queued(self) -> int:
        return sum(job.shown_state == "queued" for job in self.jobs.values())

    @rule(number=st.integers(0, NUM_PLANS - 1))
    def submit(self, number: int) -> None:
        job = job_id(plan(number))
        expected = self.jobs.get(job)
        if expected is not None and expected.state in ("queued", "done"):
            assert not self.store.submit(plan(number), MAX_QUEUED)
        elif self.num_queued() >= MAX_QUEUED:
            with pytest.raises(QueueFullError):
                self.store.submit(plan(number), MAX_QUEUED)
        else:
            assert self.store.submit(plan(number), MAX_QUEUED) == (expected is None)
            self.submissions += 1
            images = None if expected is None else expected.images
            self.jobs[job] = Model(self.submissions, images=images)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), images=st.integers(0, 100))
    def start_or_progress(self, data: st.DataObject, images: int) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        if self.jobs[job].state == "queued":
            write_progress(self.store.progress_file(job), JobProgress(images=images))
            self.jobs[job].images = images

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def end_process(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.store.progress_file(job).unlink(missing_ok=True)
        self.jobs[job].images = None

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), size=st.integers(0, 10**9))
    def finish(self, data: st.DataObject, size: int) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.store.finish(job, size=size)
        self.jobs[job].state, self.jobs[job].error, self.jobs[job].bytes = "done", None, size

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.store.finish(job, "no space")
        if self.jobs[job].state == "queued":
            self.jobs[job].state, self.jobs[job].error, self.jobs[job].bytes = "failed", "no space", 0

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        assert self.store.cancel(job)
        if self.jobs[job].state == "queued":
            self.jobs[job].state = "cancelled"

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def recheck(self, data: st.DataObject) -> None:
        """No shard exists, so a finished job fails."""
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.store.recheck(job)
        if self.jobs[job].state == "done":
            self.jobs[job].state, self.jobs[job].error = "failed", FILES_REMOVED

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        if self.jobs[job].state == "queued" or self.jobs[job].images is not None:
            with pytest.raises(JobActiveError):
                self.store.remove(job)
        else:
            self.store.remove(job)
            del self.jobs[job]
            assert not (self.folder / "jobs" / job).exists()

    @rule()
    def restart(self) -> None:
        self.store = self.new_store()

    @rule()
    def operations_on_an_unknown_job_do_nothing(self) -> None:
        assert not self.store.cancel(UNKNOWN_JOB)
        self.store.remove(UNKNOWN_JOB)
        self.store.finish(UNKNOWN_JOB)
        self.store.recheck(UNKNOWN_JOB)
        assert self.store.find(UNKNOWN_JOB) is None

    @rule(limit=st.integers(1, NUM_PLANS + 1))
    def list_pages(self, limit: int) -> None:
        found: list[str] = []
        query = f"limit={limit}"
        while query:
            entries, total = self.store.newest(parse_listing(query)[1], limit)
            assert total == len(self.jobs)
            assert all(entry.state == self.jobs[entry.id].shown_state for entry in entries)
            found += [entry.id for entry in entries]
            query = listing_path(limit, entries[-1]).partition("?")[2] if entries else ""
        assert found == sorted(self.jobs, key=lambda job: -self.jobs[job].order)

    @invariant()
    def every_job_is_as_in_the_model(self) -> None:
        assert set(self.store.records()) == set(self.jobs)
        for job, expected in self.jobs.items():
            found = self.store.find(job)
            assert found is not None
            self.check(found, expected)

    def check(self, found: Job, expected: Model) -> None:
        assert (found.state, found.record.error) == (expected.shown_state, expected.error)
        if expected.state == "done":
            assert (found.images_done, found.bytes) == (found.plan.count, expected.bytes)
        else:
            assert found.images_done == (expected.images if expected.is_running else 0)
            assert (found.shards_done, found.bytes) == (0, 0)


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
