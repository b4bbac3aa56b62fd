"""The model repository: serves every generator file of one directory, and follows changes of the directory."""

import asyncio
import contextlib
import gc
import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakSet

from seedmint.models.errors import UserError, one_line
from seedmint.models.runtime.generator_file import GeneratorError, check_name
from seedmint.models.runtime.provider import release_memory
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ModelsLoading, UnknownModel, UnknownVersion
from seedmint.service.batching.other_files import OtherFiles
from seedmint.service.importer.file_kinds import check_file_kind
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics

_LOG = logging.getLogger(__name__)
_MAX_NAMES = 20  # names that the message of an unknown name lists
_METRICS_SECONDS = 1.0
_LINGER_SECONDS = 10.0  # for a client that was redirected to a version just before its file was replaced or removed
_RETRY_SECONDS = 1

# Identifies a version of a file: times of modification and change in ns, size in bytes, inode.
_FileVersion = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Served:
    """A generator and its batcher. A request uses both until its end, even if the file is replaced."""

    generator: Generator
    batcher: Batcher


@dataclass(slots=True)
class ModelFile:
    """State of one generator file.

    Attributes:
        version: The version at the latest scan.
        loaded: The version that was last opened or refused; None before the first load.
        error: Why `version` is refused; None if `version` is not refused.
        served: The generator in service: of `version`, or of an earlier version if `version` is refused or not loaded yet.
    """

    version: _FileVersion | None = None
    loaded: _FileVersion | None = None
    error: str | None = None
    served: Served | None = None

    @property
    def state(self) -> Literal["loading", "serving", "refused"]:
        """State of the present version of the file."""
        if self.error is not None:
            return "refused"
        return "serving" if self.version == self.loaded else "loading"


@dataclass(frozen=True, slots=True)
class _Retired:
    """A generator whose file was replaced or removed. Its pinned URLs stay valid until `retired_until` (monotonic seconds)."""

    served: Served
    retired_until: float


