"""The addresses of jobs: submitted, listed, looked at, cancelled, their files fetched."""

import asyncio
import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from seedmint.models.errors import UserError
from seedmint.service.api.etag import is_current
from seedmint.service.api.jobs.files import find_file, streamed
from seedmint.service.api.jobs.pagination import Cursor, listing_path, parse_listing
from seedmint.service.api.jobs.requests import JobRequest, plan_of_request
from seedmint.service.api.jobs.schemas import Jobs, job_path, line_of, page_of
from seedmint.service.api.query import parse_reference
from seedmint.service.api.quota import charge
from seedmint.service.api.request_body import max_body_bytes, parse_body, read_body
from seedmint.service.batch.estimate import bytes_of
from seedmint.service.batch.plan import Plan
from seedmint.service.batching.model_repository import ModelRepository
from seedmint.service.jobs.runner import Runner
from seedmint.service.jobs.store import JOB_ID, Job, QueueFullError, Store, job_id
from seedmint.service.problems import Problem
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

_LOG = logging.getLogger("seedmint")
_NO_STORE = {"Cache-Control": "no-store"}
_THREADS = 8  # for each kind of work, so that an object store that does not answer holds up nothing else
_FAR_SECONDS = 10.0  # between two looks at an object store
_QUEUE_SECONDS = "60"
_FULL = (errno.ENOSPC, errno.EDQUOT)

Found = TypeVar("Found")


