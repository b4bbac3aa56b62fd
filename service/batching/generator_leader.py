"""The leader of the generators: the supervisor decides which generator each name has in all workers of a server.

All workers first load a new version of a file (`load`), and answer its pinned URLs. Only when all of them hold the version does
the leader announce the version (`serve`): redirects and lists of any worker then name only versions that every worker has. If
one worker refuses the version, no worker serves it, and the previous version stays in service.

The leader keeps each file in service open, and passes the open file to the workers: a worker that starts later loads the same
bytes, even if the file was replaced or removed meanwhile.
"""

import contextlib
import logging
import os
from collections.abc import Mapping
from itertools import count
from typing import Any

from seedmint.models.errors import one_line
from seedmint.models.runtime.generator_file import DIGEST12
from seedmint.service.batching.leader_state import ABOUT, GeneratorFile, Link, Version, Worker
from seedmint.service.batching.place_scanner import Change, PlaceScanner, Scan, reason_and_message
from seedmint.service.batching.place_states import PlaceStates
from seedmint.service.places.present_versions import ServedFile, present_versions

_LOG = logging.getLogger(__name__)
_MAX_DEATHS = 2  # a version is refused after this many workers died while they loaded it


class GeneratorLeader:
    """Decides which version of each generator file is in service. Runs in the supervisor, and opens no generator itself."""

    def __init__(self, scanner: PlaceScanner) -> None:
        """
        Args:
            scanner: Finds the changes of the places of generators.
        """
        self._scanner = scanner
        self._files: dict[str, GeneratorFile] = {}
        self._versions: dict[int, Version] = {}  # pending and current versions, by number
        self._workers: dict[Link, Worker] = {}
        self._numbers = count(1)
        self._places = PlaceStates()
        self._pins: Mapping[str, str] = {}
        self._missing_pins: set[str] = set()
        self._present: dict[str, str] = {}  # name -> stem of its present version, unless the stem is the name
        self._has_scanned = False
        self._first: set[str] = set()  # stems of the first scan that workers are loading

    def attach(self, link: Link) -> None:
        """Let a new worker load all versions that are in service or pending.

        Args:
            link: The connection to the worker.
        """
        self._workers[link] = Worker()
        if self._present:
            self._send(link, "present", stems=self._present)
        for file in self._files.values():
            for version in (file.current, file.pending):
                if version is not None:
                    self._send_load(link, version)
        self._send_state()

    def detach(self, link: Link) -> None:
        """Forget a worker that has exited.

        Args:
            link: The connection to the worker.
        """
        worker = self._workers.pop(link)
        if worker.loading:
            self._versions[worker.loading[0]].deaths += 1
        for version in list(self._versions.values()):
            version.waiting.discard(link)
            version.holders.discard(link)
            self._settle(version)

    def handle(self, link: Link, message: dict[str, Any]) -> None:
        """Handle the answer of a worker to `load`.

        Args:
            link: The connection to the worker.
            message: Its message `loaded` or `refused`.
        """
        number = message["number"]
        version = self._versions.get(number)
        if version is None:  # replaced, removed or refused meanwhile
            self._drop(link, number)
            return
        with contextlib.suppress(ValueError):
            self._workers[link].loading.remove(number)
        version.waiting.discard(link)
        is_loaded = message["type"] == "loaded"
        if version is self._files[version.stem].current:
            if is_loaded and message["digest"] == version.digest:
                version.holders.add(link)
                self._send(link, "serve", number=number, stem=version.stem)
            else:
                self._withdraw(version)
        elif not is_loaded:
            self._refuse(version, message["reason"], message["message"])
        elif version.digest not in (None, message["digest"]):  # the file was written between the reads of two workers
            self._abandon(version)
            self._scanner.retry(version.stem)
        else:
            version.digest = message["digest"]
            version.log = message["level"], message["text"]
            version.holders.add(link)
            self._settle(version)
        self._send_state()

    def poll(self) -> None:
        """Handle the scans since the last call."""
        for scan in self._scanner.take():
            self.handle_scan(scan)

    def reload(self) -> None:
        """Scan the places now."""
        self._scanner.scan_soon()

    def close(self) -> None:
        """Stop the scans, and close all files."""
        self._scanner.close()
        for version in self._versions.values():
            os.close(version.descriptor)
        self._versions.clear()

    def handle_scan(self, scan: Scan) -> None:
        """Handle a scan.

        Args:
            scan: The changes since the last scan.
        """
        self._places.update(scan)
        for warning in scan.warnings:
            _LOG.warning("%s", warning)
        for stem in scan.removed:
            self._remove(stem)
        for change in scan.changes:
            self._handle_change(change)
        self._pins = scan.pins
        self._set_present()
        if not self._has_scanned and scan.is_complete:
            self._has_scanned = True
            self._first = {stem for stem, file in self._files.items() if file.pending is not None}
            if not self._files:
                names = ", ".join(one_line(status.name) for status in scan.statuses if status.is_known)
                cure = "add one (`seedmint models add FILE`, `seedmint export RUN`), or set SEEDMINT_MODELS"
                _LOG.warning("no generator file in %s: %s", names, cure)
        self._send_state()

    def _handle_change(self, change: Change) -> None:
        file = self._files.setdefault(change.stem, GeneratorFile())
        if file.pending is not None:
            self._abandon(file.pending)
        if change.descriptor is None:
            assert change.error is not None
            reason, message = reason_and_message(change.error)
            if file.error != message:
                self._log_refused(change.stem, reason, message)
            file.error = message
            return
        version = Version(next(self._numbers), change.stem, change.modified, change.descriptor)
        file.pending = self._versions[version.number] = version
        for link in self._workers:
            self._send_load(link, version)

    def _remove(self, stem: str) -> None:
        file = self._files.pop(stem, None)
        if file is None:
            return
        self._first.discard(stem)
        if file.pending is not None:
            self._forget(file.pending)
        if file.current is not None:
            self._set_present()  # first, so that no worker looks for the removed file
            self._forget(file.current)
            self._broadcast("remove", stem=stem)
            _LOG.info("%s: removed", one_line(stem))

    def _settle(self, version: Version) -> None:
        """Put a pending version into service if all workers hold it; refuse it if it has killed workers."""
        file = self._files.get(version.stem)
        if file is None or file.pending is not version:
            return
        if version.deaths >= _MAX_DEATHS:
            self._refuse(version, "worker_died", f"{version.deaths} workers died while they loaded the file")
        elif version.holders and not version.waiting:
            self._serve(file, version)

    def _serve(self, file: GeneratorFile, version: Version) -> None:
        previous = file.current
        file.error, file.pending = None, None
        self._first.discard(version.stem)
        if previous is not None and previous.digest == version.digest:  # the file was only touched or copied
            for link in version.holders:
                self._drop(link, version.number)
            previous.modified = version.modified
            version.descriptor, previous.descriptor = previous.descriptor, version.descriptor
            self._forget(version)
            self._set_present()
            return
        file.current = version
        for link in version.holders:
            self._send(link, "serve", number=version.number, stem=version.stem)
        if previous is not None:
            self._forget(previous)
        _LOG.log(*version.log)
        self._set_present()

    def _refuse(self, version: Version, reason: str, message: str) -> None:
        file = self._files[version.stem]
        self._abandon(version)
        if file.error != message or reason != "unreadable":
            self._log_refused(version.stem, reason, message)
        file.error = message
        if reason == "unreadable":
            self._scanner.retry(version.stem)

    def _abandon(self, version: Version) -> None:
        """End a pending version."""
        self._files[version.stem].pending = None
        self._first.discard(version.stem)
        for link in version.holders:
            self._drop(link, version.number)
        self._forget(version)

    def _withdraw(self, version: Version) -> None:
        """Take a version out of service that a new worker cannot load, so that all workers give the same answers."""
        file = self._files[version.stem]
        file.current = None
        file.error = "the file in service was overwritten, and a new worker cannot load it: replace files by renaming"
        self._set_present()
        self._forget(version)
        self._broadcast("remove", stem=version.stem)
        _LOG.error("%s.onnx: removed from service (overwritten): %s", one_line(version.stem), file.error)

    def _set_present(self) -> None:
        """Tell all workers which versions the URLs without a digest lead to, if that has changed."""
        files = {
            stem: ServedFile(file.current.digest, file.current.modified)
            for stem, file in self._files.items()
            if file.current is not None and file.current.digest is not None
        }
        present, missing = present_versions(files, self._pins, self._present)
        for name in sorted(set(missing) - self._missing_pins):
            version = f"{name}@{self._pins[name][:DIGEST12]}"
            _LOG.warning("aliases: %s is not served; the present version of %s stays", one_line(version), one_line(name))
        self._missing_pins = set(missing)
        if present != self._present:
            self._present = present
            self._broadcast("present", stems=present)

    def _log_refused(self, stem: str, reason: str, message: str) -> None:
        suffix = "" if self._files[stem].current is None else "; the previous version stays in service"
        _LOG.error("%s.onnx: load failed (%s): %s%s", one_line(stem), reason, message, suffix)

    def _forget(self, version: Version) -> None:
        del self._versions[version.number]
        for worker in self._workers.values():
            with contextlib.suppress(ValueError):
                worker.loading.remove(version.number)
        os.close(version.descriptor)

    def _send_load(self, link: Link, version: Version) -> None:
        self._workers[link].loading.append(version.number)
        version.waiting.add(link)
        link.send({"about": ABOUT, "type": "load", "number": version.number, "stem": version.stem}, version.descriptor)

    def _drop(self, link: Link, number: int) -> None:
        self._send(link, "drop", number=number)

    def _send(self, link: Link, kind: str, **values: Any) -> None:
        link.send({"about": ABOUT, "type": kind, **values})

    def _broadcast(self, kind: str, **values: Any) -> None:
        for link in self._workers:
            self._send(link, kind, **values)

    def _send_state(self) -> None:
        """Send each worker the errors of the files, and whether the worker has all generators, if something has changed."""
        errors = {stem: file.error for stem, file in sorted(self._files.items()) if file.error is not None}
        common = {"errors": errors, "places": self._places.documents()}
        for link, worker in self._workers.items():
            is_complete = self._has_scanned and not self._first and not self._loads_current(worker)
            state = {**common, "complete": is_complete}
            if (self._has_scanned or self._places.has_error) and state != worker.state:
                worker.state = state
                self._send(link, "state", **state)

    def _loads_current(self, worker: Worker) -> bool:
        """Return whether a worker is loading a version that other workers already serve."""
        return any(self._versions[number] is self._files[self._versions[number].stem].current for number in worker.loading)
