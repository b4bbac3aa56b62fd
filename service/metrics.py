"""Metrics for Prometheus, summed over all worker processes. Labels hold templates and names, never what a client writes."""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from service.generator import Generator

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REASONS = {408: "slow_body", 413: "too_large", 429: "overloaded", 503: "not_ready", 504: "deadline"}

# registry=None: in multiprocess mode the values live in files, which `exposition` collects.
_REQUESTS = Counter("seedmint_requests", "Requests answered.", ["route", "method", "status"], registry=None)
_LATENCY = Histogram(
    "seedmint_request_seconds",
    "From a request's first byte to its answer's last.",
    ["route", "method"],
    buckets=_SECONDS,
    registry=None,
)
_REJECTED = Counter("seedmint_rejected", "Requests turned away, by reason.", ["reason"], registry=None)
IMAGES = Counter("seedmint_images", "Images sent.", ["model", "format"], registry=None)
SAMPLES = Counter("seedmint_samples", "Samples sent that are not images.", ["model", "format"], registry=None)
INFERENCE = Histogram("seedmint_inference_seconds", "One run of a generator.", ["model"], buckets=_SECONDS, registry=None)
BATCH = Histogram(
    "seedmint_batch_images", "Images or samples in one run of a generator.", ["model"], buckets=_IMAGES, registry=None
)


def count_made(generator: Generator, form: str, count: int) -> None:
    """Count images or samples sent, by the name of their format."""
    (SAMPLES if generator.reference is not None else IMAGES).labels(generator.name, form).inc(count)


def observe_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request. `route` is a template of the service's own, or "unmatched"."""
    method = method if method in _METHODS else "other"
    _REQUESTS.labels(route, method, str(status)).inc()
    _LATENCY.labels(route, method).observe(seconds)
    if status in _REASONS:
        _REJECTED.labels(_REASONS[status]).inc()


def exposition(generators: Iterable[Generator]) -> bytes:
    """All metrics as text: the counts of every worker, and the generators that this one serves."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Generators(generators))
    return generate_latest(registry)


class _Generators:
    """`seedmint_model_info`, made anew each time, so that a generator replaced or removed leaves nothing behind."""

    def __init__(self, generators: Iterable[Generator]) -> None:
        self._generators = generators

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = ["model", "digest", "provider", "determinism"]
        family = GaugeMetricFamily("seedmint_model_info", "1 for each generator served.", labels=labels)
        for generator in self._generators:
            family.add_metric([generator.name, generator.digest, generator.provider, generator.determinism], 1)
        yield family
