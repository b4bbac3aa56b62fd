"""Axis of the channels of an output, from the last operators of the graph."""

from onnx import ModelProto, NodeProto, helper

from seedmint.service.importer.options import Layout

_CHANNEL_FIRST = {
    *("Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "PRelu"),
    *("DepthToSpace", "SpaceToDepth", "MaxPool", "AveragePool", "LRN"),
}
_ELEMENTWISE = {
    *("Identity", "Cast", "Sigmoid", "Tanh", "Clip", "Relu", "LeakyRelu", "Round", "Floor", "Abs", "Neg", "HardSigmoid", "Erf"),
    *("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "Sqrt", "Exp"),
}
_LAYOUTS: dict[int, Layout] = {1: "nchw", 3: "nhwc"}
_MAX_NODES = 200


def channel_layout(model: ModelProto, output: str) -> Layout | None:
    """Follow the output back to an operator that has its channels on axis 1.

    Args:
        model: The model.
        output: Name of an output with four axes.

    Returns:
        The layout of the output; None if there is no such operator.
    """
    producers: dict[str, NodeProto] = {name: node for node in model.graph.node for name in node.output}
    order = [0, 1, 2, 3]  # for each axis of the output, the same axis in the followed tensor
    node = producers.get(output)
    for _ in range(_MAX_NODES):
        if node is None:
            return None
        if node.op_type in _CHANNEL_FIRST:
            return _LAYOUTS.get(order.index(1))
        if node.op_type == "Resize":
            node = producers.get(node.input[0])
            continue
        if node.op_type == "Transpose":
            perm = _permutation(node)
            if len(perm) != 4:
                return None
            order = [perm[axis] for axis in order]
        elif node.op_type not in _ELEMENTWISE:
            return None
        inputs = (producers[name] for name in node.input if name in producers)
        node = next((producer for producer in inputs if producer.op_type != "Constant"), None)
    return None


def _permutation(node: NodeProto) -> list[int]:
    return next((list(helper.get_attribute_value(a)) for a in node.attribute if a.name == "perm"), [])
