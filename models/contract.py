"""The generator file: what an ONNX graph must be for a card's promise to hold.

Works on a parsed `onnx.ModelProto` that the caller gives, so that the hall itself needs no onnx.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from models.card import CARD_KEY, Card, CardError, read_card
from models.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

MIN_OPSET = 18
STANDARD_DOMAINS = ("", "ai.onnx")

# onnx.TensorProto element types; fixed by the ONNX specification.
_ELEMENT_NAMES = {1: "float32", 2: "uint8", 7: "int64", 10: "float16", 11: "float64"}
_EXTERNAL = 1

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
    domains = {entry.domain: entry.version for entry in model.opset_import}
    if foreign := sorted(set(domains) - set(STANDARD_DOMAINS)):
        raise ContractError(f"the graph uses the custom operator domain {foreign[0]!r}")
    opset = max(domains.values(), default=0)
    if opset < MIN_OPSET:
        raise ContractError(f"opset {opset} is too old: at least {MIN_OPSET}")
    for tensor in _tensors(model.graph):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise ContractError(f"tensor {tensor.name!r} lies outside the file: weights must be inside it")
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _signature(value) for value in model.graph.input if value.name not in stored}
    outputs = {value.name: _signature(value) for value in model.graph.output}
    wanted: dict[str, _Signature] = {"z": ("float32", ("batch", card.noise.z_dim))}
    if card.classes is not None:
        wanted["label"] = ("int64", ("batch",))
    _compare("inputs", inputs, wanted)
    _compare("outputs", outputs, {"image": ("uint8", ("batch", *card.output.shape))})
    return card


def digest_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal: a generator's version.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _tensors(graph: "GraphProto") -> "Iterable[TensorProto]":
    """Every tensor stored in the graph, those of sub-graphs and node attributes included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField("g") else ())):
                yield from _tensors(inner)
