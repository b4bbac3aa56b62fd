"""Prometheus metrics of this process. Labels hold path templates and names, never client input."""

import os
from contextlib import AbstractContextManager
from functools import cache, cached_property

from prometheus_client import Counter, Gauge, Histogram, values

from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry.deferred import BatchHistogram, DeferredCounter, DeferredHistogram, DeferredSum
from seedmint.service.telemetry.request_context import GeneratorId, RequestContext

# Workers never fork, so the process id is constant. By default, prometheus_client calls os.getpid for every increment.
_PID = os.getpid()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _PID)  # type: ignore[no-untyped-call]

_DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # seconds
_BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REJECTION_REASONS = {408: "slow_body", 413: "too_large", 429: "overloaded", 503: "not_ready", 504: "deadline"}

_GENERATOR = ("model", "digest")  # labels; a scrape omits versions that are not served any more

# registry=None: in multiprocess mode, a scrape (`scrape.py`) collects the values from files.
_REQUESTS = Counter("seedmint_http_requests", "HTTP requests.", ["route", "method", "status"], registry=None)
_REQUEST_DURATION = BatchHistogram(
    "seedmint_http_request_duration_seconds",
    "Time from the first byte of a request to the last byte of its response.",
    ["route", "method"],
    buckets=_DURATION_BUCKETS,
    registry=None,
)
_REJECTED = Counter("seedmint_http_requests_rejected", "Rejected HTTP requests, by reason.", ["reason"], registry=None)
_GENERATOR_REQUESTS = Counter(
    "seedmint_generator_requests", "HTTP requests of one generator.", [*_GENERATOR, "status"], registry=None
)
_IMAGES = Counter("seedmint_images", "Images sent.", [*_GENERATOR, "format"], registry=None)
_SAMPLES = Counter("seedmint_samples", "Samples sent that are not images.", [*_GENERATOR, "format"], registry=None)
_INFERENCE_DURATION = Histogram(
    "seedmint_inference_duration_seconds", "Duration of one batch.", _GENERATOR, buckets=_DURATION_BUCKETS, registry=None
)
_BATCH_SIZE = Histogram(
    "seedmint_batch_size", "Images or samples in one batch.", _GENERATOR, buckets=_BATCH_SIZE_BUCKETS, registry=None
)
_QUEUE_DURATION = Histogram(
    "seedmint_queue_duration_seconds",
    "Longest queue time in one batch.",
    _GENERATOR,
    buckets=_DURATION_BUCKETS,
    registry=None,
)
_ENCODING_DURATION = Histogram(
    "seedmint_encoding_duration_seconds",
    "Time to encode the single images of one batch, or one piece of a bulk response.",
    _GENERATOR,
    buckets=_DURATION_BUCKETS,
    registry=None,
)
_CANCELLED = Counter(
    "seedmint_cancelled_images",
    "Images removed from the queue because the client disconnected or the deadline passed.",
    _GENERATOR,
    registry=None,
)
_QUEUE_SIZE = Gauge("seedmint_queue_size", "Single images in the queue.", ["model"], registry=None, multiprocess_mode="livesum")
_BULK_REQUESTS = Gauge(
    "seedmint_bulk_requests_in_flight", "Bulk requests in flight.", ["model"], registry=None, multiprocess_mode="livesum"
)
_RESTARTS = Counter("seedmint_worker_restarts", "Workers that replaced a worker that had exited.", registry=None)
_JOBS = Gauge("seedmint_jobs", "Jobs, by state.", ["state"], registry=None, multiprocess_mode="livesum")
_JOB_IMAGES = Counter("seedmint_job_images", "Images or samples in finished shards of jobs.", ["model"], registry=None)


class GeneratorMetrics:
    """The metrics of one version of a generator.

    Batches and cancelled images are counted from zero, for alerts. Other metrics exist from their first value on: a scrape
    reads the metrics of all generators, and most of hundreds of generators are idle.

    Args:
        generator: Name and digest.

    Attributes:
        batch: Size of each batch.
        cancelled: Number of cancelled images.
    """

    def __init__(self, generator: GeneratorId) -> None:
        self._labels = generator
        self.batch = _BATCH_SIZE.labels(*generator)
        self.cancelled = _CANCELLED.labels(*generator)

    @cached_property
    def inference(self) -> Histogram:
        """Duration of each batch in seconds."""
        return _INFERENCE_DURATION.labels(*self._labels)

    @cached_property
    def queued(self) -> Histogram:
        """Longest queue time in each batch, in seconds."""
        return _QUEUE_DURATION.labels(*self._labels)

    @cached_property
    def encoding(self) -> Histogram:
        """Encoding time of each batch in seconds."""
        return _ENCODING_DURATION.labels(*self._labels)


