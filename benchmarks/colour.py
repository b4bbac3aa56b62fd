"""A generator of 64x64 colour images for benchmarks: a DCGAN with random weights, built without torch.

The channels are those of a small DCGAN (256, 128, 64, 32, 3). The kernels interpolate, so that the images are smooth and
compress like the images of a trained generator.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from seedmint.models.card import CARD_KEY, Card, ImageOutput, Noise
from seedmint.models.provenance import Licence, Provenance

NAME = "colour"

_Z_DIM = 100
_CHANNELS = (256, 128, 64, 32, 3)
_LINEAR = np.array([0.25, 0.75, 0.75, 0.25])  # linear interpolation by a factor of 2


def write_colour_generator(directory: Path) -> Path:
    """Write the generator file, and return its path.

    Args:
        directory: The directory of the file.
    """
    random = np.random.RandomState(0)
    output = ImageOutput(height=64, width=64, channels=3)
    card = Card(
        name=NAME,
        title="A DCGAN with random weights",
        noise=Noise(rule="philox-uniform-v1", z_dim=_Z_DIM),
        output=output,
        provenance=Provenance(),
        licence=Licence(data="CC0-1.0", weights="Apache-2.0"),
    )
    weights: dict[str, Any] = {
        "first": (random.randn(_Z_DIM, 16 * _CHANNELS[0]) / np.sqrt(_Z_DIM)).astype(np.float32),
        "square": np.array([-1, _CHANNELS[0], 4, 4], np.int64),
        "half": np.float32(127.5),
    }
    nodes = [helper.make_node("MatMul", ["z", "first"], ["h"]), helper.make_node("Reshape", ["h", "square"], ["x0"])]
    for i, (before, after) in enumerate(itertools.pairwise(_CHANNELS)):
        kernels = random.randn(before, after, 1, 1) * np.outer(_LINEAR, _LINEAR)
        weights[f"w{i}"] = (kernels * np.sqrt(2 / before)).astype(np.float32)
        nodes += [
            helper.make_node("Relu", [f"x{i}"], [f"r{i}"]),
            helper.make_node("ConvTranspose", [f"r{i}", f"w{i}"], [f"x{i + 1}"], strides=[2, 2], pads=[1, 1, 1, 1]),
        ]
    nodes += [
        helper.make_node("Tanh", [f"x{len(_CHANNELS) - 1}"], ["t"]),
        helper.make_node("Mul", ["t", "half"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["shifted"]),
        helper.make_node("Round", ["shifted"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["image"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", _Z_DIM])],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *output.shape])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    path = directory / f"{NAME}.onnx"
    path.write_bytes(model.SerializeToString())
    return path
