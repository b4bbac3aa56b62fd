"""Replaces nodes whose products and sums some processors round once and others twice.

A compiler for aarch64 fuses x * a + b to one instruction, which rounds once; ONNX Runtime for x86-64 rounds the product and the
sum. So `BatchNormalization`, `Resize` and `Log` differ in the last bit, and single pixels are rounded to another gray level.
The replacements give the same bits on both: a node for the product and a node for the sum; matrix products, which use fused
instructions on both; and float64, whose differences disappear when the result is rounded to float32, except at the few values
in the middle between two float32 numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_EPSILON = 1e-5  # the default of BatchNormalization
_MAX_SIDE = 64  # pixels; the matrix products grow with the third power of the side, and the convolutions with the second


def separate_products(model: onnx.ModelProto) -> None:
    """Replace `BatchNormalization` for inference, bilinear `Resize` of a side to twice its length, and `Log`, of float32.

    Nodes with other attributes, of tensors of unknown shape, and of images with a side of more than 64 pixels stay as they are.

    Args:
        model: Changed in place. A graph of torch's exporter, which has no subgraphs.
    """
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    types = _types(model)
    constants: dict[str, NDArray[np.float32]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        x = types.get(node.input[0]) if node.input else None
        if x is None or x.elem_type != TensorProto.FLOAT:
            nodes.append(node)
        elif _normalizes(node, arrays, x):
            nodes += _normalization(node, arrays, len(x.shape.dim), constants)
        elif _doubles_bilinearly(node, arrays, x):
            nodes += _interpolation(node, arrays, x, constants)
        elif node.op_type == "Log":
            nodes += _logarithm(node)
        else:
            nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]  # before the deletion of the originals
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(numpy_helper.from_array(constants[name], name) for name in sorted(constants))


def _normalizes(node: onnx.NodeProto, arrays: Mapping[str, NDArray[Any]], x: onnx.TypeProto.Tensor) -> bool:
    """Return whether a node is a batch normalization with known statistics, of a tensor of known rank."""
    is_inference = node.op_type == "BatchNormalization" and len(node.output) == 1
    return is_inference and set(node.input[1:]) <= arrays.keys() and len(x.shape.dim) >= 2


def _normalization(
    node: onnx.NodeProto, arrays: Mapping[str, NDArray[Any]], dimensions: int, constants: dict[str, NDArray[np.float32]]
) -> list[onnx.NodeProto]:
    """Return y = x * factor + offset, where factor = scale / sqrt(variance + epsilon) and offset = bias - mean * factor."""
    scale, bias, mean, variance = (arrays[name].astype(np.float64) for name in node.input[1:])
    factor = scale / np.sqrt(variance + _attributes(node).get("epsilon", _EPSILON))
    x, y = node.input[0], node.output[0]
    per_channel = (-1, *[1] * (dimensions - 2))
    constants[f"{y}.factor"] = factor.astype(np.float32).reshape(per_channel)
    constants[f"{y}.offset"] = (bias - mean * factor).astype(np.float32).reshape(per_channel)
    return [
        helper.make_node("Mul", [x, f"{y}.factor"], [f"{y}.product"], name=f"{node.name}.product"),
        helper.make_node("Add", [f"{y}.product", f"{y}.offset"], [y], name=f"{node.name}.sum"),
    ]


def _doubles_bilinearly(node: onnx.NodeProto, arrays: Mapping[str, NDArray[Any]], x: onnx.TypeProto.Tensor) -> bool:
    """Return whether a node doubles one or both sides of images of a known size, with half-pixel coordinates."""
    if node.op_type != "Resize" or len(x.shape.dim) != 4 or len(node.input) < 3 or node.input[2] not in arrays:
        return False
    attributes = _attributes(node)
    return (
        arrays[node.input[2]].tolist() in ([1, 1, 2, 2], [1, 1, 1, 2], [1, 1, 2, 1])
        and all(1 <= side.dim_value <= _MAX_SIDE for side in x.shape.dim[2:])
        and attributes.get("mode") == b"linear"
        and attributes.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel"
        and not attributes.get("antialias")
        and not attributes.get("axes")
    )


def _interpolation(
    node: onnx.NodeProto,
    arrays: Mapping[str, NDArray[Any]],
    x: onnx.TypeProto.Tensor,
    constants: dict[str, NDArray[np.float32]],
) -> list[onnx.NodeProto]:
    """Return y = A x B for each channel. A interpolates the columns and B the rows; one is left out for a side that stays."""
    height, width = (side.dim_value for side in x.shape.dim[2:])
    doubles_columns, doubles_rows = arrays[node.input[2]][2:] == 2
    first, last = node.input[0], node.output[0]
    nodes = []
    if doubles_rows:
        right, between = f"bilinear.{width}.right", f"{last}.rows" if doubles_columns else last
        constants[right] = np.ascontiguousarray(_doubling_matrix(width).T)
        nodes.append(helper.make_node("MatMul", [first, right], [between], name=f"{node.name}.rows"))
        first = between
    if doubles_columns:
        left = f"bilinear.{height}.left"
        constants[left] = _doubling_matrix(height)
        nodes.append(helper.make_node("MatMul", [left, first], [last], name=f"{node.name}.columns"))
    return nodes


def _doubling_matrix(size: int) -> NDArray[np.float32]:
    """Return the matrix of a bilinear interpolation to twice the size.

    Args:
        size: Number of pixels.

    Returns:
        float32[2 * size, size]. The new pixel i is at (i + 1/2) / 2 - 1/2 of the old ones; the first and last repeat the edge.
    """
    place = np.clip((np.arange(2 * size) + 0.5) / 2 - 0.5, 0, size - 1)
    return np.maximum(0, 1 - abs(place[:, None] - np.arange(size))).astype(np.float32)


def _logarithm(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return the logarithm in float64."""
    x, y = node.input[0], node.output[0]
    return [
        helper.make_node("Cast", [x], [f"{y}.wide"], name=f"{node.name}.wide", to=TensorProto.DOUBLE),
        helper.make_node("Log", [f"{y}.wide"], [f"{y}.log"], name=f"{node.name}.log"),
        helper.make_node("Cast", [f"{y}.log"], [y], name=f"{node.name}.narrow", to=TensorProto.FLOAT),
    ]


def _types(model: onnx.ModelProto) -> dict[str, onnx.TypeProto.Tensor]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
