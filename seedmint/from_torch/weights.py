"""Reads the weights of a checkpoint, and finds those of the network. Nothing is unpickled except tensors and plain values."""

import argparse
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seedmint.models.errors import UserError, one_line
from seedmint.service.importer.file_kinds import check_file_kind

_KINDS_WITH_WEIGHTS = {"pytorch_checkpoint", "safetensors_file"}
_MAX_DEPTH = 4
_MAX_CANDIDATES = 200
_LISTED_KEYS = 4
_UNUSED = "num_batches_tracked"  # a counter of training; old checkpoints have none

# After exponential moving averages, which publishers mean where a checkpoint has both.
_PREFERRED = ("generator", "netg", "g", "state_dict", "model", "params", "module", "")

# Values that training scripts store beside the weights. None runs code when it is loaded.
_SAFE_TYPES = [argparse.Namespace, np.dtype, np.ndarray, type(np.dtype("float64")), type(np.dtype("int64"))]
_SAFE_FUNCTIONS = ["scalar", "_reconstruct"]

Tensors = Mapping[str, torch.Tensor]


def load_weights(module: nn.Module, path: Path) -> str:
    """Load the weights of a checkpoint into a network.

    The weights can be nested (`{"G_ema": {...}}`, `{"state_dict": {...}}`), and their names can have a common prefix
    (`module.`, `generator.`). If several parts of the checkpoint fit, an exponential moving average is taken first.

    Args:
        module: The network; changed in place.
        path: A checkpoint of `torch.save`, or a safetensors file.

    Returns:
        Where the weights were found, such as `G_ema`; the empty text for a file of only these weights.

    Raises:
        UserError: The file has another format, contains other objects than weights, or no part fits the network.
        OSError: The file cannot be read.
    """
    candidates = list(_candidates(_read(path)))[:_MAX_CANDIDATES]
    if not candidates:
        raise UserError(f"{path} contains no weights by name", field="file", reason="no_weights")
    expected = module.state_dict()
    ranked = sorted(candidates, key=lambda candidate: (-_num_fitting(candidate[1], expected), _preference(candidate[0])))
    for name, weights in ranked:
        if _num_fitting(weights, expected) == 0 and expected:
            break
        if _try_load(module, weights):
            return name
    raise _mismatch(path, ranked[0], expected)


def _read(path: Path) -> Any:
    """Return the content of a checkpoint."""
    try:
        check_file_kind(path)
    except UserError as error:
        if error.reason not in _KINDS_WITH_WEIGHTS:
            raise
        kind = error.reason
    else:
        raise UserError(
            f"{path} is neither a PyTorch checkpoint nor a safetensors file", field="file", reason="not_a_checkpoint"
        )
    try:
        if kind == "safetensors_file":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals([*_SAFE_TYPES, *_safe_functions()]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except ModuleNotFoundError:
        raise UserError("a safetensors file needs safetensors: pip install safetensors", reason="missing_package") from None
    except Exception as error:  # torch and safetensors raise several types, for damaged files too
        if _holds_other_objects(error):
            raise UserError(
                f"{path} contains Python objects beside weights ({_global_name(error)}), which run code when they are loaded: "
                "if you trust the file, load it in Python and pass the network to seedmint.take_in",
                field="file",
                reason="pickled_objects",
            ) from None
        raise UserError(f"{path} cannot be read: {one_line(error, 200)}", field="file", reason="damaged_checkpoint") from None


def _safe_functions() -> list[Any]:
    """Return the functions with which numpy stores its numbers and arrays, under their old and new names."""
    core = np._core.multiarray  # type: ignore[attr-defined]
    functions = [getattr(core, name) for name in _SAFE_FUNCTIONS]
    return [*functions, *((function, f"numpy.core.multiarray.{function.__name__}") for function in functions)]


def _holds_other_objects(error: Exception) -> bool:
    return "weights_only" in str(error) or "Unsupported" in str(error) or "WeightsUnpickler" in str(error)


def _global_name(error: Exception) -> str:
    """Return the name of the object that torch refused."""
    words = str(error).replace("`", " ").split()
    return next((word for previous, word in pairwise(words) if previous == "GLOBAL"), "a class")


def _candidates(tree: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """Yield each group of tensors with a common parent or a common prefix, and its name."""
    if not isinstance(tree, Mapping) or depth > _MAX_DEPTH:
        return
    tensors = {str(key): value for key, value in tree.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield name, tensors
        for prefix in sorted(_prefixes(tensors)):
            group = {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
            yield _joined(name, prefix), group
    for key, value in tree.items():
        yield from _candidates(value, _joined(name, str(key)), depth + 1)


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


def _prefixes(tensors: Tensors) -> set[str]:
    found: set[str] = set()
    for key in tensors:
        parts = key.split(".")
        found.update(".".join(parts[:count]) for count in range(1, min(len(parts), _MAX_DEPTH)))
    return found


def _preference(name: str) -> tuple[int, int]:
    lower = name.lower()
    words = lower.replace("_", ".").replace("-", ".").split(".")
    if "ema" in lower:
        return -1, len(name)
    rank = next((i for i, word in enumerate(_PREFERRED) if word in words), len(_PREFERRED))
    return rank, len(name)


def _num_fitting(weights: Tensors, expected: Tensors) -> int:
    return sum(key in weights and weights[key].shape == value.shape for key, value in expected.items())


def _try_load(module: nn.Module, weights: Tensors) -> bool:
    """Load weights, if they are complete. torch itself converts the names of older versions."""
    try:
        found = module.load_state_dict(dict(weights), strict=False)
    except RuntimeError:  # a shape differs
        return False
    return all(key.endswith(_UNUSED) for key in (*found.missing_keys, *found.unexpected_keys))


def _mismatch(path: Path, best: tuple[str, Tensors], expected: Tensors) -> UserError:
    """Return the error for a checkpoint of another network, with the keys that differ."""
    name, weights = best
    missing = [key for key in expected if key not in weights and not key.endswith(_UNUSED)]
    unknown = [key for key in weights if key not in expected and not key.endswith(_UNUSED)]
    shapes = [
        f"{key} {list(weights[key].shape)} instead of {list(expected[key].shape)}"
        for key in expected
        if key in weights and weights[key].shape != expected[key].shape
    ]
    groups = (("missing", missing), ("not in the network", unknown), ("other shapes", shapes))
    parts = [f"{text}: {_listed(keys)}" for text, keys in groups if keys]
    place = f" (in {name})" if name else ""
    return UserError(
        f"{path}: the weights{place} do not fit the network: {'; '.join(parts)}; check the arguments of the network",
        field="network",
        reason="weights_mismatch",
        other_fields=("arg",),
    )


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _LISTED_KEYS} more" if len(keys) > _LISTED_KEYS else ""
    return ", ".join(keys[:_LISTED_KEYS]) + more
