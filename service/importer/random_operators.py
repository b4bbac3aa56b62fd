"""Replaces random operators by constants: a generator file must give the same image for a seed every time."""

import math
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from seedmint.models.contract import walk_graphs
from seedmint.service.importer.constant_noise import MAX_NOISE_VALUES, constant_noise
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import NoiseMode

_OPERATORS = ("RandomNormal", "RandomNormalLike")


def replace_random_operators(model: ModelProto, mode: NoiseMode | None) -> None:
    """Replace `RandomNormal` and `RandomNormalLike`, with which exporters write the noise of StyleGAN.

    Args:
        model: The model; changed in place.
        mode: `zero` replaces the noise by its mean. `fixed` replaces the noise by one draw from its distribution, which all
            rows share; its shape must be constant except for the batch.

    Raises:
        GeneratorImportError: There is such an operator and no mode, or its shape is not a constant in mode `fixed`.
    """
    if not any(node.op_type in _OPERATORS for graph in walk_graphs(model.graph) for node in graph.node):
        return
    shapes = _inferred_shapes(model) if mode == "fixed" else {}
    for graph in walk_graphs(model.graph):
        nodes: list[NodeProto] = []
        for node in graph.node:
            nodes.extend(_replacement(node, mode, shapes) if node.op_type in _OPERATORS else [node])
        del graph.node[:]
        graph.node.extend(nodes)


def _inferred_shapes(model: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of values as far as ONNX infers them. None is an unknown length."""
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # several types; the graph may still run
        inferred = model
    values = [value for graph in walk_graphs(inferred.graph) for value in (*graph.value_info, *graph.input, *graph.output)]
    return {
        value.name: tuple(axis.dim_value or None for axis in value.type.tensor_type.shape.dim)
        for value in values
        if value.type.tensor_type.HasField("shape")
    }


def _replacement(node: NodeProto, mode: NoiseMode | None, shapes: dict[str, tuple[int | None, ...]]) -> list[NodeProto]:
    if mode is None:
        raise GeneratorImportError(
            f"is missing: the graph has the random operator {node.op_type}; set zero or fixed",
            field="noise",
            reason="random_operator",
        )
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    result = node.output[0]
    if node.op_type == "RandomNormal":
        return [_constant(result, tuple(attributes["shape"]), attributes, mode)]
    shape = shapes.get(node.input[0])
    names = f"{result}/shape", f"{result}/row"
    copies = helper.make_node("Shape", [node.input[0]], [names[0]])
    if mode == "zero":
        value = helper.make_tensor("mean", attributes.get("dtype", TensorProto.FLOAT), [1], [attributes.get("mean", 0.0)])
        return [copies, helper.make_node("ConstantOfShape", [names[0]], [result], value=value)]
    if not shape or None in shape[1:]:
        raise GeneratorImportError(
            f"the shape of the noise {result!r} is not a constant: set zero, or export the graph with constant noise",
            field="noise",
            reason="random_shape",
        )
    row = tuple(size or 1 for size in shape[1:])  # all rows have the same noise
    return [
        _constant(names[1], (1, *row), attributes, mode),
        copies,
        helper.make_node("Expand", [names[1], names[0]], [result]),
    ]


def _constant(name: str, shape: tuple[int, ...], attributes: dict[str, Any], mode: NoiseMode) -> NodeProto:
    """Return a node with constant noise."""
    count = math.prod(shape)
    if count > MAX_NOISE_VALUES:
        raise GeneratorImportError(f"the noise {name!r} is too large", field="noise", reason="wrong_shape")
    values = constant_noise(count, mode) * np.float32(attributes.get("scale", 1.0)) + np.float32(attributes.get("mean", 0.0))
    dtype = helper.tensor_dtype_to_np_dtype(attributes.get("dtype", TensorProto.FLOAT))
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values.reshape(shape).astype(dtype)))
