"""What a run leaves behind for people to look at: log.jsonl, TensorBoard events, preview grids."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from models.card import Metric
from models.files import write_whole
from training.pictures import grid

PREVIEW_SEEDS = np.arange(64, dtype=np.int64)


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

    def preview(self, step: int, images: NDArray[np.uint8]) -> None:
        """A grid of uint8[n, height, width, channels], as previews/step-N.png, and in TensorBoard."""
        content = grid(images, columns=8)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_images("preview", images, step, dataformats="NHWC")

    def _append(self, entry: dict[str, Any]) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        self._board.close()


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
