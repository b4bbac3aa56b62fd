"""Hostile generator files of a few kilobytes. Each file would exhaust memory or time; most files satisfy the contract."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.support import generators

_LARGE = np.array([1 << 12, 1 << 12, 1 << 12], np.int64)  # 256 GiB of float32


def spiked(name: str, nodes: Sequence[NodeProto], **stored: Any) -> ModelProto:
    """Build a generator that adds the sum of the tensor `spike`, an output of `nodes`, to its first layer."""
    model = generators.model(generators.card(name))
    tanh = next(node for node in model.graph.node if node.op_type == "Tanh")
    layer = tanh.input[0]
    tanh.input[0] = "spiked"
    sums = [helper.make_node("ReduceSum", ["spike"], ["sum"], keepdims=0), helper.make_node("Add", [layer, "sum"], ["spiked"])]
    original = list(model.graph.node)
    index = original.index(tanh)
    del model.graph.node[:]
    model.graph.node.extend([*original[:index], *nodes, *sums, *original[index:]])
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), key) for key, value in stored.items())
    return model


def expand(name: str) -> ModelProto:
    return spiked(name, [helper.make_node("Expand", ["one", "size"], ["spike"])], one=np.float32(1), size=_LARGE)


def constant_of_shape(name: str) -> ModelProto:
    return spiked(name, [helper.make_node("ConstantOfShape", ["size"], ["spike"])], size=_LARGE)


def tile(name: str) -> ModelProto:
    return spiked(
        name, [helper.make_node("Tile", ["one", "size"], ["spike"])], one=np.ones(1, np.float32), size=np.array([1 << 40])
    )


def quadratic_in_batch(name: str) -> ModelProto:
    """Memory of 2 GiB times the square of the batch size. Shape inference cannot compute it, and one seed alone may pass."""
    nodes = [
        helper.make_node("Shape", ["z"], ["batch_size"], end=1),
        helper.make_node("Concat", ["batch_size", "batch_size", "many"], ["size"], axis=0),
        helper.make_node("ConstantOfShape", ["size"], ["spike"]),
    ]
    return spiked(name, nodes, many=np.array([1 << 29]))


def many_constants(name: str) -> ModelProto:
    """Hundreds of tensors of 64 MiB that constant folding could compute and keep."""
    count = 300
    nodes = [helper.make_node("ReduceSum", ["z"], ["a0"], keepdims=0)]
    for i in range(count):
        nodes.append(helper.make_node("Expand", [f"v{i}", "size"], [f"e{i}"]))
        nodes.append(helper.make_node("Add", [f"a{i}", f"e{i}"], [f"a{i + 1}" if i < count - 1 else "spike"]))
    return spiked(name, nodes, size=np.array([1 << 24]), **{f"v{i}": np.float32(i) for i in range(count)})


def endless_loop(name: str) -> ModelProto:
    return _looping(name, "Identity", ["before"])


def growing_loop(name: str) -> ModelProto:
    """The tensor doubles in each iteration."""
    return _looping(name, "Concat", ["before", "before"], axis=0)


def sparse(name: str) -> ModelProto:
    """A sparse tensor that has 4 TiB when dense."""
    model = spiked(name, [helper.make_node("Identity", ["thin"], ["spike"])])
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 40]))
    return model


def unfolding(name: str) -> ModelProto:
    """Each function calls the next one twice: 2^40 nodes when inlined."""
    model = generators.model(generators.card(name))
    opset = [helper.make_opsetid("", 18)]
    for i in range(40):
        inner = [helper.make_node(f"F{i + 1}" if i < 39 else "Identity", ["x"], ["y"]) for _ in range(2)]
        inner[1].input[0], inner[0].output[0], inner[1].output[0] = "m", "m", "y"
        model.functions.append(helper.make_function("", f"F{i}", ["x"], ["y"], inner, opset))
    model.graph.node[0].op_type = "F0"
    del model.graph.node[0].input[1:]
    return model


def nested(name: str) -> bytes:
    """Subgraphs nested deeper than Protocol Buffers can read. Written byte by byte, because they cannot write this either."""
    graph = b""
    for _ in range(1000):
        graph = _encode_field(
            1, _encode_field(4, b"If") + _encode_field(5, _encode_field(1, b"body") + _encode_field(6, graph))
        )
    return bytes(generators.model(generators.card(name)).SerializeToString()) + _encode_field(7, graph)


def _encode_field(field: int, content: bytes) -> bytes:
    """Encode one length-delimited field of a Protocol Buffers message."""
    size, length = bytearray(), len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([field << 3 | 2, *size, length]) + content


def crowded(name: str) -> ModelProto:
    """More nodes than the contract allows."""
    nodes = [helper.make_node("Identity", ["v" if i == 0 else f"n{i - 1}"], [f"n{i}"]) for i in range(25_000)]
    return spiked(name, [*nodes, helper.make_node("Identity", ["n24999"], ["spike"])], v=np.float32(0))


def false_sizes(name: str) -> ModelProto:
    """A weight with a declared size of terabytes. The file contains only a few numbers."""
    model = generators.model(generators.card(name))
    model.graph.initializer[0].dims[0] = 1 << 40
    return model


def _looping(name: str, operator: str, inputs: list[str], **attributes: Any) -> ModelProto:
    trip = helper.make_tensor_value_info("trip", TensorProto.INT64, [])
    go, on = (helper.make_tensor_value_info(end, TensorProto.BOOL, []) for end in ("go_in", "go_out"))
    before, after = (helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in ("before", "after"))
    nodes = [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node(operator, inputs, ["after"], **attributes)]
    body = helper.make_graph(nodes, "trip", [trip, go, before], [on, after])
    loop = helper.make_node("Loop", ["trips", "go", "start"], ["spike"], body=body)
    return spiked(name, [loop], trips=np.int64((1 << 63) - 1), go=np.bool_(True), start=np.ones(1, np.float32))


def content(kind: str, name: str) -> bytes:
    """Return the bytes of one of `KINDS`."""
    built = KINDS[kind][0](name)
    return built if isinstance(built, bytes) else bytes(built.SerializeToString())


# kind -> function that builds the model, reason codes of the error ("a|b" for either)
KINDS: dict[str, tuple[Callable[[str], ModelProto | bytes], str]] = {
    "expand": (expand, "too_large"),
    "constant-of-shape": (constant_of_shape, "too_large"),
    "tile": (tile, "too_large|cannot_run"),
    "batch-squared": (quadratic_in_batch, "too_large"),
    "growing-loop": (growing_loop, "too_large|too_slow"),
    "endless-loop": (endless_loop, "too_slow"),
    "many-constants": (many_constants, "too_slow"),
    "sparse": (sparse, "sparse_tensor"),
    "unfolding": (unfolding, "function"),
    "nested": (nested, "not_onnx"),
    "crowded": (crowded, "too_many_nodes"),
    "false-sizes": (false_sizes, "cannot_run"),
}
