"""Metrics for Prometheus, summed over all worker processes. Labels hold templates and names, never what a client writes."""

import os
from collections.abc import Iterable

# Each server gets its own directory from `seedmint serve`: BentoML's belongs to whichever server of the user started last,
# which empties it. Read by prometheus_client when the first metric below is made.
DIRECTORY_VARIABLE = "SEEDMINT_METRICS_DIR"
if DIRECTORY_VARIABLE in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = os.environ[DIRECTORY_VARIABLE]

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402

from service.generator import Generator  # noqa: E402

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
INFERENCE = Histogram("seedmint_inference_seconds", "One run of a generator.", ["model"], buckets=_SECONDS, registry=None)
BATCH = Histogram("seedmint_batch_images", "Images in one run of a generator.", ["model"], buckets=_IMAGES, registry=None)


def observe_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request. `route` is a template of the service's own, or "unmatched"."""
    method = method if method in _METHODS else "other"
    _REQUESTS.labels(route, method, str(status)).inc()
    _LATENCY.labels(route, method).observe(seconds)
    if status in _REASONS:
        _REJECTED.labels(_REASONS[status]).inc()


def exposition(generators: Iterable[Generator]) -> bytes:
    """All metrics as text: the counts of every worker, and what this one serves."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    described = CollectorRegistry()
    info = Gauge(
        "seedmint_model_info", "1 for each generator.", ["model", "digest", "provider", "determinism"], registry=described
    )
    for generator in generators:
        info.labels(generator.name, generator.digest, generator.provider, generator.determinism).set(1)
    return generate_latest(registry) + generate_latest(described)
