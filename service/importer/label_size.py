"""Reads the number of labels from the graph: the number of rows of the embedding that the label indexes."""

from onnx import ModelProto, NodeProto

_PASS_THROUGH = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten", "Clip"}


def embedding_rows(model: ModelProto, label: str) -> int | None:
    """Return the number of rows of the smallest embedding that the label indexes; None if there is no embedding.

    Args:
        model: The model.
        label: Name of the input that receives the label.
    """
    sizes = {tensor.name: int(tensor.dims[0]) for tensor in model.graph.initializer if tensor.dims}
    scalars = {
        tensor.name: int.from_bytes(tensor.raw_data, "little") if tensor.raw_data else int(next(iter(tensor.int64_data), 0))
        for tensor in model.graph.initializer
        if tensor.data_type == 7 and len(tensor.raw_data) in (0, 8)
    }
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t") and attribute.t.dims:
                    sizes[node.output[0]] = int(attribute.t.dims[0])
                if attribute.HasField("t") and attribute.t.data_type == 7 and len(attribute.t.raw_data) == 8:
                    scalars[node.output[0]] = int.from_bytes(attribute.t.raw_data, "little")
    found: list[int] = []
    names = {label}
    for node in model.graph.node:  # in topological order
        if node.op_type in _PASS_THROUGH and node.input[0] in names:
            names.update(node.output)
        elif node.op_type == "Gather" and node.input[1] in names and _axis(node) == 0 and node.input[0] in sizes:
            found.append(sizes[node.input[0]])
        elif node.op_type == "OneHot" and node.input[0] in names and node.input[1] in scalars:
            found.append(scalars[node.input[1]])
    return min(found, default=None)


def _axis(node: NodeProto) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
