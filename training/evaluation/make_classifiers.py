"""Converts the shipped cnn-v2 weights to ONNX files, which batch jobs filter images with. Serving needs no torch for them.

    python -m seedmint.training.evaluation.make_classifiers

Writes models/classifiers/cnn-v2-NAME.onnx. The weights stay float16, as in the file of the weights; ONNX Runtime computes with
float32. The metadata of each file has the SHA-256 of the weights and of the outputs for the reference images.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load

from seedmint.models.classifier import CLASSIFIERS, METADATA_KEY, reference_digest, reference_images
from seedmint.models.files import write_whole
from seedmint.models.runtime.provider import open_session
from seedmint.training.evaluation.classifier import WEIGHTS_DIRECTORY

SHAPES = {
    "cnn-v2-digits": (8, 8, 1),
    "cnn-v2-icons": (32, 32, 3),
    "cnn-v2-mnist": (28, 28, 1),
    "cnn-v2-fashion-mnist": (28, 28, 1),
}
"""Height, width and channels of the images of each classifier."""
_OPSET, _IR_VERSION = 18, 10
_EPSILON = 1e-5  # of torch's batch normalization
_CONVOLUTIONS = ((0, 1), (4, 5))  # positions of the layers in the network: convolution, batch normalization


def convert(weights: Mapping[str, NDArray[np.float16]], shape: tuple[int, int, int]) -> onnx.ModelProto:
    """Return the classifier as a graph: images uint8[n, height, width, channels] -> probabilities float32[n, classes].

    Args:
        weights: The state of the network by name.
        shape: Height, width and channels of the images.
    """
    nodes, constants = [], [numpy_helper.from_array(np.array(255, np.float32), "scale")]

    def weight(name: str) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(weights[name]), f"{name}.half"))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def normalized(layer: int, value: str) -> str:
        names = [weight(f"{layer}.{name}") for name in ("weight", "bias", "running_mean", "running_var")]
        value = add("BatchNormalization", [value, *names], f"normalized.{layer}", epsilon=_EPSILON)
        return add("Relu", [value], f"relu.{layer}")

    value = add("Cast", ["images"], "float_images", to=TensorProto.FLOAT)
    value = add("Div", [value, "scale"], "unit_range")
    value = add("Transpose", [value], "channels_first", perm=[0, 3, 1, 2])
    for convolution, normalization in _CONVOLUTIONS:
        inputs = [value, weight(f"{convolution}.weight"), weight(f"{convolution}.bias")]
        value = normalized(normalization, add("Conv", inputs, f"conv.{convolution}", pads=[1, 1, 1, 1]))
        value = add("MaxPool", [value], f"pool.{convolution}", kernel_shape=[2, 2], strides=[2, 2])
    value = add("Flatten", [value], "flat")
    value = normalized(11, add("Gemm", [value, weight("10.weight"), weight("10.bias")], "hidden", transB=1))
    value = add("Gemm", [value, weight("14.weight"), weight("14.bias")], "logits", transB=1)
    add("Softmax", [value], "probabilities", axis=1)
    graph = helper.make_graph(
        nodes,
        "cnn-v2",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(weights["14.bias"])])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Convert all shipped weights."""
    CLASSIFIERS.mkdir(exist_ok=True)
    for name, shape in SHAPES.items():
        content = (WEIGHTS_DIRECTORY / f"{name}.safetensors").read_bytes()
        model = convert(load(content), shape)
        session = open_session(model.SerializeToString(), "cpu", 1, len(model.graph.node))
        (outputs,) = session.run(None, {"images": reference_images(shape)})
        facts = {"name": name, "weights": hashlib.sha256(content).hexdigest(), "reference": reference_digest(outputs)}
        helper.set_model_props(model, {METADATA_KEY: json.dumps(facts)})
        write_whole(CLASSIFIERS / f"{name}.onnx", model.SerializeToString())
        print(f"{name}.onnx", flush=True)


if __name__ == "__main__":
    main()
