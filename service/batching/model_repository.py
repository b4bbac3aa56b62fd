"""The model repository: the generators that a worker serves, as the leader announces them (`generator_leader.py`)."""

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakSet

from seedmint.models.runtime.provider import release_memory
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ModelsLoading, UnknownModel, UnknownVersion
from seedmint.service.batching.generator_opener import open_descriptor
from seedmint.service.batching.place_states import PlaceState
from seedmint.service.batching.readiness import Readiness
from seedmint.service.batching.retired_versions import RetiredVersions
from seedmint.service.runtime.generator import Generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.request_context import REQUEST_CONTEXT, GeneratorId

_MAX_NAMES = 20  # names that the message of an unknown name lists
_METRICS_SECONDS = 1.0
_TIDY_SECONDS = 1.0
_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Served:
    """A generator and its batcher. A request uses both until its end, even if the file is replaced."""

    generator: Generator
    batcher: Batcher


@dataclass(slots=True)
class ModelFile:
    """State of one generator file.

    Attributes:
        error: Why the present version of the file is refused; None if it is not refused.
        served: The generator in service: of the present version, or of an earlier version if the present one is refused.
    """

    error: str | None = None
    served: Served | None = None


class ModelRepository:
    """The generators in service by name. Lives on one event loop. Opens files in a thread."""

    def __init__(self, settings: Settings) -> None:
        """
        Args:
            settings: The settings of the server.
        """
        self._settings = settings
        self._files: dict[str, ModelFile] = {}  # by stem
        self._present: dict[str, str] = {}  # name -> stem of its present version, unless the stem is the name
        self.places: tuple[PlaceState, ...] = ()
        self._retired = RetiredVersions[Served]()
        self._readiness = Readiness(settings)
        self._held: dict[int, Served] = {}  # versions that the leader has not announced yet, by number
        # Batchers of all generators that a request may still hold, also of replaced and removed files.
        self._batchers: WeakSet[Batcher] = WeakSet()
        self._batchers_at_release = 0
        self._was_refused = False
        self._has_scanned = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._names_in_metrics: set[str] = set()
        self.has_loaded = False

    async def start(self, wait_seconds: float | None = None) -> None:
        """Start the background tasks, and wait until all generators are loaded. Then `has_loaded` is True.

        Args:
            wait_seconds: Maximum time to wait; None for no maximum.
        """
        self._tasks = [asyncio.create_task(self._tidy())]
        self._tasks.append(asyncio.create_task(self._refresh_metrics()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._has_scanned.wait()

    async def close(self) -> None:
        """Stop the background tasks, and wait for batches in progress."""
        self.has_loaded = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(batcher.close() for batcher in list(self._batchers)))

    def all(self) -> list[Served]:
        """Return the present version of each generator, sorted by name.

        Raises:
            ModelsLoading: The first scan has not finished.
        """
        if not self.has_loaded:
            raise ModelsLoading("the generators are being loaded", retry_after=_RETRY_SECONDS)
        present = (self._in_service(name) for name in sorted({stem.partition("@")[0] for stem in self._files}))
        return [served for served in present if served is not None]

    def find(self, name: str, digest12: str | None) -> Served:
        """Return one generator.

        Args:
            name: Name of the generator.
            digest12: First twelve digits of the digest of the version; None for the present version.

        Raises:
            UnknownModel: No generator of this name is served.
            UnknownVersion: A generator of this name is served, but not this version.
            ModelsLoading: The first scan has not finished.
        """
        served = self._in_service(name) if digest12 is None else self.find_pinned(name, digest12)
        if served is None and digest12 is not None:
            served = self._find_in_transition(name, digest12)
        if served is not None:
            context = REQUEST_CONTEXT.get(None)
            if context is not None:
                context.generator = served.generator.id
            return served
        present = self._in_service(name)
        if present is None:
            names = [served.generator.name for served in self.all()[:_MAX_NAMES]]
            raise UnknownModel(f"no generator has this name; there are: {', '.join(names) or 'none'}")
        current = f"{name}@{present.generator.digest12}"
        raise UnknownVersion(f"this version of the generator is not served; the present version is {current}")

    def find_pinned(self, name: str, digest12: str) -> Served | None:
        """Return a version that is in service, from NAME.onnx or NAME@DIGEST12.onnx; None if there is no such version.

        Args:
            name: Name of the generator.
            digest12: First twelve digits of the digest of the version.
        """
        file = self._files.get(name)
        if file is not None and file.served is not None and file.served.generator.digest12 == digest12:
            return file.served
        file = self._files.get(f"{name}@{digest12}")
        return None if file is None else file.served

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the first twelve digits of the digest of each version in service, the present version first.

        Args:
            name: Name of the generator.
        """
        pinned = f"{name}@"
        stems = sorted(stem for stem in self._files if stem == name or stem.startswith(pinned))
        served = [self._in_service(name), *(self._files[stem].served for stem in stems)]
        return tuple(dict.fromkeys(each.generator.digest12 for each in served if each is not None))

    def _find_in_transition(self, name: str, digest12: str) -> Served | None:
        """Return a version that another worker may announce already, or may still announce."""
        for held in self._held.values():
            if (held.generator.name, held.generator.digest12) == (name, digest12):
                return held
        return self._retired.find(name, digest12)

    def load_errors(self) -> dict[str, str]:
        """Return the error of each refused file, by stem, in alphabetical order."""
        return {stem: file.error for stem, file in sorted(self._files.items()) if file.error is not None}

    def is_ready(self) -> bool:
        """Return whether the server is ready by its settings, and log each new reason why it is not ready."""
        if not self.has_loaded:
            return False
        served = {served.generator.name for served in self.all()}
        return self._readiness.check(served, self.load_errors(), self.places)

    @property
    def readable(self) -> bool:
        """Whether all folders of generators can be read."""
        return all(place.is_up or place.is_remote for place in self.places)

    def recent_versions(self) -> list[GeneratorId]:
        """Return name and digest of all versions in service, and of the versions that were served in the last minutes."""
        versions = [file.served.generator.id for file in self._files.values() if file.served is not None]
        return versions + self._retired.recent()

    def update_metrics(self) -> None:
        """Set the gauges of queue sizes and bulk requests to the present values."""
        waiting = Counter(dict.fromkeys(self._names_in_metrics, 0))
        bulk: Counter[str] = Counter()
        for batcher in self._batchers:
            waiting[batcher.generator.name] += batcher.queue_size
            bulk[batcher.generator.name] += batcher.bulk_requests
        for name, images in waiting.items():
            metrics.set_queue_size(name, images, bulk[name])
        self._names_in_metrics = set(waiting)

    async def _refresh_metrics(self) -> None:
        """Update the metrics once a second, because another worker may answer /metrics. Updates per request would be slower."""
        while True:
            self.update_metrics()
            await asyncio.sleep(_METRICS_SECONDS)

    async def hold(self, number: int, stem: str, descriptor: int) -> Generator:
        """Load a version of a file, and answer its pinned URLs. Other URLs do not name the version before `serve_held`.

        Args:
            number: Number of the version in the messages of the leader.
            stem: Name of the file without suffix.
            descriptor: The open file.

        Returns:
            The generator.

        Raises:
            UserError: The version is refused.
            OSError: The file cannot be read.
        """
        try:
            generator = await asyncio.to_thread(open_descriptor, descriptor, stem, self._settings)
        except Exception as error:
            file = self._files.get(stem)
            is_known = file is not None and file.error is not None
            self._was_refused |= not (is_known and isinstance(error, OSError))  # an unreadable file is tried again and again
            raise
        self._held[number] = self._create(generator)
        return generator

    def serve_held(self, number: int, stem: str) -> None:
        """Put a version that `hold` has loaded into service, and retire the previous version.

        Args:
            number: Number of the version.
            stem: Name of the file without suffix.
        """
        self._put(self._files.setdefault(stem, ModelFile()), self._held.pop(number))

    def drop_held(self, number: int) -> None:
        """Forget a version that `hold` has loaded.

        Args:
            number: Number of the version.
        """
        self._held.pop(number, None)

    def set_present(self, stems: dict[str, str]) -> None:
        """Set which versions the URLs without a digest lead to.

        Args:
            stems: Name of the generator -> stem of the file of the version. Other names lead to NAME.onnx.
        """
        self._present = stems

    def set_state(self, errors: dict[str, str], places: Iterable[PlaceState], complete: bool) -> None:
        """Set the state that all workers share.

        Args:
            errors: Why files are refused, by stem.
            places: The states of the places.
            complete: Whether this worker has loaded all generators in service.
        """
        for stem in [stem for stem, file in self._files.items() if file.served is None and stem not in errors]:
            del self._files[stem]
        for stem in errors.keys() - self._files.keys():
            self._files[stem] = ModelFile()
        for stem, file in self._files.items():
            file.error = errors.get(stem)
        self.places = tuple(places)
        if complete and not self.has_loaded:
            self._end_first_load()
        if complete or not all(place.is_up for place in self.places):
            self._has_scanned.set()

    async def _tidy(self) -> None:
        """Once a second, end versions whose time is over, and return memory to the system."""
        while True:
            self._retired.end()
            await self._release_memory()
            await asyncio.sleep(_TIDY_SECONDS)

    async def _release_memory(self) -> None:
        """Return memory to the system if generators were added, refused or freed since the last call."""
        if len(self._batchers) != self._batchers_at_release or self._was_refused:
            self._was_refused = False
            await asyncio.to_thread(release_memory)
        self._batchers_at_release = len(self._batchers)

    def _end_first_load(self) -> None:
        # The present objects are permanent: exclude them from all later garbage collections.
        gc.collect()
        gc.freeze()
        self.has_loaded = True

    def _in_service(self, name: str) -> Served | None:
        file = self._files.get(self._present.get(name, name))
        return None if file is None else file.served

    def _create(self, generator: Generator) -> Served:
        settings = self._settings
        batcher = Batcher(generator, settings.max_queue, settings.max_wait_seconds, settings.timeout_seconds)
        self._batchers.add(batcher)
        return Served(generator, batcher)

    def _put(self, file: ModelFile, served: Served) -> None:
        if file.served is not None:
            self._retired.add(file.served.generator.id, file.served)
        file.served = served

    def remove(self, stem: str) -> None:
        """Take a file out of service.

        Args:
            stem: Name of the file without suffix.
        """
        file = self._files.pop(stem, None)
        if file is not None and file.served is not None:
            self._retired.add(file.served.generator.id, file.served)


def loaded_text(generator: Generator) -> tuple[int, str]:
    """Return the level and the text of the log line of a generator that was loaded.

    Args:
        generator: The generator.
    """
    level = logging.INFO if generator.determinism == "exact" else logging.WARNING
    outcome = generator.check.describe(generator.card)
    return level, f"{generator.name}@{generator.digest12}: loaded on {generator.provider}, {outcome}"
