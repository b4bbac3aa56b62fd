"""Exports a torch generator to an ONNX file with its card, and verifies the file against torch."""

import io
import logging
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedmint.models.card import Card, ImageOutput, SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.noise import noise
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.reference import with_card, with_reference
from seedmint.training.datasets.dataset import Encoding
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.export.portable import make_portable
from seedmint.training.export.served_generator import ServedGenerator

OPSET = 18
VERIFIED_SEEDS = 1000
"""Number of seeds, from 0, over which an export is compared with torch."""
TOLERANCE = 1
"""Largest difference between torch and ONNX Runtime, in gray levels or rounding units. The order of their sums differs."""

MAX_DIFFERENT_CODES = 0.02
"""Largest share of the codes of one column of a table that differs between torch and ONNX Runtime."""


class ExportError(UserError):
    """A generator that cannot be exported, or whose file differs from torch."""

    reason = "export"


def export_generator(generator: nn.Module, card: Card, scaling: Scaling | Encoding | None = None) -> bytes:
    """Return a torch generator as a generator file, after a comparison with torch over `VERIFIED_SEEDS` seeds.

    Args:
        generator: In evaluation mode, on the CPU; see `seedmint.training.networks`.
        card: The card of the file.
        scaling: Scaling of samples, or the encoding of a table or of series; None for images.

    Returns:
        The bytes of the file. Its card has the reference of this machine.

    Raises:
        ExportError: ONNX Runtime and torch differ by more than `TOLERANCE`.
        ContractError: The graph does not match the card.
    """
    served = ServedGenerator(generator, scaling).eval()
    classes = len(card.classes or ())
    content = with_card(_to_onnx(served, card.noise.z_dim, classes, card.output.kind), card)
    verify_export(content, served)
    return with_reference(content)


def verify_export(content: bytes, served: nn.Module) -> int:
    """Compare a generator file with the torch module that it was exported from.

    Args:
        content: The bytes of the file.
        served: The module, in evaluation mode.

    Returns:
        The largest difference, in gray levels or rounding units; of tables, the number of different codes.

    Raises:
        ExportError: The difference exceeds `TOLERANCE`, or the file does not run.
        ContractError: The graph does not match the card.
        CardError: The file has no valid card.
    """
    model = onnx.load_from_string(content)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # shape inference raises its own types
        raise ExportError(f"onnx's checker rejects the file: {error}", reason="invalid_onnx") from None
    session = GeneratorSession(content)
    card = session.card
    seeds = np.arange(VERIFIED_SEEDS, dtype=np.int64)
    z = noise(card.noise.rule, card.noise.z_dim, seeds)
    rule = card.label_rule()
    labels = None if rule is None else rule.labels(seeds)
    batches = [slice(start, start + session.max_batch) for start in range(0, len(seeds), session.max_batch)]
    outputs = np.concatenate([session.run(z[rows], None if labels is None else labels[rows]) for rows in batches])
    with torch.no_grad():
        expected = served(*(torch.from_numpy(array) for array in (z, labels) if array is not None)).numpy()
    if outputs.shape != expected.shape:
        message = f"the output of ONNX Runtime has shape {list(outputs.shape)}, but torch's output {list(expected.shape)}"
        raise ExportError(message, reason="wrong_shape")
    if isinstance(card.output, SampleOutput) and card.output.columns is not None:
        return _check_codes(outputs, expected)
    unit, unit_name = (
        (1.0, "gray levels") if isinstance(card.output, ImageOutput) else (_resolution(card.output), "rounding units")
    )
    if (np.isnan(outputs) != np.isnan(expected)).any():
        raise ExportError("the lengths of series of ONNX Runtime and torch differ", reason="differs_from_torch")
    differences = np.nan_to_num(np.abs(outputs.astype(np.float64) - expected.astype(np.float64))) / unit
    largest = int(differences.max())
    if largest > TOLERANCE:
        seed = int(differences.reshape(len(seeds), -1).max(axis=1).argmax())
        message = f"ONNX Runtime and torch differ by {largest} {unit_name} for seed {seed}; at most {TOLERANCE} is allowed"
        raise ExportError(message, reason="differs_from_torch")
    return largest


def _check_codes(outputs: NDArray[np.float32], expected: NDArray[np.float32]) -> int:
    """Compare codes. The rounding of one number in 4,096 to the other side changes a code by any amount."""
    different = outputs != expected
    share = float(different.mean(axis=0).max())
    if share > MAX_DIFFERENT_CODES:
        message = f"{share:.1%} of the codes of ONNX Runtime and torch differ; at most {MAX_DIFFERENT_CODES:.0%} may differ"
        raise ExportError(message, reason="differs_from_torch")
    return int(different.sum())


def install_generator(content: bytes, directory: Path, name: str, replace: bool) -> Path:
    """Write a generator file to `directory/NAME.onnx`, atomically.

    Args:
        content: The bytes of the file.
        directory: The models directory; created if it does not exist.
        name: Name of the generator.
        replace: Whether to replace another generator of this name.

    Returns:
        Path of the file.

    Raises:
        ExportError: Another generator has this name, and `replace` is false.
    """
    path = directory / f"{name}.onnx"
    if path.exists() and not replace and path.read_bytes() != content:
        raise ExportError(
            f"{path} exists: choose another name, or replace it", field="name", reason="name_taken", other_fields=("replace",)
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return path


def _resolution(output: SampleOutput) -> NDArray[np.float64]:
    if output.resolution is None:
        raise ExportError("the card of exported samples needs a resolution", field="output.resolution", reason="invalid_card")
    return np.array(output.resolution)


def _to_onnx(served: nn.Module, z_dim: int, classes: int, output: str) -> bytes:
    batch = torch.export.Dim("batch", min=1)
    inputs: tuple[Tensor, ...] = (torch.zeros(2, z_dim),)
    names, shapes = ["z"], [{0: batch}]
    if classes:
        inputs, names, shapes = (*inputs, torch.zeros(2, dtype=torch.int64)), [*names, "label"], [*shapes, {0: batch}]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            served,
            inputs,
            input_names=names,
            output_names=[output],
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = _remove_exporter_data(program.model_proto)
    make_portable(model)
    return bytes(model.SerializeToString(deterministic=True))


def _remove_exporter_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's metadata. They contain paths of this machine, so the digest would depend on the machine."""
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    model.producer_name, model.producer_version = "seedmint", ""
    model.graph.name = "generator"
    del model.functions[:]
    for entry in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del entry.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
    del model.graph.value_info[:]
    return model
