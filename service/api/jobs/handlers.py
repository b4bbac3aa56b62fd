"""The handlers of the jobs API: submit, list, show and cancel jobs, and download their files."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from seedmint.service.api.conditional import if_none_match
from seedmint.service.api.etag import is_current
from seedmint.service.api.jobs.file_index import file_index
from seedmint.service.api.jobs.files import find_file, read_in_threads
from seedmint.service.api.jobs.pagination import Cursor, listing_path, parse_file_page, parse_listing, parse_wait
from seedmint.service.api.jobs.requests import JobRequest, create_plan, references
from seedmint.service.api.jobs.schemas import Jobs, document_of, job_path, summary_of
from seedmint.service.api.query import parse_reference
from seedmint.service.api.quota import charge
from seedmint.service.api.ranges import requested_range
from seedmint.service.api.request_body import parse_body, read_body
from seedmint.service.batch.estimate import estimate_size
from seedmint.service.batch.plan import Plan
from seedmint.service.batch.plan_comparison import references as plan_references
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.jobs.errors import (
    JobActiveError,
    StorageFullError,
    StorageTimeoutError,
    StorageUnavailableError,
    storage_errors,
)
from seedmint.service.jobs.job_record import JOB_ID, Job, job_id
from seedmint.service.jobs.runner import JobRunner
from seedmint.service.jobs.store import JobStore
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry.logs import log_job
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, current_prefix

_LOG = logging.getLogger(__name__)
_NO_STORE = {"Cache-Control": "no-store"}
_THREADS = 8  # for each kind of work, so that a slow object store does not delay other work
_MIN_REMOTE_SECONDS = 10.0  # between two updates of jobs in an object store
_POLL_SECONDS = 0.5  # between two looks at a job that a request waits for
_END_SECONDS = 10.0  # for the process of a job that is removed

Result = TypeVar("Result")


class JobHandlers:
    """Handlers of the jobs API, with the runner of the jobs. Belongs to one event loop."""

    def __init__(self, models: ModelRepository, settings: Settings, is_draining: Callable[[], bool]) -> None:
        """
        Args:
            models: The generators that jobs may use.
            settings: The settings of the service; `jobs_url` is set.
            is_draining: Whether the server shuts down, so that no request waits.

        Raises:
            UserError: The kind of URL of `settings.jobs_url` is unknown.
        """
        assert settings.jobs_url is not None
        self._models = models
        self._settings = settings
        self._store = JobStore(settings.jobs_url)
        self._runner = JobRunner(self._store, settings)
        self._store_threads = ThreadPoolExecutor(_THREADS, "seedmint-jobs")
        self._file_threads = ThreadPoolExecutor(_THREADS, "seedmint-files")
        self._runner_thread = ThreadPoolExecutor(1, "seedmint-runner")
        self._task: asyncio.Task[None] | None = None
        self._is_draining = is_draining

    def start(self) -> None:
        """Start the background task that runs the jobs."""
        self._task = asyncio.create_task(self._update_forever())

    async def close(self) -> None:
        """Stop the background task and all processes. A server with the same jobs resumes them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._runner.close)
        for threads in (self._store_threads, self._file_threads, self._runner_thread):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _update_forever(self) -> None:
        last_error = ""
        interval = self._settings.watch_seconds
        if not self._store.is_local:
            interval = max(_MIN_REMOTE_SECONDS, interval)
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._runner_thread, self._runner.update)
                last_error = ""
            except Exception as error:  # of any kind: the next update may succeed
                text = self._store.error_text(error)
                if text != last_error:
                    _LOG.error("update of the jobs failed: %s", text)
                last_error = text
            await asyncio.sleep(interval)

    async def jobs(self, request: Request) -> Response:
        """Answer `GET /v1/jobs`.

        Args:
            request: The request.
        """
        prefix = current_prefix()
        limit, before = parse_listing(_query(request))
        return _json(await self._in_thread(lambda: self._page(limit, before, prefix)))

    async def job(self, request: Request) -> Response:
        """Answer `GET /v1/jobs/{job}`.

        Args:
            request: The request.
        """
        wait = parse_wait(_query(request))
        first = job = await self._find(request)
        deadline = time.monotonic() + wait
        is_disconnected = REQUEST_CONTEXT.get().is_disconnected
        while time.monotonic() < deadline and not job.is_finished and _progress_of(job) == _progress_of(first):
            if self._is_draining() or (is_disconnected is not None and is_disconnected()):
                break
            await asyncio.sleep(_POLL_SECONDS)
            job = await self._find(request)
        return _json(document_of(job, current_prefix()))

    async def remove(self, request: Request) -> Response:
        """Answer `DELETE /v1/jobs/{job}`.

        Args:
            request: The request.
        """
        job = (await self._find(request)).id
        await self._in_thread(lambda: self._store.cancel(job))
        deadline = time.monotonic() + _END_SECONDS
        while True:
            try:
                await self._in_thread(lambda: self._store.remove(job))
            except JobActiveError:  # the runner stops its process
                if time.monotonic() >= deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
            else:
                log_job(job, "removed")
                return Response(status_code=204, headers=_NO_STORE)

    async def files(self, request: Request) -> Response:
        """Answer `GET /v1/jobs/{job}/files`.

        Args:
            request: The request.
        """
        limit, after = parse_file_page(_query(request))
        job = await self._find(request)
        output, prefix = self._store.output(job.id), current_prefix()
        return _json(await self._in_thread(lambda: file_index(job.id, output, job.plan, after, limit, prefix)))

    async def cancel(self, request: Request) -> Response:
        """Answer `POST /v1/jobs/{job}/cancel`.

        Args:
            request: The request.
        """
        job = (await self._find(request)).id
        await self._in_thread(lambda: self._store.cancel(job))
        return _json(document_of(await self._find(request), current_prefix()))

    async def file(self, request: Request) -> Response:
        """Answer `GET /v1/jobs/{job}/files/{name}`.

        Args:
            request: The request.
        """
        job, name = await self._find(request), request.path_params["name"]
        output = self._store.output(job.id)
        try:
            file = await self._in_thread(lambda: find_file(output, job.plan, name))
            headers = {
                "ETag": f'"{file.sha256}"',
                "Cache-Control": f"{'private' if self._settings.needs_keys else 'public'}, no-cache",
                "X-Content-Type-Options": "nosniff",
            }
            if is_current(if_none_match(request), headers["ETag"]):
                return Response(status_code=304, headers=headers | {"Accept-Ranges": "bytes"})
            part = requested_range(request.method, request.headers, file.size, headers["ETag"])
            headers |= part.headers
            headers["Content-Disposition"] = f'attachment; filename="{job.id}-{PurePosixPath(name).name}"'
            if request.method == "HEAD":
                return Response(None, 200, headers, file.media_type)
            if file.content is not None:
                return Response(file.content[part.start : part.stop], part.status, headers, file.media_type)
            chunks = output.stream(name, part.start, part.stop)
            first = await self._in_thread(lambda: next(chunks, b""))
        except FileNotFoundError:
            raise Problem(404, "the job has no such file, or not yet: see its manifest_url and files_url", "name") from None
        return StreamingResponse(read_in_threads(first, chunks, self._file_threads), part.status, headers, file.media_type)

    async def submit(self, request: Request) -> Response:
        """Answer `POST /v1/jobs`.

        Args:
            request: The request.
        """
        body = await read_body(request, self._settings)
        job_request = await asyncio.to_thread(parse_body, JobRequest, body)
        generators = [self._models.find(*parse_reference(name)).generator for name in references(job_request)]
        plan = await asyncio.to_thread(create_plan, job_request, generators, self._settings.max_job_images)
        job = job_id(plan)
        await self._in_thread(lambda: self._store.recheck(job))
        existing = await self._in_thread(lambda: self._store.find(job))
        is_new = False
        if existing is None or existing.record.state in ("failed", "cancelled"):
            missing = plan.count - (0 if existing is None else existing.images_done)
            await self._in_thread(lambda: self._check_capacity(generators, plan, missing))
            with charge(missing):
                is_new = await self._in_thread(lambda: self._store.submit(plan, self._settings.max_queued_jobs))
            log_job(job, "submitted", images=missing, generator=plan_references(plan))
        found = await self._in_thread(lambda: self._store.find(job))
        prefix = current_prefix()
        if found is None:
            raise Problem(503, "the job was removed", headers={"Retry-After": "1"})
        return _json(document_of(found, prefix), 201 if is_new else 200, {"Location": prefix + job_path(job)})

    def _check_capacity(self, generators: Sequence[Generator], plan: Plan, count: int) -> None:
        """Check the queue and the disk before the client's quota is charged.

        Raises:
            StorageFullError: The disk has too little free space for `count` images.
            QueueFullError: The queue is full.
        """
        self._store.check_queue(self._settings.max_queued_jobs)
        free = self._store.output(job_id(plan)).free()
        if free is not None:
            # one run of each generator is enough for the estimate
            needed = estimate_size(generators, plan, count, plan.batch).disk_bytes
            if needed > free:
                raise StorageFullError(
                    f"the job needs about {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free", field="seeds"
                )

    def _page(self, limit: int, before: Cursor | None, prefix: str) -> Jobs:
        entries, total = self._store.newest(before, limit + 1)
        has_more = len(entries) > limit
        page = entries[:limit]
        next_url = prefix + listing_path(limit, page[-1]) if has_more else None
        return Jobs(jobs=tuple(summary_of(job, prefix) for job in page), total=total, next_url=next_url)

    async def _find(self, request: Request) -> Job:
        """
        Raises:
            Problem: 404, there is no such job.
        """
        id_ = request.path_params["job"]
        job = await self._in_thread(lambda: self._store.find(id_)) if JOB_ID.fullmatch(id_) else None
        if job is None:
            raise Problem(404, "there is no job with this id", "job")
        return job

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        """Call a function that reads a disk or an object store, in a thread.

        Raises:
            JobsError: The storage does not answer, or the queue is full.
            FileNotFoundError: The function raised it.
        """

        def call() -> Result:
            with storage_errors(self._store.url):
                return function()

        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._store_threads, call)
        except TimeoutError:
            seconds = self._settings.timeout_seconds
            raise StorageTimeoutError(f"the storage of the jobs did not answer within {seconds:g} seconds") from None
        except StorageUnavailableError as error:
            _LOG.error("%s", error)
            raise


def _query(request: Request) -> str:
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


def _progress_of(job: Job) -> tuple[str, int]:
    return job.state, job.shards_done


def _json(document: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(document.model_dump_json() + "\n", status, _NO_STORE | (headers or {}), "application/json")
