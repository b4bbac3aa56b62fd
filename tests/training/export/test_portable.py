"""Graphs without nodes whose results depend on the processor."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seedmint.models.directory import SHIPPED
from seedmint.training.export.portable import make_portable


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.onnx")), ids=lambda path: path.stem)
def test_shipped_generators_are_portable(path):
    model = onnx.load(path)
    operators = [node.op_type for node in model.graph.node]
    assert not {"BatchNormalization", "Conv", "Resize"} & set(operators)
    make_portable(model)
    assert [node.op_type for node in model.graph.node if node.op_type != "Cast"] == [
        name for name in operators if name != "Cast"
    ]


def test_constants_without_a_node_are_removed():
    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 3, 3]) for name in "xyz")
    kernel = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "kernel")
    scale = numpy_helper.from_array(np.ones(2, np.float32), "scale")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["h"]),
        helper.make_node("BatchNormalization", ["h", *["scale"] * 4], ["y"]),
        helper.make_node("BatchNormalization", ["y", *["scale"] * 4], ["z"]),
    ]
    output = helper.make_tensor_value_info("scale", TensorProto.FLOAT, [2])
    graph = helper.make_graph(nodes, "g", [x], [z, output], [kernel, scale], value_info=[y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    make_portable(model)
    onnx.checker.check_model(model, full_check=True)
    names = [tensor.name for tensor in model.graph.initializer]
    assert len(names) == len(set(names)) == 6
    assert "scale" in names
    assert "kernel" not in names
