"""The ONNX files of the shipped classifiers compute what torch computes with the same weights."""

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load
from safetensors.torch import load_file

from seedmint.models.classifier import CLASSIFIERS, reference_images
from seedmint.models.runtime.provider import open_session
from seedmint.training.evaluation.classifier import WEIGHTS_DIRECTORY, _network
from seedmint.training.evaluation.make_classifiers import SHAPES, convert


@pytest.mark.parametrize("name", SHAPES)
def test_a_classifier_has_the_outputs_of_its_weights(name: str):
    path = WEIGHTS_DIRECTORY / f"{name}.safetensors"
    shipped = onnx.load(CLASSIFIERS / f"{name}.onnx")
    assert convert(load(path.read_bytes()), SHAPES[name]).graph == shipped.graph
    images = reference_images(SHAPES[name])
    session = open_session(shipped.SerializeToString(), "cpu", 1, len(shipped.graph.node))
    weights = load_file(path)
    height, width, channels = SHAPES[name]
    network = _network((channels, height, width), len(weights["14.bias"])).eval()
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    with torch.no_grad():
        expected = torch.softmax(network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255), 1).numpy()
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-5)
