"""Metrics for Prometheus, summed over all worker processes. Labels hold templates and names, never what a client writes."""

import contextlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from seedmint.models.runtime.memory import container_memory
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A worker is never forked: without this, each count would ask the system anew which process it is in.
_PID = os.getpid()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _PID)  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REASONS = {408: "slow_body", 413: "too_large", 429: "overloaded", 503: "not_ready", 504: "deadline"}

# registry=None: in multiprocess mode the values live in files, which `exposition` collects.
_REQUESTS = Counter("seedmint_http_requests", "Requests answered.", ["route", "method", "status"], registry=None)
_LATENCY = Histogram(
    "seedmint_http_request_duration_seconds",
    "From a request's first byte to its answer's last.",
    ["route", "method"],
    buckets=_SECONDS,
    registry=None,
)
_REJECTED = Counter("seedmint_http_requests_rejected", "Requests turned away, by reason.", ["reason"], registry=None)
IMAGES = Counter("seedmint_images", "Images sent.", ["model", "format"], registry=None)
SAMPLES = Counter("seedmint_samples", "Samples sent that are not images.", ["model", "format"], registry=None)
_INFERENCE = Histogram(
    "seedmint_inference_duration_seconds", "One run of a generator.", ["model"], buckets=_SECONDS, registry=None
)
_BATCH = Histogram(
    "seedmint_batch_size", "Images or samples in one run of a generator.", ["model"], buckets=_IMAGES, registry=None
)
_QUEUED = Histogram(
    "seedmint_queue_duration_seconds",
    "For each run, how long the image that had waited longest had waited.",
    ["model"],
    buckets=_SECONDS,
    registry=None,
)
_ENCODING = Histogram(
    "seedmint_encoding_duration_seconds",
    "Encoding the single images of one run, or one piece of a bulk answer.",
    ["model"],
    buckets=_SECONDS,
    registry=None,
)
_CANCELLED = Counter(
    "seedmint_cancelled_images",
    "Images never made: their clients left, or the deadline came, while they waited.",
    ["model"],
    registry=None,
)
_WAITING = Gauge(
    "seedmint_queue_size", "Single images waiting for a generator.", ["model"], registry=None, multiprocess_mode="livesum"
)
_BULK = Gauge(
    "seedmint_bulk_requests_in_flight", "Bulk requests under way.", ["model"], registry=None, multiprocess_mode="livesum"
)

_JOBS = Gauge("seedmint_jobs", "Jobs, by state.", ["state"], registry=None, multiprocess_mode="livesum")
_JOB_IMAGES = Counter("seedmint_job_images", "Images or samples made by jobs, in finished shards.", ["model"], registry=None)


class OfGenerator:
    """The metrics of one generator's work, looked up once."""

    def __init__(self, model: str) -> None:
        self.inference = _INFERENCE.labels(model)
        self.batch = _BATCH.labels(model)
        self.queued = _QUEUED.labels(model)
        self.encoding = _ENCODING.labels(model)
        self.cancelled = _CANCELLED.labels(model)


def encoding_time(model: str) -> AbstractContextManager[object]:
    """Observes how long its block takes."""
    return _ENCODING.labels(model).time()


def show_queue(model: str, images: int, bulk_requests: int) -> None:
    """What is waiting in this process now."""
    _WAITING.labels(model).set(images)
    _BULK.labels(model).set(bulk_requests)


def show_jobs(state: str, jobs: int) -> None:
    """How many jobs are in a state now. Told by one worker for all."""
    _JOBS.labels(state).set(jobs)


def count_job_images(model: str, images: int) -> None:
    """Count what a job has made."""
    _JOB_IMAGES.labels(model).inc(images)


def known_method(method: str) -> str:
    """A method of HTTP, or "other"."""
    return method if method in _METHODS else "other"


def observe_request(route: str, method: str, status: int, seconds: float, rejected: str | None = None) -> None:
    """Count one request.

    Args:
        route: a template of the service's own, or "unmatched".
        method: as `known_method` gives it.
        rejected: why it was turned away, where the status alone does not say.
    """
    requests, latency = _of_route(route, method, status)
    requests.inc()
    latency.observe(seconds)
    if rejected is not None or status in _REASONS:
        count_rejected(rejected or _REASONS[status])


def count_rejected(reason: str) -> None:
    """Count one request that was turned away. `reason` is one of the service's own words."""
    _REJECTED.labels(reason).inc()


@cache
def _made(images: bool, model: str, form: str) -> Counter:
    return (IMAGES if images else SAMPLES).labels(model, form)


@cache
def _of_route(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(route, method, str(status)), _LATENCY.labels(route, method)


def count_made(generator: Generator, form: str, count: int) -> None:
    """Count images or samples sent, by the name of their format."""
    _made(generator.reference is None, generator.name, form).inc(count)
    visit = REQUEST_CONTEXT.get(None)
    if visit is not None:
        visit.images += count


def exposition(now: "Now") -> bytes:
    """All metrics as text: the counts of every worker, and what is so now."""
    now.workers = _workers()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(now)
    return generate_latest(registry)


def _workers() -> list[psutil.Process]:
    """The worker processes that live: of those that have written metrics, this one and its siblings.

    What the others had waiting is forgotten; what they counted stays.
    """
    living = []
    for pid in {int(path.stem.rpartition("_")[2]) for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")}:
        try:
            worker = psutil.Process(pid)
            if worker.ppid() == os.getppid() and worker.status() != psutil.STATUS_ZOMBIE:
                living.append(worker)
                continue
        except psutil.NoSuchProcess:
            pass
        with contextlib.suppress(FileNotFoundError):  # another worker does the same
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
    return living


class Now:
    """What is so at this moment, found anew each time, so that what is gone leaves nothing behind.

    Args:
        generators: those that this worker serves.
        refused: the stems of the files it refuses.
        readable: whether it could read the models directory.
    """

    def __init__(self, generators: Iterable[Generator], refused: Iterable[str], readable: bool) -> None:
        self._generators = generators
        self._refused = refused
        self._readable = readable
        self.workers: Iterable[psutil.Process] = ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = ["model", "digest", "provider", "determinism"]
        family = GaugeMetricFamily("seedmint_model_info", "1 for each generator served.", labels=labels)
        for generator in self._generators:
            family.add_metric([generator.name, generator.digest, generator.provider, generator.determinism], 1)
        yield family
        family = GaugeMetricFamily("seedmint_model_load_failed", "1 for each generator file that is refused.", labels=["model"])
        for name in self._refused:
            family.add_metric([name], 1)
        yield family
        yield GaugeMetricFamily("seedmint_models_readable", "Whether the models directory can be read.", self._readable)
        sizes = []
        for worker in self.workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes.append(worker.memory_info().rss)
        yield GaugeMetricFamily("seedmint_workers", "Worker processes.", len(sizes))
        yield GaugeMetricFamily("seedmint_resident_memory_bytes", "Resident memory of all worker processes.", sum(sizes))
        if (memory := container_memory()) is not None:
            yield GaugeMetricFamily("seedmint_memory_limit_bytes", "Memory that this container may use.", memory.limit)
            yield GaugeMetricFamily(
                "seedmint_memory_working_set_bytes",
                "Memory that this container uses, less the cache of files that the kernel can take back.",
                memory.working_set,
            )