def time_encoding(generator: GeneratorId) -> AbstractContextManager[object]:
    """Return a context manager that observes the duration of its block as encoding time.

    Args:
        generator: Name and digest.
    """
    return _ENCODING_DURATION.labels(*generator).time()


def add_encoding_time(generator: GeneratorId, seconds: float) -> None:
    """Add up the time to encode single images of one batch. The sum is observed in the next iteration of the event loop.

    Args:
        generator: Name and digest.
        seconds: The duration of the encoding of one image.
    """
    _encoding_time(generator).add(seconds)


def set_queue_size(model: str, images: int, bulk_requests: int) -> None:
    """Set the queue gauges of this process.

    Args:
        model: The name of the generator.
        images: The number of single images in its queue.
        bulk_requests: The number of its bulk requests in flight.
    """
    _QUEUE_SIZE.labels(model).set(images)
    _BULK_REQUESTS.labels(model).set(bulk_requests)


def count_worker_restart() -> None:
    """Count this process as the replacement of a worker that had exited."""
    _RESTARTS.inc()


def set_job_count(state: str, jobs: int) -> None:
    """Set the number of jobs in a state. Only the worker that runs the jobs calls this.

    Args:
        state: The state of the jobs.
        jobs: The number of jobs.
    """
    _JOBS.labels(state).set(jobs)


def count_job_images(model: str, images: int) -> None:
    """Count images or samples of a finished shard.

    Args:
        model: The name of the generator.
        images: The number of images or samples.
    """
    _JOB_IMAGES.labels(model).inc(images)


def known_method(method: str) -> str:
    """Return `method` if it is a standard HTTP method, otherwise "other".

    Args:
        method: The HTTP method of a request.
    """
    return method if method in _METHODS else "other"


def observe_request(
    route: str, method: str, status: int, seconds: float, rejected: str | None = None, generator: GeneratorId | None = None
) -> None:
    """Count one request.

    Args:
        route: A path template of the service, or "unmatched".
        method: The HTTP method, as returned by `known_method`.
        status: The HTTP status.
        seconds: The duration of the request in seconds.
        rejected: The reason for a rejection, if the status alone does not determine it.
        generator: Name and digest of the generator; None if the request has none.
    """
    _request_counter(route, method, status).inc()
    if generator is not None:
        _generator_requests(generator, status).inc()
    _request_duration(route, method).observe(seconds)
    if rejected is not None or status in _REJECTION_REASONS:
        count_rejected(rejected or _REJECTION_REASONS[status])


def count_rejected(reason: str) -> None:
    """Count one rejected request.

    Args:
        reason: A reason code of the service.
    """
    _REJECTED.labels(reason).inc()


@cache
def _encoding_time(generator: GeneratorId) -> DeferredSum:
    return DeferredSum(_ENCODING_DURATION.labels(*generator))


@cache
def _generator_requests(generator: GeneratorId, status: int) -> DeferredCounter:
    return DeferredCounter(_GENERATOR_REQUESTS.labels(*generator, str(status)))


@cache
def _output_counter(is_image: bool, generator: GeneratorId, output_format: str) -> DeferredCounter:
    return DeferredCounter((_IMAGES if is_image else _SAMPLES).labels(*generator, output_format))


@cache
def _request_counter(route: str, method: str, status: int) -> DeferredCounter:
    return DeferredCounter(_REQUESTS.labels(route, method, str(status)))


@cache
def _request_duration(route: str, method: str) -> DeferredHistogram:
    return DeferredHistogram(_REQUEST_DURATION.labels(route, method))


def count_outputs(generator: Generator, output_format: str, count: int, context: RequestContext) -> None:
    """Count images or samples that are sent to a client.

    Args:
        generator: The generator of the images or samples.
        output_format: The name of the format.
        count: The number of images or samples.
        context: The context of the request.
    """
    _output_counter(generator.background is None, generator.id, output_format).inc(count)
    context.images += count
