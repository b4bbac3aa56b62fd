"""A scrape of the metrics: those of all worker processes, and gauges that are computed for each scrape."""

import contextlib
import math
import os
import platform
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path

import onnxruntime
import psutil  # type: ignore[import-untyped]
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from seedmint.models.runtime.memory import container_memory
from seedmint.models.version import __version__
from seedmint.service.runtime.generator import Generator
from seedmint.service.telemetry.request_context import GeneratorId

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition(gauges: "ScrapeGauges") -> bytes:
    """Render all metrics in the Prometheus text format.

    Args:
        gauges: The gauges of this scrape, added to the metrics of all workers.
    """
    gauges.workers = _live_workers()
    registry = CollectorRegistry()
    registry.register(_ServedCollector(gauges.versions))
    registry.register(gauges)
    return generate_latest(registry)


class _ServedCollector:
    """The metrics of all workers, without the versions of generators that are not served any more.

    Args:
        versions: Name and digest of each version to keep.
    """

    def __init__(self, versions: Container[GeneratorId]) -> None:
        self._versions = versions
        self._collector = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics. `CollectorRegistry` calls this method."""
        for family in self._collector.collect():  # type: ignore[no-untyped-call]
            family.samples = [sample for sample in family.samples if self._is_kept(sample.labels)]
            yield family

    def _is_kept(self, labels: Mapping[str, str]) -> bool:
        return "digest" not in labels or (labels["model"], labels["digest"]) in self._versions


def _live_workers() -> list[psutil.Process]:
    """Return the live worker processes: the processes with metric files that share the parent of this process.

    Removes the gauges of dead workers. Their counters remain.
    """
    workers = []
    for pid in {int(path.stem.rpartition("_")[2]) for path in Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).glob("*.db")}:
        try:
            worker = psutil.Process(pid)
            if worker.ppid() == os.getppid() and worker.status() != psutil.STATUS_ZOMBIE:
                workers.append(worker)
                continue
        except psutil.NoSuchProcess:
            pass
        with contextlib.suppress(FileNotFoundError):  # another worker may remove the same files
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
    return workers


class ScrapeGauges:
    """Gauges rebuilt on every scrape, so that removed models disappear.

    Args:
        generators: The generators that this worker serves.
        load_errors: The stems of the files that this worker cannot load.
        readable: Whether the last scan could read the models directory.
        former: Name and digest of versions that were served until recently.
        places: Name of each place, whether it can be read, and seconds since it was last read; None if it was never read.

    Attributes:
        workers: The live worker processes.
        versions: Name and digest of each version with metrics.
    """

    def __init__(
        self,
        generators: Collection[Generator],
        load_errors: Iterable[str],
        readable: bool,
        former: Iterable[GeneratorId] = (),
        places: Iterable[tuple[str, bool, float | None]] = (),
    ) -> None:
        self.versions = {generator.id for generator in generators} | set(former)
        self._generators = generators
        self._load_errors = load_errors
        self._readable = readable
        self._places = places
        self.workers: Iterable[psutil.Process] = ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges. `CollectorRegistry` calls this method."""
        labels = ["model", "digest", "provider", "determinism"]
        family = GaugeMetricFamily("seedmint_model_info", "1 for each served generator.", labels=labels)
        for generator in self._generators:
            family.add_metric([generator.name, generator.digest, generator.provider, generator.determinism], 1)
        yield family
        family = GaugeMetricFamily(
            "seedmint_generator_reference_difference",
            "Greatest difference from the reference of the card or between batches; 0: exact; NaN: not measured.",
            labels=["model", "digest"],
        )
        for generator in self._generators:
            difference = generator.check.difference
            family.add_metric([generator.name, generator.digest], math.nan if difference is None else difference)
        yield family
        family = GaugeMetricFamily(
            "seedmint_model_load_failed", "1 for each generator file that fails to load.", labels=["model"]
        )
        for name in self._load_errors:
            family.add_metric([name], 1)
        yield family
        yield GaugeMetricFamily(
            "seedmint_models_readable", "1 if all folders of generators are readable, else 0.", self._readable
        )
        yield from self._place_gauges()
        labels = ["version", "python", "onnxruntime"]
        family = GaugeMetricFamily("seedmint_build_info", "1, with the versions of the running program.", labels=labels)
        family.add_metric([__version__, platform.python_version(), onnxruntime.__version__], 1)
        yield family
        sizes = []
        for worker in self.workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes.append(worker.memory_info().rss)
        yield GaugeMetricFamily("seedmint_workers", "Worker processes.", len(sizes))
        yield GaugeMetricFamily("seedmint_resident_memory_bytes", "Resident memory of all worker processes.", sum(sizes))
        if (memory := container_memory()) is not None:
            yield GaugeMetricFamily("seedmint_memory_limit_bytes", "Memory limit of the container.", memory.limit)
            yield GaugeMetricFamily(
                "seedmint_memory_working_set_bytes",
                "Memory use of the container, without reclaimable page cache.",
                memory.working_set,
            )

    def _place_gauges(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges of the places of generators. Their number is that of the setting `models`."""
        up = GaugeMetricFamily(
            "seedmint_models_place_up",
            "1 if the last attempt to read a place of generators succeeded, else 0.",
            labels=["place"],
        )
        age = GaugeMetricFamily(
            "seedmint_models_place_age_seconds",
            "Seconds since a place of generators was last read; NaN: not since the start of the server.",
            labels=["place"],
        )
        for name, is_up, seconds in self._places:
            up.add_metric([name], is_up)
            age.add_metric([name], math.nan if seconds is None else seconds)
        yield up
        yield age
