"""Checkpoints: safetensors files, written atomically, each with a checksum of all it holds. Nothing is ever unpickled."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seedmint.models.errors import UserError
from seedmint.models.files import write_whole

KEEP = 3  # checkpoints of a run

_FORMAT = "seedmint-checkpoint-1"
_FILE = re.compile(r"step-(\d{9})\.safetensors")


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or of another format."""


@dataclass(frozen=True)
class Checkpoint:
    """State after `step` iterations.

    Attributes:
        step: iterations done.
        recipe: the recipe's document, as the run began with it.
        facts: other JSON values: the data set's digest, versions, sums not yet logged.
        tensors: by name, on the CPU.
    """

    step: int
    recipe: dict[str, Any]
    facts: dict[str, Any]
    tensors: dict[str, Tensor]


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> Path:
    """Write `step-NNNNNNNNN.safetensors`, then remove all but the newest `KEEP`.

    Raises:
        OSError: it cannot be written.
    """
    head = json.dumps({"step": checkpoint.step, "recipe": checkpoint.recipe, "facts": checkpoint.facts}, sort_keys=True)
    metadata = {"format": _FORMAT, "head": head, "sha256": _checksum(head, checkpoint.tensors)}
    path = directory / f"step-{checkpoint.step:09d}.safetensors"
    write_whole(path, save(checkpoint.tensors, metadata))
    for _, old in list_checkpoints(directory)[:-KEEP]:
        old.unlink()
    return path


def list_checkpoints(directory: Path) -> list[tuple[int, Path]]:
    """Steps and files in a directory of checkpoints, oldest first. Empty where there is no such directory."""
    if not directory.is_dir():
        return []
    return sorted((int(match[1]), path) for path in directory.iterdir() if (match := _FILE.fullmatch(path.name)))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint and hold it against its checksum.

    Raises:
        CheckpointError: damaged, or not a checkpoint of this format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 -- not a mapping
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of format {_FORMAT}")
    if _checksum(metadata.get("head", ""), tensors) != metadata.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its contents do not match its checksum")
    head = json.loads(metadata["head"])
    return Checkpoint(head["step"], head["recipe"], head["facts"], tensors)


def _checksum(head: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(head.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
