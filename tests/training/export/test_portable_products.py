"""Batch normalization, interpolation and logarithms become other nodes with equal results."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from seedmint.training.export.portable import make_portable
from seedmint.training.export.portable_products import separate_products


def one_node(operator, shape, constants=(), kind=TensorProto.FLOAT, **attributes):
    """A graph x -> operator -> y. An empty array among the constants stands for an input that is not given."""
    names = [f"c{i}" if np.size(array) else "" for i, array in enumerate(constants)]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], name="node", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", *shape])],
        [helper.make_tensor_value_info("y", kind, ["n", *[None] * len(shape)])],
        [numpy_helper.from_array(array, name) for array, name in zip(constants, names, strict=True) if name],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def outputs(model, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


def operators(model):
    return [node.op_type for node in model.graph.node]


def resize(*shape, scales=(1, 1, 2, 2), **attributes):
    return one_node("Resize", shape, [np.zeros(0), np.array(scales, np.float32)], **attributes)


@pytest.mark.parametrize("shape", [(5,), (5, 7), (5, 3, 4)])
@pytest.mark.parametrize("attributes", [{}, {"epsilon": 0.25}])
def test_batch_normalization_is_a_product_and_a_sum(shape, attributes):
    rng = np.random.default_rng(0)
    constants = [rng.uniform(0.5, 2, 5).astype(np.float32) for _ in range(4)]
    model = one_node("BatchNormalization", shape, constants, **attributes)
    x = rng.standard_normal((6, *shape), dtype=np.float32)
    expected = outputs(model, x)
    make_portable(model)
    checker.check_model(model, full_check=True)
    assert operators(model) == ["Mul", "Add"]
    assert len(model.graph.initializer) == 2
    factor, offset = (numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    found = outputs(model, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found, (x * factor) + offset)


@pytest.mark.parametrize(
    ("shape", "scales", "products"),
    [
        ((3, 4, 4), (1, 1, 2, 2), 2),
        ((2, 5, 8), (1, 1, 2, 2), 2),
        ((1, 1, 3), (1, 1, 2, 2), 2),
        ((2, 64, 3), (1, 1, 2, 1), 1),
        ((2, 3, 64), (1, 1, 1, 2), 1),
    ],
)
@pytest.mark.parametrize("attributes", [{}, {"coordinate_transformation_mode": "half_pixel"}])
def test_interpolation_is_a_matrix_product(shape, scales, products, attributes):
    model = resize(*shape, scales=scales, mode="linear", **attributes)
    x = np.random.default_rng(0).standard_normal((6, *shape), dtype=np.float32)
    expected = outputs(model, x)
    make_portable(model)
    checker.check_model(model, full_check=True)
    assert operators(model) == ["MatMul"] * products
    np.testing.assert_allclose(outputs(model, x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        resize(3, 4, 4, mode="nearest"),
        resize(3, 4, 4, mode="cubic"),
        resize(3, 4, 4, mode="linear", coordinate_transformation_mode="align_corners"),
        resize(3, 4, 4, mode="linear", antialias=1),
        resize(3, 4, 4, mode="linear", scales=(1, 1, 3, 2)),
        resize(3, 4, 4, mode="linear", axes=[0, 1, 2, 3]),
        resize(3, "height", 4, mode="linear"),
        resize(3, 4, 65, mode="linear"),
        one_node("BatchNormalization", (5,), [np.ones(5, np.float64)] * 4, TensorProto.DOUBLE),
        one_node("Log", [4], kind=TensorProto.DOUBLE),
        one_node("Exp", [4]),
    ],
    ids=[
        "nearest",
        "cubic",
        "align_corners",
        "antialias",
        "three times",
        "axes",
        "unknown height",
        "large",
        "float64 statistics",
        "float64",
        "other node",
    ],
)
def test_other_nodes_stay(model):
    before = model.SerializeToString(deterministic=True)
    separate_products(model)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("change", ["unknown rank", "unknown statistics"])
def test_a_normalization_of_unknown_tensors_stays(change):
    model = one_node("BatchNormalization", (5, 4, 5), [np.ones(5, np.float32)] * 4)
    if change == "unknown rank":
        model.graph.input[0].type.tensor_type.ClearField("shape")
    else:
        model.graph.input.append(helper.make_tensor_value_info("c0", TensorProto.FLOAT, [5]))
        del model.graph.initializer[0]
    separate_products(model)
    assert operators(model) == ["BatchNormalization"]


def test_a_logarithm_is_rounded_once():
    model = one_node("Log", [1000])
    x = np.random.default_rng(0).uniform(1e-7, 1, (1, 1000)).astype(np.float32)
    make_portable(model)
    checker.check_model(model, full_check=True)
    assert operators(model) == ["Cast", "Log", "Cast"]
    np.testing.assert_array_equal(outputs(model, x), np.log(x.astype(np.float64)).astype(np.float32))
