"""The library: every generator file of one directory, watched. What changes there takes effect without a restart."""

import asyncio
import contextlib
import gc
import logging
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from service.batcher import Batcher
from service.generator import Generator, GeneratorError, open_generator
from service.problems import Problem
from service.settings import Settings

_LOG = logging.getLogger("seedmint")
_NAMES_IN_A_PROBLEM = 20

# What tells one version of a file from the next: modification time in ns, size in bytes, inode.
_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Served:
    """A generator and its batcher. A request keeps both, also when the file is replaced meanwhile."""

    generator: Generator
    batcher: Batcher


class Library:
    """The generators of `settings.models` by name. Lives on one event loop; files are read and opened in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._directory = settings.models
        self._served: dict[str, Served] = {}
        self._looked_at: dict[str, _Version] = {}
        self._watcher: asyncio.Task[None] | None = None
        self.ready = False

    def start(self) -> None:
        """Begin to load and then to watch. `ready` turns true after the first look."""
        self._watcher = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop watching and wait for runs under way."""
        self.ready = False
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await asyncio.gather(*(served.batcher.close() for served in self._served.values()))

    def all(self) -> list[Served]:
        """What is served now, by name.

        Raises:
            Problem: 503, nothing has been loaded yet.
        """
        if not self.ready:
            raise Problem(503, "the generators are being loaded", headers={"Retry-After": "1"})
        return [self._served[name] for name in sorted(self._served)]

    def find(self, name: str, digest12: str | None) -> Served:
        """One generator.

        Raises:
            Problem: 404, no generator of that name, or it has another digest; 503, nothing has been loaded yet.
        """
        there = self.all()
        served = self._served.get(name)
        if served is None:
            names = [one.generator.name for one in there[:_NAMES_IN_A_PROBLEM]]
            raise Problem(404, f"no generator of that name here; there are: {', '.join(names) or 'none'}", "model")
        if digest12 is not None and digest12 != served.generator.digest12:
            current = f"{name}@{served.generator.digest12}"
            raise Problem(404, f"that version of the generator is not served here; the present one is {current}", "digest")
        return served

    async def _watch(self) -> None:
        seen = await asyncio.to_thread(self._look)
        await self._update(seen, seen)
        # What is loaded now stays: keep it out of every later garbage collection.
        gc.collect()
        gc.freeze()
        self.ready = True
        while True:
            await asyncio.sleep(self._settings.watch_seconds)
            before, seen = seen, await asyncio.to_thread(self._look)
            # A file is taken up once it stands still between two looks: one being copied is not yet there.
            await self._update({name: version for name, version in seen.items() if before.get(name) == version}, seen)

    def _look(self) -> dict[str, _Version]:
        """In a thread: the files now, by stem. A directory that cannot be read now leaves things as they are."""
        found: dict[str, _Version] = {}
        try:
            paths = sorted(path for path in self._directory.iterdir() if path.suffix == ".onnx" and path.name[0] != ".")
        except OSError as error:
            _LOG.error("the models directory cannot be read: %s", error.strerror)
            return dict(self._looked_at)
        for path in paths:
            with contextlib.suppress(OSError):  # gone since it was listed
                status = path.stat()
                found[path.stem] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found

    async def _update(self, settled: dict[str, _Version], there: dict[str, _Version]) -> None:
        for name in set(self._looked_at) - set(there):
            del self._looked_at[name]
            if self._served.pop(name, None) is not None:
                _LOG.info("%s: removed", name)
        for name, version in settled.items():
            if self._looked_at.get(name) == version:
                continue
            self._looked_at[name] = version
            try:
                generator = await asyncio.to_thread(self._open, self._directory / f"{name}.onnx")
            except (UserError, OSError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                kept = "; the one served before goes on" if name in self._served else ""
                _LOG.error("%s.onnx is refused: %s%s", name, reason, kept)
                continue
            present = self._served.get(name)
            if present is None or present.generator.digest != generator.digest:
                self._served[name] = Served(generator, Batcher(generator, self._settings.max_queue))
                _LOG.info("%s@%s: %s on %s", name, generator.digest12, generator.determinism, generator.provider)

    def _open(self, path: Path) -> Generator:
        """In a thread: open and test one file."""
        if not path.resolve().is_relative_to(self._directory.resolve()):
            raise GeneratorError("a symbolic link out of the models directory")
        settings = self._settings
        generator = open_generator(path, settings.provider, settings.threads, settings.max_batch)
        if generator.name != path.stem:
            raise GeneratorError(f"its card's name is {generator.name!r}: name the file {generator.name}.onnx")
        return generator
