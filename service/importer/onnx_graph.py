"""The graph of a generator that others have made, wrapped to the contract: z and label in, finished images out."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, compose, helper, numpy_helper

from seedmint.models.card import CARD_KEY, Card, ImageOutput

Layout = Literal["nchw", "nhwc"]
Range = Literal["-1..1", "0..1", "0..255", "bytes"]

FLOATS: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64}
WHOLES: dict[int, Any] = {TensorProto.INT64: np.int64, TensorProto.INT32: np.int32}

_INNER = "inner/"  # before every name of the file as it came, so that none meets ours


@dataclass(frozen=True)
class Ends:
    """The ends of a graph that matter: names, element types, and how z and label are to be given.

    Attributes:
        z, label, output: names; label is None for a graph that takes none.
        z_type, label_type: element types of ONNX.
        z_rank, label_rank: numbers of axes.
        z_dim: length of z.
        one_hot: whether a label is given as a row of noughts and a one, not as its number.
    """

    z: str
    z_type: int
    z_rank: int
    z_dim: int
    label: str | None
    label_type: int
    label_rank: int
    one_hot: bool
    output: str


def wrap(model: ModelProto, ends: Ends, z_scale: float, card: Card, layout: Layout, span: Range) -> bytes:
    """The generator file: z and label -> what the graph takes -> the graph -> rounded grey levels, NHWC.

    Args:
        model: a self-contained model of opset 18 or later.
        ends: of its graph.
        z_scale: factor on z before the graph sees it.
        card: what the file shall say of itself.
        layout: order of the axes of the graph's output, or of the numbers in a flat one.
        span: its values for black and white.
    """
    assert isinstance(card.output, ImageOutput)
    built = compose.add_prefix(model, _INNER)
    free_batch(built)
    graph = built.graph
    stored: dict[str, NDArray[Any]] = {}
    before = _z_nodes(ends, z_scale, stored)
    entries = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", ends.z_dim])]
    if ends.label is not None and card.classes is not None:
        before += _label_nodes(ends, len(card.classes), stored)
        entries.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]))
    after = _image_nodes(_INNER + ends.output, card.output, layout, span, stored)
    nodes = [*before, *graph.node, *after]
    kept = [value for value in graph.input if value.name in {tensor.name for tensor in graph.initializer}]
    del graph.input[:], graph.output[:], graph.node[:], graph.value_info[:]
    graph.input.extend([*entries, *kept])
    graph.output.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *card.output.shape]))
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in stored.items())
    del built.metadata_props[:]
    helper.set_model_props(built, {CARD_KEY: card.to_json()})
    content: bytes = built.SerializeToString(deterministic=True)
    return content


def _z_nodes(ends: Ends, z_scale: float, stored: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    nodes, at = [], "z"
    if z_scale != 1:
        stored["z_scale"] = np.array(z_scale, np.float32)
        nodes.append(helper.make_node("Mul", [at, "z_scale"], ["z_scaled"]))
        at = "z_scaled"
    if ends.z_rank == 4:
        stored["z_shape"] = np.array([-1, ends.z_dim, 1, 1], np.int64)
        nodes.append(helper.make_node("Reshape", [at, "z_shape"], ["z_shaped"]))
        at = "z_shaped"
    return [*nodes, helper.make_node("Cast", [at], [_INNER + ends.z], to=ends.z_type)]


def _label_nodes(ends: Ends, classes: int, stored: dict[str, NDArray[Any]]) -> list[onnx.NodeProto]:
    if ends.one_hot:
        stored["off_on"] = np.array([0, 1], np.float32)  # ONNX Runtime has OneHot for few types
        stored["classes"] = np.array(classes, np.int64)
        shape = helper.make_node("OneHot", ["label", "classes", "off_on"], ["label_shaped"])
    else:
        stored["label_shape"] = np.array([-1, *[1] * (ends.label_rank - 1)], np.int64)
        shape = helper.make_node("Reshape", ["label", "label_shape"], ["label_shaped"])
    return [shape, helper.make_node("Cast", ["label_shaped"], [_INNER + str(ends.label)], to=ends.label_type)]


def _image_nodes(
    source: str,
    output: ImageOutput,
    layout: Layout,
    span: Range,
    stored: dict[str, NDArray[Any]],
) -> list[onnx.NodeProto]:
    stored["image_shape"] = np.array([-1, *output.shape], np.int64)
    nodes, at = [], source
    if layout == "nchw":
        stored["planes_shape"] = np.array([-1, output.channels, output.height, output.width], np.int64)
        nodes.append(helper.make_node("Reshape", [at, "planes_shape"], ["planes"]))
        nodes.append(helper.make_node("Transpose", ["planes"], ["turned"], perm=[0, 2, 3, 1]))
        at = "turned"
    if span != "bytes":
        gain, offset = {"-1..1": (127.5, 127.5), "0..1": (255.0, 0.0), "0..255": (1.0, 0.0)}[span]
        constants = {"gain": gain, "offset": offset, "black": 0, "white": 255}
        stored |= {name: np.array(value, np.float32) for name, value in constants.items()}
        nodes += [
            helper.make_node("Cast", [at], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["wide", "gain"], ["gained"]),
            helper.make_node("Add", ["gained", "offset"], ["level"]),
            helper.make_node("Round", ["level"], ["rounded"]),
            helper.make_node("Clip", ["rounded", "black", "white"], ["clipped"]),
            helper.make_node("Cast", ["clipped"], ["bytes"], to=TensorProto.UINT8),
        ]
        at = "bytes"
    return [*nodes, helper.make_node("Reshape", [at, "image_shape"], ["image"])]


def free_batch(model: ModelProto) -> None:
    """Let the first axis of inputs and outputs be any; inner shapes are inferred anew."""
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims:
            dims[0].dim_param = "batch"
    del model.graph.value_info[:]
