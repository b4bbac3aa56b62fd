"""The library: every generator file of one directory, watched. What changes there takes effect without a restart."""

import asyncio
import contextlib
import gc
import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

from seedmint.models.errors import UserError, one_line
from seedmint.models.runtime.generator_file import GeneratorError, check_name
from seedmint.models.runtime.provider import release_memory
from seedmint.service.batching.batcher import Batcher
from seedmint.service.batching.errors import ModelsLoading, UnknownModel, UnknownVersion
from seedmint.service.runtime.generator import Generator, open_generator
from seedmint.service.settings import Settings
from seedmint.service.telemetry import metrics

_LOG = logging.getLogger("seedmint")
_NAMES_IN_A_PROBLEM = 20
_SHOW_SECONDS = 1.0
_LINGER_SECONDS = 10.0  # who was redirected to a version a moment ago still finds it

# What tells one version of a file from the next: times of modification and change in ns, size in bytes, inode.
_Version = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Served:
    """A generator and its batcher. A request keeps both, also when the file is replaced meanwhile."""

    generator: Generator
    batcher: Batcher


class ModelRepository:
    """The generators of `settings.models` by name. Lives on one event loop; files are read and opened in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = settings.models
        self._served: dict[str, Served] = {}
        self._former: dict[tuple[str, str], tuple[Served, float]] = {}  # by name and digest12: until when
        # Of every generator that a request may still hold, also when its file was replaced or removed.
        self._batchers: WeakSet[Batcher] = WeakSet()
        self._seen: dict[str, _Version] = {}  # at the last look
        self._taken: dict[str, _Version] = {}  # opened, or refused for good
        self._told: dict[str, str] = {}  # why a file is refused
        self._trouble = ""
        self._turned = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._shown: set[str] = set()
        # At the last look: how many generators there were in memory, and whether a file had been tried in vain.
        self._held, self._refused = 0, False
        self.ready = False

    async def start(self, wait_seconds: float | None = None) -> None:
        """Begin to load and then to watch. `ready` turns true after the first look that succeeds.

        Args:
            wait_seconds: return after the first look, or after this time if that comes first; None: after the look.
        """
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._show())]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._turned.wait()

    async def close(self) -> None:
        """Stop watching and wait for runs under way."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(batcher.close() for batcher in list(self._batchers)))

    def all(self) -> list[Served]:
        """What is served now, by name; without the versions that are kept beside the present ones.

        Raises:
            ModelsLoading: the first scan has not finished.
        """
        if not self.ready:
            raise ModelsLoading("the generators are being loaded", retry_after=1)
        return [self._served[name] for name in sorted(self._served) if "@" not in name]

    def find(self, name: str, digest12: str | None) -> Served:
        """One generator.

        Raises:
            UnknownModel: no generator of this name is served.
            UnknownVersion: a generator of this name is served with another digest.
            ModelsLoading: the first scan has not finished.
        """
        served = self._served.get(name) if digest12 is None else self.exactly(name, digest12)
        if served is not None:
            return served
        former = None if digest12 is None else self._former.get((name, digest12))
        if former is not None and former[1] > time.monotonic():
            return former[0]
        present = self._served.get(name)
        if present is None:
            names = [one.generator.name for one in self.all()[:_NAMES_IN_A_PROBLEM]]
            raise UnknownModel(f"no generator of that name here; there are: {', '.join(names) or 'none'}")
        current = f"{name}@{present.generator.digest12}"
        raise UnknownVersion(f"that version of the generator is not served here; the present one is {current}")

    def exactly(self, name: str, digest12: str) -> Served | None:
        """The version of that name and digest: the present one, or one that is kept as NAME@DIGEST12.onnx; None if neither."""
        served = self._served.get(name)
        if served is not None and served.generator.digest12 == digest12:
            return served
        return self._served.get(f"{name}@{digest12}")

    def refused(self) -> list[str]:
        """The stems of the files that are refused now."""
        return sorted(self._told)

    @property
    def readable(self) -> bool:
        """Whether the last look at the models directory succeeded."""
        return not self._trouble

    def show_queues(self) -> None:
        """Let the metrics show what waits now."""
        waiting = Counter(dict.fromkeys(self._shown, 0))
        bulk: Counter[str] = Counter()
        for batcher in self._batchers:
            waiting[batcher.generator.name] += batcher.waiting
            bulk[batcher.generator.name] += batcher.bulk_requests
        for name, images in waiting.items():
            metrics.show_queue(name, images, bulk[name])
        self._shown = set(waiting)

    async def _show(self) -> None:
        """For the workers that another worker's answer to /metrics speaks for. At each change, requests would pay for it."""
        while True:
            self.show_queues()
            await asyncio.sleep(_SHOW_SECONDS)

    async def _watch(self) -> None:
        while True:
            try:
                await self._turn()
                self._trouble = ""
            except Exception as error:  # whatever it is: what is served goes on, and the next turn may succeed
                trouble = _reason(error)
                if trouble != self._trouble:
                    _LOG.error("the models directory cannot be read: %s", trouble)
                self._trouble = trouble
            self._turned.set()
            await asyncio.sleep(self._settings.watch_seconds)

    async def _turn(self) -> None:
        now = time.monotonic()
        self._former = {which: (served, until) for which, (served, until) in self._former.items() if until > now}
        before, seen = self._seen, await asyncio.to_thread(self._look)
        self._seen = seen
        for name in {*self._served, *self._taken, *self._told} - set(seen):
            self._taken.pop(name, None)
            self._told.pop(name, None)
            if (removed := self._served.pop(name, None)) is not None:
                self._retire(removed)
                _LOG.info("%s: removed", name)
        for name, version in seen.items():
            # A file is taken up once it stands still between two looks: one being copied is not yet there. At first all are.
            if self._taken.get(name) != version and (not self.ready or before.get(name) == version):
                await self._take(name, version)
        if len(self._batchers) != self._held or self._refused:
            await asyncio.to_thread(release_memory)
        self._held, self._refused = len(self._batchers), False
        if not self.ready:
            # What is loaded now stays: keep it out of every later garbage collection.
            gc.collect()
            gc.freeze()
            self.ready = True

    def _look(self) -> dict[str, _Version]:
        """In a thread: the files now, by stem."""
        found: dict[str, _Version] = {}
        for path in sorted(path for path in self._directory.iterdir() if path.suffix == ".onnx" and path.name[0] != "."):
            with contextlib.suppress(OSError):  # gone since it was listed
                status = path.stat()
                found[path.stem] = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        return found

    async def _take(self, name: str, version: _Version) -> None:
        """Serve one version of a file, or refuse it until it changes. What cannot be read is tried again at each look."""
        try:
            generator = await asyncio.to_thread(self._open, self._directory / f"{name}.onnx")
        except Exception as error:
            reason = _reason(error)
            if not isinstance(error, OSError):
                self._taken[name] = version
            elif self._told.get(name) == reason:
                return
            self._refused = True
            self._told[name] = reason
            kept = "; the one served before goes on" if name in self._served else ""
            _LOG.error("%s.onnx is refused: %s%s", one_line(name), reason, kept)
            return
        self._taken[name] = version
        self._told.pop(name, None)
        present = self._served.get(name)
        if present is None or present.generator.digest != generator.digest:
            if present is not None:
                self._retire(present)
            settings = self._settings
            batcher = Batcher(generator, settings.max_queue, settings.max_wait_seconds, settings.timeout_seconds)
            self._served[name] = Served(generator, batcher)
            self._batchers.add(batcher)
            _LOG.info("%s@%s: %s on %s", generator.name, generator.digest12, generator.determinism, generator.provider)

    def _retire(self, served: Served) -> None:
        """Let a version that is replaced or removed be found for a little longer, by its digest alone."""
        self._former[served.generator.name, served.generator.digest12] = served, time.monotonic() + _LINGER_SECONDS

    def _open(self, path: Path) -> Generator:
        """In a thread: open and test one file."""
        if not path.resolve().is_relative_to(self._directory.resolve()):
            raise GeneratorError("a symbolic link out of the models directory")
        settings = self._settings
        generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
        check_name(generator.card, path, generator.digest)
        return generator


def _reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
