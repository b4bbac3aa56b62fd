"""What a run leaves behind for people to look at: log.jsonl, TensorBoard events, previews."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from seedmint.models.card import Metric
from seedmint.models.files import write_whole
from seedmint.training.plotting.image_grid import grid
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.runs.diagnostics import Note

PREVIEW_SEEDS = np.arange(64, dtype=np.int64)
PLOTTED_SEEDS = np.arange(1000, dtype=np.int64)


class Record:
    """Writes the log of one run, from `step` on: what an interrupted process logged beyond it is taken back.

    Args:
        directory: the run's.
        step: iterations already done.
    """

    def __init__(self, directory: Path, step: int) -> None:
        self._log = directory / "log.jsonl"
        self._previews = directory / "previews"
        self._previews.mkdir(exist_ok=True)
        kept = [line for line in _lines(self._log) if json.loads(line)["step"] <= step]
        write_whole(self._log, "".join(kept).encode())
        self._board = SummaryWriter(str(directory / "tensorboard"), purge_step=step + 1 if step else None)

    def statistics(self, step: int, values: dict[str, float]) -> None:
        """One line of the log, and a point in each of TensorBoard's curves."""
        self._append({"step": step, **{key: round(value, 6) for key, value in values.items()}})
        for key, number in values.items():
            self._board.add_scalar(key, number, step)

    def metrics(self, step: int, weights: str, metrics: tuple[Metric, ...]) -> None:
        """A line of the log, and a point in each metric's curve in TensorBoard, for the generator with these weights."""
        kept = {"metric", "value", "standard_error"}
        values = [metric.model_dump(include=kept, exclude_none=True) for metric in metrics]
        self._append({"step": step, "weights": weights, "metrics": values})
        for metric in metrics:
            self._board.add_scalar(f"metrics-{weights}/{metric.metric}", metric.value, step)

    def diversity(self, step: int, value: float) -> None:
        """A line of the log, and a point in its curve in TensorBoard."""
        self._append({"step": step, "diversity": round(value, 6)})
        self._board.add_scalar("diversity", value, step)

    def notes(self, step: int, notes: Sequence[Note]) -> None:
        """For each, a line of the log and a text in TensorBoard."""
        for note in notes:
            self._append({"step": step, "note": note.kind, "text": note.text})
            self._board.add_text(note.kind, note.text, step)

    def preview(self, step: int, images: NDArray[np.uint8]) -> None:
        """A grid of uint8[n, height, width, channels], as previews/step-N.png, and in TensorBoard."""
        content = grid(images, columns=8)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_images("preview", images, step, dataformats="NHWC")

    def plot(self, step: int, samples: NDArray[np.float32], names: tuple[str, ...]) -> None:
        """A plot of float32[n, columns] or float32[n, length, channels], as previews/step-N.png, and in TensorBoard."""
        content = plot(samples, names)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_image("preview", np.asarray(Image.open(io.BytesIO(content))), step, dataformats="HWC")

    def _append(self, entry: dict[str, Any]) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        self._board.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log that can be read, in their order; none where there is no log."""
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    """The lines of a log that can be read; a process killed, or a machine switched off, may leave others."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if _is_entry(line)]


def _is_entry(line: str) -> bool:
    try:
        return line.endswith("\n") and isinstance(json.loads(line)["step"], int)
    except (ValueError, LookupError, TypeError):
        return False
