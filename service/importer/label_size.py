"""Reads the number of labels from the graph: the number of rows of the embedding that the label indexes."""

from collections.abc import Iterator
from itertools import chain

from onnx import ModelProto, NodeProto, TensorProto

_PASS_THROUGH = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten", "Clip"}


def embedding_rows(model: ModelProto, label: str) -> int | None:
    """Return the number of rows of the smallest embedding that the label indexes; None if there is no embedding.

    Args:
        model: The model.
        label: Name of the input that receives the label.
    """
    sizes, scalars = _sizes(model), _scalars(model)
    rows: list[int] = []
    names = {label}
    for node in model.graph.node:  # in topological order
        if node.op_type in _PASS_THROUGH and node.input[0] in names:
            names.update(node.output)
        elif node.op_type == "Gather" and node.input[1] in names and _axis(node) == 0 and node.input[0] in sizes:
            rows.append(sizes[node.input[0]])
        elif node.op_type == "OneHot" and node.input[0] in names and node.input[1] in scalars:
            rows.append(scalars[node.input[1]])
    return min(rows, default=None)


def _sizes(model: ModelProto) -> dict[str, int]:
    """Return the length of the first axis of each constant tensor."""
    tensors = ((tensor.name, tensor) for tensor in model.graph.initializer)
    return {name: int(tensor.dims[0]) for name, tensor in chain(tensors, _constants(model)) if tensor.dims}


def _scalars(model: ModelProto) -> dict[str, int]:
    """Return the value of each constant int64 scalar."""
    scalars = {
        tensor.name: int.from_bytes(tensor.raw_data, "little") if tensor.raw_data else int(next(iter(tensor.int64_data), 0))
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.INT64 and len(tensor.raw_data) in (0, 8)
    }
    for name, tensor in _constants(model):
        if tensor.data_type == TensorProto.INT64 and len(tensor.raw_data) == 8:
            scalars[name] = int.from_bytes(tensor.raw_data, "little")
    return scalars


def _constants(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield the output name and the tensor of each Constant node."""
    for node in model.graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t"))


def _axis(node: NodeProto) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
