"""The contract of generator files: the requirements on an ONNX graph, so that the graph agrees with its card.

The functions take a parsed `onnx.ModelProto`, so that this module does not need onnx.
"""

from typing import TYPE_CHECKING

from seedmint.models.card import CARD_KEY, Card, CardError, read_card
from seedmint.models.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

MIN_OPSET = 18
STANDARD_DOMAINS = ("", "ai.onnx")
MAX_NODES = 20_000  # in the graph and all its subgraphs

# onnx.TensorProto.DataType; the numbers are part of the ONNX specification.
_ELEMENT_NAMES = {1: "float32", 2: "uint8", 7: "int64", 10: "float16", 11: "float64"}
_EXTERNAL = 1
_BOOL = 9

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}

_Signature = tuple[str, tuple[str | int, ...]]  # element type, axes


class ContractError(UserError):
    """The file violates the contract."""

    reason = "contract"


def card_of(model: "ModelProto") -> Card:
    """Return the card of a parsed generator file.

    Args:
        model: The parsed file.

    Raises:
        CardError: The file has no card, or a malformed one.
    """
    found = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if len(found) != 1:
        kind = "an ONNX file without a card" if not found else f"an ONNX file with {len(found)} metadata entries {CARD_KEY!r}"
        raise CardError(
            f"{kind}, not a Seedmint generator file: to import it, run `seedmint models add` with the file", reason="no_card"
        )
    return read_card(found[0])


def check_contract(model: "ModelProto") -> Card:
    """Check a parsed file against the contract and its own card.

    Args:
        model: The parsed file.

    Returns:
        The card.

    Raises:
        CardError: The card is missing or malformed.
        ContractError: The graph violates the contract, or differs from the card.
    """
    card = card_of(model)
    check_self_contained(model)
    opset = max((entry.version for entry in model.opset_import), default=0)
    if opset < MIN_OPSET:
        raise ContractError(f"opset {opset} is too old: export with opset {MIN_OPSET} or newer", reason="old_opset")
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _signature(value) for value in model.graph.input if value.name not in stored}
    outputs = {value.name: _signature(value) for value in model.graph.output}
    expected: dict[str, _Signature] = {"z": ("float32", ("batch", card.noise.z_dim))}
    if card.classes is not None:
        expected["label"] = ("int64", ("batch",))
    if card.truncation == "input":
        expected["truncation"] = ("float32", ("batch",))
    _compare("inputs", inputs, expected)
    _compare("outputs", outputs, {card.output.kind: (card.output.dtype, ("batch", *card.output.shape))})
    return card


def count_nodes(model: "ModelProto") -> int:
    """Return the number of nodes in the graph and all its subgraphs.

    Args:
        model: The parsed file.
    """
    return sum(len(graph.node) for graph in walk_graphs(model.graph))


def check_self_contained(model: "ModelProto") -> None:
    """Check that the graph is deterministic and complete in itself.

    A graph passes if it has only standard operators, at most `MAX_NODES` nodes, no random operator, no operator in training
    mode, and all weights inside the file as dense tensors.

    Args:
        model: The parsed file.

    Raises:
        ContractError: The graph does not pass. The message names the domain, function, operator or tensor.
    """
    graphs = list(walk_graphs(model.graph))
    _check_domains(model, graphs)
    if model.functions:  # a few functions that call each other twice expand to billions of nodes
        name = model.functions[0].name
        raise ContractError(
            f"the graph defines the function {name!r}: export the graph with inlined functions", reason="function"
        )
    if (nodes := count_nodes(model)) > MAX_NODES:
        raise ContractError(f"the graph has {nodes} nodes, more than {MAX_NODES}", reason="too_many_nodes")
    _check_deterministic(graphs)
    _check_weights(graphs)


def _check_domains(model: "ModelProto", graphs: "list[GraphProto]") -> None:
    domains = {entry.domain for entry in (*model.opset_import, *model.functions)}
    domains |= {node.domain for graph in graphs for node in graph.node}
    if custom := sorted(domains - set(STANDARD_DOMAINS)):
        raise ContractError(f"the graph uses the custom operator domain {custom[0]!r}", reason="custom_domain")


def _check_deterministic(graphs: "list[GraphProto]") -> None:
    """Check that no operator is random or in training mode."""
    false_flags = _false_flags(graphs)
    for node in (node for graph in graphs for node in graph.node):
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and not false_flags.issuperset(node.input[2:])):
            message = f"the graph is random ({node.op_type}): export it with fixed noise or without noise"
            raise ContractError(message, reason="random_operator")
        if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
            message = f"{node.op_type} is in training mode, in which batches mix: export the graph for inference"
            raise ContractError(message, reason="training_mode")


def _check_weights(graphs: "list[GraphProto]") -> None:
    """Check that all weights are inside the file as dense tensors."""
    for tensor in (tensor for graph in graphs for tensor in _tensors(graph)):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            message = f"the tensor {tensor.name!r} is stored outside the file: export it with all weights inside"
            raise ContractError(message, reason="external_data")


def _false_flags(graphs: "list[GraphProto]") -> set[str]:
    """Return the names of stored tensors that are false. The empty name, of an omitted input, is one of them."""
    stored = [(tensor.name, tensor) for graph in graphs for tensor in graph.initializer]
    for node in (node for graph in graphs for node in graph.node if node.op_type == "Constant"):
        stored += [(name, attribute.t) for name in node.output for attribute in node.attribute if attribute.name == "value"]
    flags = [(name, tensor) for name, tensor in stored if tensor.data_type == _BOOL]
    return {"", *(name for name, flag in flags if not any(flag.int32_data) and not flag.raw_data.strip(b"\0"))}


def _signature(value: "ValueInfoProto") -> _Signature:
    tensor = value.type.tensor_type
    element = _ELEMENT_NAMES.get(tensor.elem_type, f"element type {tensor.elem_type}")
    axes = [axis.dim_value if axis.HasField("dim_value") else "batch" for axis in tensor.shape.dim]
    return element, tuple(axes)


def _compare(side: str, found: dict[str, _Signature], expected: dict[str, _Signature]) -> None:
    if found != expected:
        message = f"the {side} are {_format(found)}, but the card requires {_format(expected)}"
        raise ContractError(message, reason="wrong_signature")


def _format(signatures: dict[str, _Signature]) -> str:
    return ", ".join(f"{n}: {e}[{', '.join(map(str, axes))}]" for n, (e, axes) in signatures.items()) or "nothing"


def walk_graphs(graph: "GraphProto") -> "Iterator[GraphProto]":
    """Yield the graph and all its subgraphs.

    Args:
        graph: The graph.
    """
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                yield from walk_graphs(inner)


def _tensors(graph: "GraphProto") -> "Iterator[TensorProto]":
    """Yield every tensor stored in one graph: initializers, and attributes of nodes.

    Raises:
        ContractError: A tensor is sparse. A few bytes can store a sparse tensor of any size.
    """
    sparse = len(graph.sparse_initializer) > 0
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse = sparse or attribute.HasField("sparse_tensor") or len(attribute.sparse_tensors) > 0
    if sparse:
        raise ContractError("the graph stores a sparse tensor: export it with dense tensors", reason="sparse_tensor")
