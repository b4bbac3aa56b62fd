"""Convolutions become transposed convolutions with equal results."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from seedmint.training.export.portable_sums import transpose_convolutions


def convolution(kernel, **attributes):
    """A graph x -> Conv -> y with a bias."""
    arrays = {"kernel": kernel, "bias": np.arange(len(kernel), dtype=np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "kernel", "bias"], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 9, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 6, "height", "width"])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def outputs(model):
    x = np.random.default_rng(1).standard_normal((3, 4, 9, 7), dtype=np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("size", "attributes", "operator"),
    [
        ((3, 3), {"pads": [1, 1, 1, 1]}, "ConvTranspose"),
        ((1, 1), {}, "ConvTranspose"),
        ((3, 2), {"pads": [2, 0, 1, 1], "strides": [1, 1]}, "ConvTranspose"),
        ((3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 2]}, "Conv"),
        ((3, 3), {"dilations": [2, 2]}, "Conv"),
        ((3, 3), {"group": 2}, "Conv"),
        ((2, 2), {"pads": [2, 2, 2, 2]}, "Conv"),
        ((3, 3), {"auto_pad": "SAME_UPPER"}, "Conv"),
    ],
)
def test_result_stays_the_same(size, attributes, operator):
    channels = 4 // attributes.get("group", 1)
    model = convolution(np.random.default_rng(0).standard_normal((6, channels, *size), dtype=np.float32), **attributes)
    expected = outputs(model)
    transpose_convolutions(model)
    checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == [operator]
    np.testing.assert_allclose(outputs(model), expected, rtol=1e-4, atol=1e-4)
