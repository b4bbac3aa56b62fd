"""Reads an ONNX file: inlines functions and external data, and converts the opset and the IR version."""

import math
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, inliner, version_converter

from seedmint.models.contract import MAX_NODES, MIN_OPSET, STANDARD_DOMAINS, ContractError, check_self_contained, walk_graphs
from seedmint.models.runtime.generator_file import MAX_FILE_BYTES
from seedmint.service.importer.errors import GeneratorImportError, first_line
from seedmint.service.importer.external_data import inline_external_data
from seedmint.service.importer.options import NoiseMode
from seedmint.service.importer.random_operators import replace_random_operators

OLDEST_OPSET = 7  # the oldest opset that the version converter reads
NEWEST_OPSET = 26  # the newest opset that ONNX Runtime runs
_IR_VERSION = 10  # the oldest version with all element types that generators use


def read_model(content: bytes, folder: Path, noise: NoiseMode | None = None) -> ModelProto:
    """Parse an ONNX file and make it self-contained.

    Args:
        content: The bytes of the file.
        folder: The folder of the file, from which external data are read.
        noise: Replacement of random operators; None refuses random operators.

    Returns:
        A model with standard operators, opset `MIN_OPSET` or later, without functions and without external data.

    Raises:
        UserError: The file is not ONNX, is not self-contained, or has an opset that cannot be converted.
    """
    try:
        model = onnx.load_model_from_string(content)
        if not model.graph.node:
            raise ValueError("the graph has no nodes")
    except Exception:
        raise GeneratorImportError("not an ONNX file, or truncated", reason="not_onnx") from None
    model.ir_version = _IR_VERSION
    inline_external_data(model, folder)
    if model.functions:
        if (nodes := _num_inlined_nodes(model)) > MAX_NODES:
            raise GeneratorImportError(
                f"the graph has {nodes:.3g} nodes once its functions are inlined: at most {MAX_NODES}", reason="too_many_nodes"
            )
        model = inliner.inline_local_functions(model)
    _check_types(model)
    _check_inference(model)
    _drop_unused_domains(model)
    _complete_shapes(model)
    replace_random_operators(model, noise)
    check_self_contained(model)
    model = _convert_opset(model)
    model.ir_version = _IR_VERSION  # the converter may change it
    if model.ByteSize() > MAX_FILE_BYTES:
        raise GeneratorImportError("larger than 2 GiB, which an ONNX file cannot be", reason="too_large")
    return model


def opset_version(model: ModelProto) -> int:
    """Return the opset version of the standard operators of a model; 0 if the model names none.

    Args:
        model: The model.
    """
    return max((entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS), default=0)


def convert_opset(model: ModelProto, opset: int) -> ModelProto:
    """Convert a model to another opset with the converter of ONNX.

    Args:
        model: The model.
        opset: The opset version of the result.

    Raises:
        GeneratorImportError: The converter has no adapter for an operator.
    """
    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:
        raise GeneratorImportError(
            f"opset {opset_version(model)} cannot be converted to opset {opset}: {first_line(error)}; "
            f"export the graph with opset {opset}",
            reason="opset_not_supported",
        ) from None


def _convert_opset(model: ModelProto) -> ModelProto:
    opset = opset_version(model)
    if not opset >= OLDEST_OPSET:
        raise GeneratorImportError(f"opset {opset} is too old: export it with opset {MIN_OPSET}", reason="opset_not_supported")
    if opset > NEWEST_OPSET:
        try:
            return convert_opset(model, NEWEST_OPSET)
        except GeneratorImportError:
            raise GeneratorImportError(
                f"opset {opset} needs a newer ONNX Runtime; the one installed runs opset {NEWEST_OPSET}: "
                f"export it with opset {MIN_OPSET}",
                reason="opset_not_supported",
            ) from None
    if opset < MIN_OPSET:
        model = convert_opset(model, MIN_OPSET)
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker raises several types
        raise GeneratorImportError(f"the graph is not valid: {first_line(error)}", reason="invalid_graph") from None
    return model


def _check_types(model: ModelProto) -> None:
    """Check that inputs and outputs are tensors, and that no tensor is bfloat16, which ONNX Runtime does not compute."""
    for value in (*model.graph.input, *model.graph.output):
        if value.type.WhichOneof("value") not in (None, "tensor_type"):
            kind = str(value.type.WhichOneof("value")).removesuffix("_type")
            raise GeneratorImportError(
                f"{value.name!r} has the type {kind}: export the graph with tensors as inputs and outputs",
                reason="not_a_tensor",
            )
        if value.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            raise _bfloat16(value.name)
    for graph in walk_graphs(model.graph):
        for node in graph.node:
            types = {attribute.name: attribute.i for attribute in node.attribute}
            if node.op_type == "Cast" and types.get("to") == TensorProto.BFLOAT16:
                raise _bfloat16(node.output[0])


def _bfloat16(name: str) -> GeneratorImportError:
    return GeneratorImportError(
        f"{name!r} is bfloat16, with which ONNX Runtime does not compute: export the graph in float32 (generator.float())",
        reason="bfloat16",
    )


def _check_inference(model: ModelProto) -> None:
    """Check that no BatchNormalization before opset 14 is in training mode, in which it has more than one output."""
    for graph in walk_graphs(model.graph):
        for node in graph.node:
            if node.op_type == "BatchNormalization" and len([name for name in node.output if name]) > 1:
                raise ContractError(
                    "BatchNormalization is in training mode, in which batches mix: export the graph for inference",
                    reason="training_mode",
                )


def _drop_unused_domains(model: ModelProto) -> None:
    """Remove operator domains that no node uses: exporters often list them."""
    used = {"", *(node.domain for node in model.graph.node)}
    for entry in [entry for entry in model.opset_import if entry.domain not in used]:
        model.opset_import.remove(entry)


def _complete_shapes(model: ModelProto) -> None:
    """Add the shapes that the checker of ONNX requires: N x ? for inputs without a shape, an empty shape for such outputs."""
    for values, rank in ((model.graph.input, 2), (model.graph.output, 0)):
        for value in values:
            if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
                value.type.tensor_type.shape.SetInParent()
                for _ in range(rank):
                    value.type.tensor_type.shape.dim.add()


def _num_inlined_nodes(model: ModelProto) -> float:
    """Count the nodes of the graph after inlining; infinite for functions that call each other in a circle."""
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], float] = {}

    def size(nodes: Iterable[onnx.NodeProto]) -> float:
        total = 0.0
        for node in nodes:
            inner = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
            total += function_size((node.domain, node.op_type)) + sum(size(graph.node) for graph in inner)
        return total

    def function_size(name: tuple[str, str]) -> float:
        if name not in bodies:
            return 1
        if name not in sizes:
            sizes[name] = math.inf  # while the body is counted, so that a recursive call is infinite
            sizes[name] = size(bodies[name])
        return sizes[name]

    try:
        return size(model.graph.node)
    except RecursionError:  # thousands of functions that each call the next
        return math.inf
