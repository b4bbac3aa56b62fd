"""The generator file: what an ONNX graph must be for a card's promise to hold.

Works on a parsed `onnx.ModelProto` that the caller gives, so that the hall itself needs no onnx.
"""

from typing import TYPE_CHECKING

from seedmint.models.card import CARD_KEY, Card, CardError, read_card
from seedmint.models.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

MIN_OPSET = 18
STANDARD_DOMAINS = ("", "ai.onnx")
MAX_NODES = 20_000  # of the graph and all graphs inside it

# onnx.TensorProto element types; fixed by the ONNX specification.
_ELEMENT_NAMES = {1: "float32", 2: "uint8", 7: "int64", 10: "float16", 11: "float64"}
_EXTERNAL = 1
_BOOL = 9

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}

_Signature = tuple[str, tuple[str | int, ...]]  # element type, axes


class ContractError(UserError):
    """The file is not a generator file as the contract has it."""


def card_of(model: "ModelProto") -> Card:
    """The card in a parsed generator file.

    Raises:
        CardError: there is none, or it cannot be read.
    """
    found = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if len(found) != 1:
        raise CardError(f"the file has {len(found) or 'no'} metadata entries {CARD_KEY!r}: not a Seedmint generator file")
    return read_card(found[0])


def check_contract(model: "ModelProto") -> Card:
    """Hold a parsed file against the contract and its own card.

    Returns:
        the card.

    Raises:
        CardError: the card is missing or wrong.
        ContractError: the graph is not what the contract or the card says.
    """
    card = card_of(model)
    check_self_contained(model)
    opset = max((entry.version for entry in model.opset_import), default=0)
    if opset < MIN_OPSET:
        raise ContractError(f"opset {opset} is too old: at least {MIN_OPSET}")
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _signature(value) for value in model.graph.input if value.name not in stored}
    outputs = {value.name: _signature(value) for value in model.graph.output}
    wanted: dict[str, _Signature] = {"z": ("float32", ("batch", card.noise.z_dim))}
    if card.classes is not None:
        wanted["label"] = ("int64", ("batch",))
    if card.truncation == "input":
        wanted["truncation"] = ("float32", ("batch",))
    _compare("inputs", inputs, wanted)
    _compare("outputs", outputs, {card.output.kind: (card.output.dtype, ("batch", *card.output.shape))})
    return card


def count_nodes(model: "ModelProto") -> int:
    """Nodes of the graph and of all graphs inside it."""
    return sum(len(graph.node) for graph in _graphs(model.graph))


def check_self_contained(model: "ModelProto") -> None:
    """Standard operators alone, as many as a generator may need, none of chance; every weight inside the file as it is used.

    Raises:
        ContractError: naming the domain, the function, the operator or the tensor.
    """
    graphs = list(_graphs(model.graph))
    domains = {entry.domain for entry in (*model.opset_import, *model.functions)}
    domains |= {node.domain for graph in graphs for node in graph.node}
    if foreign := sorted(domains - set(STANDARD_DOMAINS)):
        raise ContractError(f"the graph uses the custom operator domain {foreign[0]!r}")
    if model.functions:  # a few that call each other twice unfold to billions of nodes
        raise ContractError(f"the graph uses the function {model.functions[0].name!r} of its own: export it inlined")
    if (nodes := count_nodes(model)) > MAX_NODES:
        raise ContractError(f"the graph has {nodes} nodes: at most {MAX_NODES}")
    off = _switched_off(graphs)
    for node in (node for graph in graphs for node in graph.node):
        if node.op_type in _RANDOM or (node.op_type == "Dropout" and not off.issuperset(node.input[2:])):
            raise ContractError(f"the graph draws at random ({node.op_type}): export it with fixed noise, or none")
        if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
            raise ContractError(f"{node.op_type} is in training mode, and mixes its batch: export it for inference")
    for tensor in (tensor for graph in graphs for tensor in _tensors(graph)):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise ContractError(f"tensor {tensor.name!r} lies outside the file: weights must be inside it")


def _switched_off(graphs: "list[GraphProto]") -> set[str]:
    """Names of tensors that are stored as false; the empty name, of an input left out, is one."""
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


def _compare(side: str, found: dict[str, _Signature], wanted: dict[str, _Signature]) -> None:
    if found != wanted:
        raise ContractError(f"{side} are {_show(found)}; the card asks for {_show(wanted)}")


def _show(signatures: dict[str, _Signature]) -> str:
    return ", ".join(f"{n}: {e}[{', '.join(map(str, axes))}]" for n, (e, axes) in signatures.items()) or "nothing"


def _graphs(graph: "GraphProto") -> "Iterator[GraphProto]":
    """The graph and all graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                yield from _graphs(inner)


def _tensors(graph: "GraphProto") -> "Iterator[TensorProto]":
    """Every tensor stored in one graph: its own, and its nodes' attributes.

    Raises:
        ContractError: one is sparse: a few bytes for a tensor of any size.
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
        raise ContractError("the graph stores a sparse tensor: export it dense")
