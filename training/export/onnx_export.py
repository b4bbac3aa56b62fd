"""Export: a checkpoint's generator -> one ONNX file with its card, verified before it is written."""

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

from seedmint.models.card import CARD_KEY, Card, CardError, ImageOutput, SampleOutput, read_card
from seedmint.models.errors import UserError
from seedmint.models.files import write_whole
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.training.datasets.scaling import Scaling
from seedmint.training.export.served_generator import ServedGenerator

OPSET = 18
VERIFIED_SEEDS = 1000
TOLERANCE = 1  # grey levels, or steps of the resolution, between torch and ONNX Runtime, whose sums run in another order


class ExportError(UserError):
    """A generator that cannot be exported, or that does not come out the same."""


def export_generator(generator: nn.Module, card: Card, scaling: Scaling | None = None) -> bytes:
    """A torch generator as a generator file, held against torch over `VERIFIED_SEEDS` seeds.

    Args:
        generator: in evaluation mode, on the CPU; see `seedmint.training.networks`.
        card: what the file shall say of itself.
        scaling: of samples; None for images.

    Returns:
        the file's bytes.

    Raises:
        ExportError: what ONNX Runtime computes differs from torch by more than `TOLERANCE`.
        ContractError: the graph is not what the card says.
    """
    served = ServedGenerator(generator, scaling).eval()
    classes = len(card.classes or ())
    content = _to_onnx(served, card.noise.z_dim, classes, card)
    verify(content, served)
    return content


def verify(content: bytes, served: nn.Module) -> int:
    """Hold a generator file against the torch module it came from.

    Returns:
        the largest difference found, in grey levels or steps of the resolution.

    Raises:
        ExportError: it is more than `TOLERANCE`, or the file does not run.
        ContractError, CardError: the file is not a generator file.
    """
    model = onnx.load_from_string(content)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # shape inference raises its own
        raise ExportError(f"onnx's checker refuses it: {error}") from None
    session = GeneratorSession(content)
    card = session.card
    seeds = np.arange(VERIFIED_SEEDS, dtype=np.int64)
    z = noise(card.noise.rule, card.noise.z_dim, seeds)
    labels = None if card.classes is None else labels_of(seeds, len(card.classes))
    batches = [slice(start, start + session.max_batch) for start in range(0, len(seeds), session.max_batch)]
    found = np.concatenate([session.run(z[rows], None if labels is None else labels[rows]) for rows in batches])
    with torch.no_grad():
        wanted = served(*(torch.from_numpy(array) for array in (z, labels) if array is not None)).numpy()
    if found.shape != wanted.shape:
        raise ExportError(f"ONNX Runtime makes arrays of shape {list(found.shape)}, torch {list(wanted.shape)}")
    unit, step = (1.0, "grey levels") if isinstance(card.output, ImageOutput) else (_resolution(card.output), "steps")
    difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64)) / unit
    worst = int(difference.max())
    if worst > TOLERANCE:
        seed = int(difference.reshape(len(seeds), -1).max(axis=1).argmax())
        raise ExportError(f"ONNX Runtime and torch differ by {worst} {step} (seed {seed}); at most {TOLERANCE} is allowed")
    return worst


def install(content: bytes, directory: Path, name: str, replace: bool) -> Path:
    """Write a generator file to `directory/NAME.onnx`, atomically.

    Raises:
        ExportError: another generator of that name is there, and `replace` is not set.
    """
    path = directory / f"{name}.onnx"
    if path.exists() and not replace and path.read_bytes() != content:
        raise ExportError(f"--name: {path} is there already: choose another name, or pass --replace")
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return path


def with_card(content: bytes, card: Card) -> bytes:
    """The same generator with another card; the file's digest, and so its addresses, change with it."""
    model = onnx.load_from_string(content)
    return _with_card(model, card)


def _resolution(output: SampleOutput) -> NDArray[np.float64]:
    if output.resolution is None:
        raise ExportError("output.resolution: what is exported here must be rounded")
    return np.array(output.resolution)


def _to_onnx(served: nn.Module, z_dim: int, classes: int, card: Card) -> bytes:
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
            output_names=[card.output.kind],
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return _with_card(_cleaned(program.model_proto), card)


def _cleaned(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's notes: they hold paths of this machine, and would make the digest depend on it."""
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


def _with_card(model: onnx.ModelProto, card: Card) -> bytes:
    text = card.to_json()
    if read_card(text) != card:
        raise CardError("the card does not read back as it was written")
    del model.metadata_props[:]
    model.metadata_props.add(key=CARD_KEY, value=text)
    content: bytes = model.SerializeToString(deterministic=True)
    return content