class JobRoutes:
    """Handlers over one store, and the runner beside them. Lives on one event loop."""

    def __init__(self, library: ModelRepository, settings: Settings) -> None:
        """
        Raises:
            UserError: no such kind of place as `settings.jobs_url` is known.
        """
        assert settings.jobs_url is not None
        self._library = library
        self._settings = settings
        self._store = Store(settings.jobs_url)
        self._runner = Runner(self._store, settings)
        self._threads = ThreadPoolExecutor(_THREADS, "seedmint-jobs")
        self._readers = ThreadPoolExecutor(_THREADS, "seedmint-files")
        self._looker = ThreadPoolExecutor(1, "seedmint-runner")
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        return [
            Route("/v1/jobs", self.jobs, methods=["GET", "POST"], max_body_size=max_body_bytes(self._settings)),
            Route("/v1/jobs/{job}", self.job),
            Route("/v1/jobs/{job}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/jobs/{job}/files/{name:path}", self.file),
        ]

    def start(self) -> None:
        """Begin to look after the jobs."""
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """End what runs here. It goes on when a service starts with the same jobs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._runner.close)
        for threads in (self._threads, self._readers, self._looker):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _watch(self) -> None:
        trouble = ""
        interval = self._settings.watch_seconds if self._store.local else max(_FAR_SECONDS, self._settings.watch_seconds)
        while True:
            try:
                await asyncio.get_running_loop().run_in_executor(self._looker, self._runner.look)
                trouble = ""
            except Exception as error:  # whatever it is, the next look may succeed
                said = self._store.said(error)
                if said != trouble:
                    _LOG.error("jobs cannot be looked after: %s", said)
                trouble = said
            await asyncio.sleep(interval)

    async def jobs(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._submit(request)
        limit, before = parse_listing(request.scope["query_string"].decode("latin-1"))
        return _json(await self._off_loop(lambda: self._listed(limit, before)))

    async def job(self, request: Request) -> Response:
        return _json(page_of(await self._find(request)))

    async def cancel(self, request: Request) -> Response:
        job = (await self._find(request)).id
        await self._off_loop(lambda: self._store.cancel(job))
        return _json(page_of(await self._find(request)))

    async def file(self, request: Request) -> Response:
        job, name = await self._find(request), request.path_params["name"]
        output = self._store.output(job.id)
        try:
            file = await self._off_loop(lambda: find_file(output, job.plan, name))
            headers = {
                "ETag": f'"{file.sha256}"',
                "Cache-Control": f"{'private' if self._settings.needs_keys else 'public'}, no-cache",
                "Accept-Ranges": "none",
                "X-Content-Type-Options": "nosniff",
            }
            if is_current([value for name, value in request.scope["headers"] if name == b"if-none-match"], headers["ETag"]):
                return Response(status_code=304, headers=headers)
            headers |= {
                "Content-Length": str(file.size),
                "Content-Disposition": f'attachment; filename="{job.id}-{PurePosixPath(name).name}"',
            }
            if request.method == "HEAD" or file.content is not None:
                return Response(file.content, 200, headers, file.media_type)
            pieces = output.pieces(name, file.size)
            first = await self._off_loop(lambda: next(pieces, b""))
        except FileNotFoundError:
            raise Problem(
                404, "the job has no such file, or not yet: its manifest_url and files_url say which", "name"
            ) from None
        return StreamingResponse(streamed(first, pieces, self._readers), 200, headers, file.media_type)

    async def _submit(self, request: Request) -> Response:
        body = await read_body(request, self._settings)
        asked = await asyncio.to_thread(parse_body, JobRequest, body)
        generator = self._library.find(*parse_reference(asked.model)).generator
        plan = await asyncio.to_thread(plan_of_request, asked, generator, self._settings.max_job_images)
        job = job_id(plan)
        await self._off_loop(lambda: self._store.look_again(job))
        there = await self._off_loop(lambda: self._store.find(job))
        new = False
        if there is None or there.note.state in ("failed", "cancelled"):
            left = plan.count - (0 if there is None else there.images)
            await self._off_loop(lambda: self._check(generator, plan, left))
            with charge(left):
                new = await self._off_loop(lambda: self._store.submit(plan, self._settings.max_queued_jobs))
            _LOG.info("job %s: %d of %s", job, left, f"{generator.name}@{generator.digest12}")
        found = await self._off_loop(lambda: self._store.find(job))
        if found is None:
            raise Problem(503, "the job has vanished", headers={"Retry-After": "1"})
        return _json(page_of(found), 201 if new else 200, {"Location": job_path(job)})

    def _check(self, generator: Generator, plan: Plan, left: int) -> None:
        """Whether a job of so many images may be begun: before its client is charged.

        Raises:
            Problem: 507, the disk has no room for it.
            QueueFullError: others wait.
        """
        self._store.check_queue(self._settings.max_queued_jobs)
        free = self._store.output(job_id(plan)).free()
        if free is not None:
            tried = plan.model_copy(update={"shard_size": min(plan.shard_size, plan.batch)})  # one run of the generator tells
            needed = bytes_of(generator, tried, left)
            if needed > free:
                raise Problem(507, f"it would take about {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free", "seeds")

    def _listed(self, limit: int, before: Cursor | None) -> Jobs:
        entries, total = self._store.newest(before, limit + 1)
        more = len(entries) > limit
        listed = entries[:limit]
        return Jobs(jobs=tuple(map(line_of, listed)), total=total, next_url=listing_path(limit, listed[-1]) if more else None)

    async def _find(self, request: Request) -> Job:
        """
        Raises:
            Problem: 404, there is no such job.
        """
        asked = request.path_params["job"]
        job = await self._off_loop(lambda: self._store.find(asked)) if JOB_ID.fullmatch(asked) else None
        if job is None:
            raise Problem(404, "there is no job of that id here", "job")
        return job

    async def _off_loop(self, work: Callable[[], Found]) -> Found:
        """Do what waits for a disk or an object store.

        Raises:
            Problem: 429, 503, 504 or 507.
            FileNotFoundError: as `work` does.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise Problem(504, f"the jobs' disk did not answer within {self._settings.timeout_seconds:g} seconds") from None
        except QueueFullError as error:
            REQUEST_CONTEXT.get().rejected = "job_queue"
            raise Problem(429, str(error), headers={"Retry-After": _QUEUE_SECONDS}) from None
        except FileNotFoundError:
            raise
        except (OSError, UserError) as error:
            said = self._store.said(error)
            if isinstance(error, OSError) and error.errno in _FULL:
                raise Problem(507, said) from None
            _LOG.error("jobs: %s", said)
            raise Problem(503, f"the jobs cannot be reached: {said}", headers={"Retry-After": "5"}) from None


def _json(document: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(document.model_dump_json() + "\n", status, _NO_STORE | (headers or {}), "application/json")
