"""Replaces convolutions by transposed convolutions with equal results, whose sums have one order on all x86-64 processors.

ONNX Runtime computes `Conv` in blocks of as many channels as a vector register has, so a processor with AVX-512 adds in another
order than one with AVX2, and single pixels are rounded to another gray level. `ConvTranspose` is a matrix product, whose sums
have the same order on both. With stride 1, a convolution is the transposed convolution with the mirrored kernel.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper


def transpose_convolutions(model: onnx.ModelProto) -> None:
    """Replace each `Conv` of two dimensions with stride 1, without groups and dilations, whose weights are an initializer.

    Args:
        model: Changed in place.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in weights:
            continue
        kernel = numpy_helper.to_array(weights[node.input[1]])
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if kernel.ndim != 4 or not _is_replaceable(kernel.shape, attributes):
            continue
        height, width = kernel.shape[2:]
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        mirrored = np.ascontiguousarray(kernel[:, :, ::-1, ::-1].transpose(1, 0, 2, 3))
        name = f"{node.input[1]}.mirrored"
        if name not in weights:
            weights[name] = numpy_helper.from_array(mirrored, name)
            model.graph.initializer.append(weights[name])
        pads = [height - 1 - top, width - 1 - left, height - 1 - bottom, width - 1 - right]
        inputs = [node.input[0], name, *node.input[2:]]
        node.CopyFrom(
            helper.make_node(
                "ConvTranspose", inputs, list(node.output), name=node.name, kernel_shape=[height, width], pads=pads
            )
        )


def _is_replaceable(shape: tuple[int, ...], attributes: dict[str, object]) -> bool:
    """Return whether a convolution has stride 1, no groups or dilations, explicit padding, and less padding than its kernel."""
    ones = [attributes.get(name, [1, 1]) == [1, 1] for name in ("strides", "dilations")]
    pads = attributes.get("pads", [0, 0, 0, 0])
    assert isinstance(pads, list)
    fits = all(pad < size for pad, size in zip(pads, [*shape[2:], *shape[2:]], strict=True))
    return all(ones) and fits and attributes.get("group", 1) == 1 and attributes.get("auto_pad", b"NOTSET") == b"NOTSET"
