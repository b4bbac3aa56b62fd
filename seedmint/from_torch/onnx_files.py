"""Exports a network to ONNX: with a dynamic batch where that works, otherwise with a batch of one."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import torch

from seedmint.from_torch.calling import Adapter, example_inputs
from seedmint.models.errors import one_line

_OPSET = 18
_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "torch.fx.experimental.symbolic_shapes")


def export_attempts(adapter: Adapter) -> list[tuple[str, Callable[[Path], None]]]:
    """Return the ways to export a network, the best first: a name for messages, and a function that writes a file.

    Args:
        adapter: The network, in evaluation mode.
    """
    attempts: list[tuple[str, Callable[[Path], None]]] = [("torch.export, batch 1", partial(_export, adapter, 1, True))]
    attempts.append(("torch.jit.trace, batch 1", partial(_export, adapter, 1, False)))
    if adapter.call.truncation_name is None:  # a truncation for each row needs runs of one row
        attempts.insert(0, ("torch.export, any batch", partial(_export, adapter, 2, True)))
    return attempts


def _export(adapter: Adapter, batch: int, dynamo: bool, path: Path) -> None:
    names = ["z"]
    if adapter.call.label_name is not None:
        names.append("label")
    if adapter.call.truncation_name is not None:
        names.append("truncation")
    options: dict[str, Any] = {}
    if batch > 1:
        rows = torch.export.Dim("batch", min=1)
        others = tuple({0: rows} for _ in names[1:])
        options["dynamic_shapes"] = ({0: rows}, others) if others else ({0: rows},)  # `forward` has z and *others
    with _quiet():
        torch.onnx.export(
            adapter,
            example_inputs(adapter.call, batch, adapter.device),
            str(path),
            input_names=names,
            output_names=["output"],
            opset_version=_OPSET,
            dynamo=dynamo,
            verbose=False,
            **options,
        )


def export_error(error: Exception) -> str:
    """Return the reason of a failed export in one line.

    Args:
        error: The exception of torch.
    """
    cause = error.__cause__ or error
    return one_line(str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__, 200)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it logs and prints pages about networks that it cannot export."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
