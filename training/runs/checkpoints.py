"""Checkpoints: safetensors files, written atomically, each with a checksum of its whole content. No pickle is involved."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seedmint.models.files import write_whole
from seedmint.training.runs.errors import CheckpointError

MAX_CHECKPOINTS = 3
"""Number of checkpoints that a run keeps."""

BEST_DIRECTORY = "best"
"""Directory of the checkpoint with the best value of `keep_best`, inside the directory of the run."""

_FORMAT = "seedmint-checkpoint-3"
_FILE_NAME = re.compile(r"step-(\d{9})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after `step` iterations.

    Attributes:
        step: Number of finished iterations.
        recipe: The recipe's document.
        metadata: Other JSON values: the data set, versions, and sums that are not logged yet.
        tensors: Tensors by name, on the CPU.
    """

    step: int
    recipe: dict[str, Any]
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def save_checkpoint(directory: Path, checkpoint: Checkpoint, keep: int = MAX_CHECKPOINTS) -> Path:
    """Write `step-NNNNNNNNN.safetensors`, then delete all but the newest.

    Args:
        directory: Directory of the run's checkpoints.
        checkpoint: The state to write.
        keep: Number of checkpoints to keep.

    Returns:
        Path of the new file.

    Raises:
        OSError: The file cannot be written.
    """
    content = {"step": checkpoint.step, "recipe": checkpoint.recipe, "metadata": checkpoint.metadata}
    head = json.dumps(content, sort_keys=True)
    header = {"format": _FORMAT, "head": head, "sha256": _checksum(head, checkpoint.tensors)}
    path = directory / f"step-{checkpoint.step:09d}.safetensors"
    write_whole(path, save(checkpoint.tensors, header))
    for _, old in list_checkpoints(directory)[:-keep]:
        old.unlink()
    return path


def list_checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Return the steps and files of a directory of checkpoints, oldest first; empty if the directory does not exist."""
    if not directory.is_dir():
        return []
    return sorted((int(match[1]), path) for path in directory.iterdir() if (match := _FILE_NAME.fullmatch(path.name)))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and verify its checksum.

    Args:
        path: The file.

    Raises:
        CheckpointError: The file is damaged, or not a checkpoint of this format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 -- not a mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}", reason="damaged") from None
    if header.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of format {_FORMAT}", reason="unknown_format")
    if _checksum(header.get("head", ""), tensors) != header.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its content does not match its checksum", reason="damaged")
    head = json.loads(header["head"])
    return Checkpoint(head["step"], head["recipe"], head["metadata"], tensors)


def _checksum(head: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(head.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