class ModelRepository:
    """The generators of `settings.models` by name. Lives on one event loop. Reads and opens files in a thread."""

    def __init__(self, settings: Settings) -> None:
        """
        Args:
            settings: The settings of the server.
        """
        self._settings = settings
        self._directory = settings.models
        self._other_files = OtherFiles(settings.models)
        self._files: dict[str, ModelFile] = {}  # by stem
        self._retired: dict[tuple[str, str], _Retired] = {}  # by name and digest12
        # Batchers of all generators that a request may still hold, also of replaced and removed files.
        self._batchers: WeakSet[Batcher] = WeakSet()
        self._batchers_at_scan = 0
        self._scan_error: str | None = None
        self._has_scanned = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._names_in_metrics: set[str] = set()
        self._was_ready = False
        self._not_ready_reason: str | None = None
        self.has_loaded = False

    async def start(self, wait_seconds: float | None = None) -> None:
        """Start to load the generators and to watch the directory. `has_loaded` becomes True after the first successful scan.

        Args:
            wait_seconds: Maximum time to wait for the first scan; None for no maximum.
        """
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._refresh_metrics())]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._has_scanned.wait()

    async def close(self) -> None:
        """Stop watching, and wait for batches in progress."""
        self.has_loaded = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(batcher.close() for batcher in list(self._batchers)))

    def all(self) -> list[Served]:
        """Return the generators in service, sorted by name, without the files named NAME@DIGEST12.onnx.

        Raises:
            ModelsLoading: The first scan has not finished.
        """
        if not self.has_loaded:
            raise ModelsLoading("the generators are being loaded", retry_after=_RETRY_SECONDS)
        served = ((stem, file.served) for stem, file in sorted(self._files.items()) if "@" not in stem)
        return [generator for _, generator in served if generator is not None]

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
        if served is not None:
            return served
        retired = None if digest12 is None else self._retired.get((name, digest12))
        if retired is not None and retired.retired_until > time.monotonic():
            return retired.served
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
        return self._in_service(f"{name}@{digest12}")

    def load_errors(self) -> dict[str, str]:
        """Return the error of each refused file, by stem, in alphabetical order."""
        return {stem: file.error for stem, file in sorted(self._files.items()) if file.error is not None}

    def is_ready(self) -> bool:
        """Return whether the server is ready by the setting `ready_when`, and log each new reason why it is not ready.

        The conditions on all files and on required generators apply only until the server is ready for the first time, so that
        one wrong file in a shared directory never takes all servers out of service.
        """
        if not self.has_loaded:
            return False
        reason = self._reason_not_ready()
        if reason != self._not_ready_reason and reason is not None:
            _LOG.warning("not ready: %s", reason)
        self._not_ready_reason = reason
        self._was_ready |= reason is None
        return reason is None

    def _reason_not_ready(self) -> str | None:
        settings = self._settings
        if settings.ready_when == "serving" and not settings.required_models:
            return None
        served = {served.generator.name for served in self.all()}
        if not self._was_ready:
            if missing := [name for name in settings.required_models if name not in served]:
                return f"required generators are not served: {', '.join(missing)}"
            if settings.ready_when == "all" and (refused := self.load_errors()):
                return f"files are refused: {', '.join(map(one_line, refused))}"
        if not served and settings.ready_when != "serving":
            return f"no generator of {self._directory} is served"
        return None

    @property
    def readable(self) -> bool:
        """Whether the latest scan of the models directory succeeded."""
        return self._scan_error is None

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

    async def _watch(self) -> None:
        while True:
            try:
                await self.scan()
                self._scan_error = None
            except Exception as error:  # generators in service stay in service, and the next scan may succeed
                reason, message = _reason_and_message(error)
                if message != self._scan_error:
                    _LOG.error("scan of the models directory failed (%s): %s", reason, message)
                self._scan_error = message
            self._has_scanned.set()
            await asyncio.sleep(self._settings.watch_seconds)

    async def scan(self) -> None:
        """Compare the directory with the files in service: load new and changed files, and retire removed files.

        Raises:
            OSError: The directory cannot be read.
        """
        now = time.monotonic()
        self._retired = {key: retired for key, retired in self._retired.items() if retired.retired_until > now}
        found = await asyncio.to_thread(self._list_files)
        for message in await asyncio.to_thread(self._other_files.new_messages):
            _LOG.warning("%s", message)
        for stem in self._files.keys() - found.keys():
            self._remove(stem)
        changed: list[str] = []
        for stem, version in found.items():
            file = self._files.setdefault(stem, ModelFile())
            # Load a file when two scans find the same version, because a file is incomplete while it is copied. The first scan
            # loads all files.
            if version != file.loaded and (version == file.version or not self.has_loaded):
                changed.append(stem)
            file.version = version
        was_refused = False
        for stem in changed:
            was_refused |= not await self._load(stem, self._files[stem])
        if len(self._batchers) != self._batchers_at_scan or was_refused:
            await asyncio.to_thread(release_memory)
        self._batchers_at_scan = len(self._batchers)
        if not self.has_loaded:
            # The present objects are permanent: exclude them from all later garbage collections.
            gc.collect()
            gc.freeze()
            self.has_loaded = True

    def _in_service(self, stem: str) -> Served | None:
        file = self._files.get(stem)
        return None if file is None else file.served

    def _list_files(self) -> dict[str, _FileVersion]:
        """Return the present versions of the files, by stem. Runs in a thread."""
        found: dict[str, _FileVersion] = {}
        for path in sorted(path for path in self._directory.iterdir() if path.suffix == ".onnx" and path.name[0] != "."):
            with contextlib.suppress(OSError):  # removed since it was listed
                status = path.stat()
                found[path.stem] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        return found

    async def _load(self, stem: str, file: ModelFile) -> bool:
        """Put a version of a file into service, or refuse it until it changes. An unreadable file is retried at each scan.

        Returns:
            False if a version was refused for the first time.
        """
        version = file.version
        try:
            generator = await asyncio.to_thread(self._open, self._directory / f"{stem}.onnx")
        except Exception as error:
            reason, message = _reason_and_message(error)
            if not isinstance(error, OSError):
                file.loaded = version
            elif file.error == message:
                return True
            file.error = message
            suffix = "" if file.served is None else "; the previous version stays in service"
            _LOG.error("%s.onnx: load failed (%s): %s%s", one_line(stem), reason, message, suffix)
            return False
        file.loaded, file.error = version, None
        if file.served is None or file.served.generator.digest != generator.digest:
            if file.served is not None:
                self._retire(file.served)
            settings = self._settings
            batcher = Batcher(generator, settings.max_queue, settings.max_wait_seconds, settings.timeout_seconds)
            file.served = Served(generator, batcher)
            self._batchers.add(batcher)
            level = logging.INFO if generator.determinism == "exact" else logging.WARNING
            outcome = generator.check.describe(generator.card)
            _LOG.log(level, "%s@%s: loaded on %s, %s", generator.name, generator.digest12, generator.provider, outcome)
        return True

    def _remove(self, stem: str) -> None:
        served = self._files.pop(stem).served
        if served is not None:
            self._retire(served)
            _LOG.info("%s: removed", one_line(stem))

    def _retire(self, served: Served) -> None:
        """Keep the pinned URLs of a replaced or removed version valid for `_LINGER_SECONDS`."""
        key = served.generator.name, served.generator.digest12
        self._retired[key] = _Retired(served, time.monotonic() + _LINGER_SECONDS)

    def _open(self, path: Path) -> Generator:
        """Open and test one file. Runs in a thread."""
        if not path.resolve().is_relative_to(self._directory.resolve()):
            raise GeneratorError("a symbolic link to a file outside the models directory", reason="outside_directory")
        settings = self._settings
        try:
            generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
        except UserError as error:
            if error.reason == "not_onnx":
                check_file_kind(path)  # raises if the file has another known format
            raise
        check_name(generator.card, path, generator.digest)
        return generator


def _reason_and_message(error: Exception) -> tuple[str, str]:
    """Return a stable code for an error, and its message in one line."""
    if isinstance(error, UserError):
        return error.reason, one_line(error)
    if isinstance(error, OSError):
        return "unreadable", one_line(error.strerror or error)
    return "unexpected", one_line(f"{type(error).__name__}: {error}")
