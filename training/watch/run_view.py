"""Reads the directory of a run for the page: its recipe, the new entries of its log, and its previews."""

import base64
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedmint.training.objectives import OBJECTIVES
from seedmint.training.runs.directory import read_run_recipe
from seedmint.training.runs.errors import TrainingError

_PREVIEW = re.compile(r"step-[0-9]{9,}\.png")
_MAX_BYTES = 4 << 20  # of the log in one answer
_MAX_RECORDED_PREVIEWS = 60


@dataclass(frozen=True)
class NewEntries:
    """Entries of a log that the page does not have.

    Attributes:
        file: Number of the log file. `seedmint resume` writes a new file, without the entries of interrupted iterations.
        offset: Where the next entries begin in the file, in bytes.
        is_reset: Whether the file is new, so that the page must forget its entries.
        is_complete: Whether there are no more entries now.
        entries: The entries.
    """

    file: int
    offset: int
    is_reset: bool
    is_complete: bool
    entries: list[dict[str, Any]]


class RunView:
    """A run on the page. Only reads files, so that the run may be in progress.

    Args:
        directory: The run's directory.

    Raises:
        UserError: The directory holds no run.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        recipe = read_run_recipe(directory)
        objective = OBJECTIVES[recipe.objective]
        self.description: dict[str, Any] = {
            "directory": str(directory),
            "name": recipe.name,
            "title": recipe.title,
            "steps": recipe.steps,
            "objective": recipe.objective,
            "equilibrium": objective.equilibrium,
            "estimates_jsd": objective.estimates_jsd,
        }

    def entries_after(self, file: int, offset: int) -> NewEntries:
        """Return the entries of the log, starting at a position.

        Args:
            file: `NewEntries.file` of the last call; 0 in the first call.
            offset: `NewEntries.offset` of the last call; 0 in the first call.
        """
        try:
            with (self._directory / "log.jsonl").open("rb") as log:
                status = os.fstat(log.fileno())
                is_reset = status.st_ino != file or offset > status.st_size
                start = 0 if is_reset else offset
                log.seek(start)
                content = log.read(_MAX_BYTES)
        except FileNotFoundError:
            return NewEntries(0, 0, True, True, [])
        lines = content[: content.rfind(b"\n") + 1]  # without a line that is being written
        return NewEntries(status.st_ino, start + len(lines), is_reset, start + len(content) >= status.st_size, _entries(lines))

    def previews(self) -> list[str]:
        """Return the names of the previews, the oldest first."""
        folder = self._directory / "previews"
        return sorted(path.name for path in folder.glob("step-*.png")) if folder.is_dir() else []

    def preview(self, name: str) -> bytes | None:
        """Return the PNG of a preview; None if it does not exist.

        Args:
            name: A name of `previews`.
        """
        if not _PREVIEW.fullmatch(name):
            return None
        try:
            return (self._directory / "previews" / name).read_bytes()
        except FileNotFoundError:
            return None

    def recording(self) -> dict[str, Any]:
        """Return the run for a page in a file: its description, the whole log, and some previews as `data:` URLs by name.

        The same run gives the same values, on every machine.
        """
        entries: list[dict[str, Any]] = []
        new = NewEntries(0, 0, True, False, [])
        while not new.is_complete:
            new = self.entries_after(new.file, new.offset)
            entries = new.entries if new.is_reset else entries + new.entries
        names = self.previews()
        if len(names) > _MAX_RECORDED_PREVIEWS:
            last = len(names) - 1
            names = [names[round(i * last / (_MAX_RECORDED_PREVIEWS - 1))] for i in range(_MAX_RECORDED_PREVIEWS)]
        contents = {name: self.preview(name) for name in names}
        pictures = {
            name: f"data:image/png;base64,{base64.b64encode(content).decode()}"
            for name, content in contents.items()
            if content is not None
        }
        return self.description | {
            "directory": self._directory.name,
            "entries": [{key: value for key, value in entry.items() if not key.endswith("/s")} for entry in entries],
            "previews": list(pictures),
            "pictures": pictures,
        }

    def seconds_since_update(self) -> float | None:
        """Return the time since the last entry of the log; None if there is no log."""
        try:
            return max(0.0, time.time() - (self._directory / "log.jsonl").stat().st_mtime)
        except FileNotFoundError:
            return None


def find_runs(paths: tuple[Path, ...]) -> list[RunView]:
    """Return the runs at the given paths. A path is the directory of a run, or a directory whose subdirectories are runs.

    Args:
        paths: The paths.

    Raises:
        UserError: There is no run at a path.
    """
    views = []
    for path in paths:
        if not path.is_dir():
            raise TrainingError(f"{path} is not a directory", field="runs", reason="not_a_directory")
        subdirectories = [path] if (path / "recipe.yaml").is_file() else sorted(path.glob("*/recipe.yaml"))
        if not subdirectories:
            raise TrainingError(
                f"{path} holds no run; `seedmint train` starts a run, by default in runs/", field="runs", reason="no_run"
            )
        views += [RunView(each if each.is_dir() else each.parent) for each in subdirectories]
    return views


def _entries(content: bytes) -> list[dict[str, Any]]:
    entries = []
    for line in content.splitlines():
        try:
            entry = json.loads(line, parse_constant=lambda _: None)  # NaN and infinities are no JSON for browsers
        except ValueError:  # a killed process or a power failure left an incomplete line
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            entries.append(entry)
    return entries
