"""Replaces random operators by constants: a generator file must give the same image for a seed every time."""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from seedmint.models.contract import walk_graphs
from seedmint.service.importer.constant_noise import MAX_NOISE_VALUES, constant_noise
from seedmint.service.importer.errors import GeneratorImportError
from seedmint.service.importer.options import NoiseMode

_OPERATORS = ("RandomNormal", "RandomNormalLike")


def replace_random_operators(model: ModelProto, mode: NoiseMode | None) -> None:
    """Replace `RandomNormal` and `RandomNormalLike`, with which exporters write the noise of StyleGAN.

    Args:
        model: The model; changed in place.
        mode: `zero` replaces the noise by zeros. `fixed` replaces noise of constant shape by constant values from N(0, 1).

    Raises:
        GeneratorImportError: There is such an operator and no mode, or its shape is not a constant in mode `fixed`.
    """
    for graph in walk_graphs(model.graph):
        if not any(node.op_type in _OPERATORS for node in graph.node):
            continue
        nodes: list[NodeProto] = []
        for node in graph.node:
            nodes.extend(_replacement(node, mode) if node.op_type in _OPERATORS else [node])
        del graph.node[:]
        graph.node.extend(nodes)


def _replacement(node: NodeProto, mode: NoiseMode | None) -> list[NodeProto]:
    if mode is None:
        raise GeneratorImportError(
            f"is missing: the graph has the random operator {node.op_type}; set zero or fixed",
            field="noise",
            reason="random_operator",
        )
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    dtype = attributes.get("dtype", TensorProto.FLOAT)
    result = node.output[0]
    if node.op_type == "RandomNormal":
        shape = tuple(attributes["shape"])
        count = int(np.prod(shape))
        if count > MAX_NOISE_VALUES:
            raise GeneratorImportError(f"the noise {result!r} is too large", field="noise", reason="wrong_shape")
        values = constant_noise(count, mode)
        if mode == "fixed":
            values = values * np.float32(attributes.get("scale", 1.0)) + np.float32(attributes.get("mean", 0.0))
        array = values.reshape(shape).astype(helper.tensor_dtype_to_np_dtype(dtype))
        return [helper.make_node("Constant", [], [result], value=numpy_helper.from_array(array))]
    if mode == "fixed":
        raise GeneratorImportError(
            f"the shape of the noise {result!r} is not a constant: set zero, or export the graph with constant noise",
            field="noise",
            reason="random_shape",
        )
    zero = helper.make_tensor("zero", dtype, [1], [0])
    return [
        helper.make_node("Shape", [node.input[0]], [f"{result}/shape"]),
        helper.make_node("ConstantOfShape", [f"{result}/shape"], [result], value=zero),
    ]
