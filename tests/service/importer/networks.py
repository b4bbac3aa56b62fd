"""Networks as tutorials write them, their export by torch, and small graphs built node by node."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import nn

from seedmint.models.noise import noise
from seedmint.service.importer.importing import ImportedGenerator
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.support.onnx_imports import import_content

SEEDS = np.arange(200, dtype=np.int64)
DIM = 12


class Convolutional(nn.Module):
    """DCGAN: N x D x 1 x 1 -> NCHW in [-1, 1]."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ConvTranspose2d(DIM, 16, 4), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.ConvTranspose2d(16, channels, 4, 2, 1), nn.Tanh()),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


class Flat(nn.Module):
    """Multilayer perceptron: N x D -> N x 48 in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(DIM, 32), nn.ReLU(), nn.Linear(32, 48), nn.Sigmoid())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


class Labelled(nn.Module):
    """Integer labels by an embedding of 5 rows, NHWC in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.layer = nn.Embedding(5, DIM), nn.Linear(DIM, 5 * 6 * 1)

    def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layer(z + self.rows(label))).view(-1, 5, 6, 1)


class OneHot(nn.Module):
    """Labels as one-hot vectors of 5 classes, NCHW in [0, 255]."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(DIM + 5, 3 * 4 * 7)

    def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return 255 * torch.sigmoid(self.layer(torch.cat([z, label], 1))).view(-1, 3, 4, 7)


def exported(
    module: nn.Module,
    inputs: tuple[torch.Tensor, ...],
    names: list[str],
    path: Path,
    dynamo: bool = False,
    opset: int = 18,
    dynamic: bool = True,
) -> bytes:
    """Export a module with a dynamic or fixed batch and return the bytes of the file."""
    module.eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any]
        if dynamo:
            batch = torch.export.Dim("n", min=1)
            options = {"dynamic_shapes": tuple({0: batch} for _ in inputs), "verbose": False}
        else:
            batched = [name for name, value in zip(names, inputs, strict=True) if value.dim() > 0]
            options = {"dynamic_axes": {name: {0: "n"} for name in (*batched, "out")} if dynamic else None}
        torch.onnx.export(
            module, inputs, path, input_names=names, output_names=["out"], opset_version=opset, dynamo=dynamo, **options
        )
    if dynamo:  # this exporter can write external data
        onnx.save(onnx.load(path), path)
    return path.read_bytes()


def z_of(rule: str = "philox-normal-v1") -> torch.Tensor:
    """z of all test seeds."""
    return torch.from_numpy(noise(rule, DIM, SEEDS))


def small_model(opset: int = 18) -> ModelProto:
    """z [n, 12] -> sigmoid layer -> out [n, 3, 4, 4]."""
    nodes = [
        helper.make_node("MatMul", ["z", "w"], ["h"]),
        helper.make_node("Sigmoid", ["h"], ["p"]),
        helper.make_node("Reshape", ["p", "shape"], ["out"]),
    ]
    weights = np.random.RandomState(0).randn(DIM, 48).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", DIM])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, 4, 4])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([-1, 3, 4, 4], np.int64), "shape")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def import_small(change: Callable[[ModelProto], None] = lambda model: None, **options: Any) -> ImportedGenerator:
    """Change the small model and import it."""
    model = small_model()
    change(model)
    return import_content(model.SerializeToString(), ImportOptions(**({"name": "g", "title": "G"} | options)))


def images_of(imported: ImportedGenerator) -> np.ndarray:
    """Outputs of the test seeds."""
    return Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
