"""Writes the outputs of a run for people: log.jsonl, TensorBoard events and previews."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from seedmint.models.files import write_whole
from seedmint.models.provenance import Metric
from seedmint.training.plotting.image_grid import grid_beside
from seedmint.training.plotting.sample_plots import plot
from seedmint.training.plotting.text_pictures import text_picture
from seedmint.training.runs.diagnostics import Diagnostic

_PREVIEW_COLUMNS = 8


class EventLog:
    """Writes the log of one run from a step on. Removes later log entries, which an interrupted process has written.

    Args:
        directory: The run's directory.
        step: Number of finished iterations.
    """

    def __init__(self, directory: Path, step: int) -> None:
        self._path = directory / "log.jsonl"
        self._previews = directory / "previews"
        self._previews.mkdir(exist_ok=True)
        kept = [line for line in _valid_lines(self._path) if json.loads(line)["step"] <= step]
        write_whole(self._path, "".join(kept).encode())
        self._board = SummaryWriter(str(directory / "tensorboard"), purge_step=step + 1 if step else None)

    def write_statistics(self, step: int, values: dict[str, float]) -> None:
        """Write one log line, and one point of each TensorBoard curve.

        Args:
            step: Number of finished iterations.
            values: Statistics by name.
        """
        self._append({"step": step, **{key: round(value, 6) for key, value in values.items()}})
        for key, value in values.items():
            self._board.add_scalar(key, value, step)

    def write_metrics(self, step: int, weights: str, metrics: tuple[Metric, ...]) -> None:
        """Write one log line, and one point of each metric's TensorBoard curve.

        Args:
            step: Number of finished iterations.
            weights: The measured weights, `last` or `ema`.
            metrics: The metrics of these weights.
        """
        fields = {"metric", "value", "standard_error"}
        values = [metric.model_dump(include=fields, exclude_none=True) for metric in metrics]
        self._append({"step": step, "weights": weights, "metrics": values})
        for metric in metrics:
            self._board.add_scalar(f"metrics-{weights}/{metric.metric}", metric.value, step)

    def write_diversity(self, step: int, value: float) -> None:
        """Write one log line, and one point of the TensorBoard curve.

        Args:
            step: Number of finished iterations.
            value: Diversity of the preview; 1 is the diversity of the data.
        """
        self._append({"step": step, "diversity": round(value, 6)})
        self._board.add_scalar("diversity", value, step)

    def write_diagnostics(self, step: int, diagnostics: Sequence[Diagnostic]) -> None:
        """Write one log line and one TensorBoard text for each diagnostic.

        Args:
            step: Number of finished iterations.
            diagnostics: The conditions found at this step.
        """
        for diagnostic in diagnostics:
            self._append({"step": step, "diagnostic": diagnostic.kind, "message": diagnostic.message})
            self._board.add_text(diagnostic.kind, diagnostic.message, step)

    def write_image_preview(self, step: int, images: NDArray[np.uint8], real: NDArray[np.uint8]) -> None:
        """Write a grid of images beside a grid of real images to previews/step-N.png, and the images to TensorBoard.

        Args:
            step: Number of finished iterations.
            images: uint8[n, height, width, channels].
            real: Real images of the same labels and shape.
        """
        content = grid_beside(images, real, _PREVIEW_COLUMNS)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_images("preview", images[..., :3], step, dataformats="NHWC")  # TensorBoard knows no opacity

    def write_sample_preview(
        self, step: int, samples: NDArray[np.float32] | NDArray[np.float64], names: tuple[str, ...]
    ) -> None:
        """Write a plot of samples to previews/step-N.png and to TensorBoard.

        Args:
            step: Number of finished iterations.
            samples: float[n, columns] or float[n, length, channels].
            names: Names of the columns or channels.
        """
        content = plot(samples, names)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_image("preview", np.asarray(Image.open(io.BytesIO(content))), step, dataformats="HWC")

    def write_text_preview(self, step: int, texts: Sequence[str]) -> None:
        """Write strings to previews/step-N.txt, the first of them to previews/step-N.png, and to TensorBoard.

        Args:
            step: Number of finished iterations.
            texts: Strings of the first seeds.
        """
        write_whole(self._previews / f"step-{step:09d}.txt", "".join(f"{text}\n" for text in texts).encode())
        content = text_picture(texts)
        write_whole(self._previews / f"step-{step:09d}.png", content)
        self._board.add_image("preview", np.asarray(Image.open(io.BytesIO(content))), step, dataformats="HWC")

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def close(self) -> None:
        """Write the pending TensorBoard events and close the file."""
        self._board.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the valid entries of a log, in their order; an empty list if the file does not exist.

    Args:
        path: A log.jsonl file.
    """
    return [json.loads(line) for line in _valid_lines(path)]


def _valid_lines(path: Path) -> list[str]:
    """Return the valid lines of a log. A killed process or a power failure can leave incomplete lines."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if _is_entry(line)]


def _is_entry(line: str) -> bool:
    try:
        return line.endswith("\n") and isinstance(json.loads(line)["step"], int)
    except (ValueError, LookupError, TypeError):
        return False
