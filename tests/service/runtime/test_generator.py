"""Opening generator files: valid and refused files, and the test for determinism."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from seedmint.models.card import ImageOutput, Noise
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.provider import open_session
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators


def opened(model: onnx.ModelProto, max_batch: int = 64) -> Generator:
    return Generator(model.SerializeToString(), "cpu", 1, max_batch)


def test_images_match_the_arithmetic_in_numpy(rgb: Generator):
    model = generators.model(rgb.card, 2)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    seeds = np.array([5, 123456789012345, 0])
    z = noise("philox-normal-v1", 20, seeds) * np.float32(0.5)
    hidden = np.tanh(z @ weights["w1"] + weights["rows"][labels_of(seeds, 3)])
    expected = np.round(255 / (1 + np.exp(-(hidden @ weights["w2"])))).reshape(-1, 16, 12, 3)
    images = rgb.generate(seeds, truncation=0.5)
    assert images.dtype == np.uint8
    assert np.abs(images - expected).max() <= 1


@pytest.mark.parametrize("sizes", [[1] * 40, [7] * 6, [64], [200], [3, 1, 64, 130, 2]])
def test_image_is_independent_of_its_batch(rgb: Generator, sizes: list[int]):
    seeds = np.random.RandomState(0).randint(0, 1 << 62, sum(sizes))
    expected = rgb.generate(seeds)
    cuts = np.cumsum(sizes)[:-1]
    np.testing.assert_array_equal(np.concatenate([rgb.generate(part) for part in np.split(seeds, cuts)]), expected)


def test_truncation_can_differ_within_a_batch(rgb: Generator):
    seeds, factors = np.arange(5), np.array([1, 0.9, 0.5, 0.1, 1], np.float32)
    mixed = rgb.generate(seeds, truncation=factors)
    for i in range(5):
        np.testing.assert_array_equal(mixed[i : i + 1], rgb.generate(seeds[i : i + 1], truncation=float(factors[i])))


def test_digest_and_card_come_from_the_bytes(tmp_path: Path):
    path = generators.write(tmp_path, "one", 1)
    generator = open_generator(path)
    assert generator.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert generator.card.model_copy(update={"reference": None}) == generators.card("one")
    assert (generator.name, generator.provider, generator.determinism) == ("one", "cpu", "exact")


def test_large_images_have_small_batches():
    output = ImageOutput(height=4096, width=4096, channels=1)
    card = generators.card("large", output=output, noise=Noise(rule="philox-normal-v1", z_dim=1))
    model = generators.model(card.model_copy(update={"output": ImageOutput(height=1, width=1, channels=1)}))
    helper.set_model_props(model, {"seedmint": card.to_json()})
    model.graph.node.append(helper.make_node("Expand", ["small", "sides"], ["image"]))
    next(node for node in model.graph.node if node.op_type == "Reshape").output[0] = "small"
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 4096, 4096, 1], np.int64), "sides"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["batch", 4096, 4096, 1]))
    generator = opened(model)
    assert generator.max_batch == 16
    assert generator.generate(np.arange(1)).shape == (1, 4096, 4096, 1)


class FakeCudaSession:
    """A fake CUDA session: records batch sizes, and rounds differently in batches of the sizes `deviating`."""

    def __init__(self, session: Any, deviating: set[int]) -> None:
        self._session = session
        self._deviating = deviating
        self.sizes: list[int] = []

    def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        size = len(inputs["z"])
        self.sizes.append(size)
        (images,) = self._session.run(names, inputs)
        return [images ^ 1 if size in self._deviating else images]


@pytest.mark.parametrize(("deviating", "sizes"), [(set(), {1, 8, 64}), ({8}, {64})])
def test_cuda_batches_are_padded_to_three_sizes_or_to_one(
    monkeypatch: pytest.MonkeyPatch, rgb: Generator, deviating: set[int], sizes: set[int]
):
    sessions = []

    def open_fake_session(graph: bytes, provider: str, threads: int, nodes: int) -> FakeCudaSession:
        sessions.append(FakeCudaSession(open_session(graph, "cpu", threads), deviating))
        return sessions[-1]

    monkeypatch.setattr("seedmint.models.runtime.generator_session.open_session", open_fake_session)
    generator = Generator(generators.model(rgb.card, 2).SerializeToString(), "cuda", 1, 64)
    assert generator.determinism == "exact"
    sessions[0].sizes.clear()
    for n in (1, 2, 8, 9, 64, 150):
        np.testing.assert_array_equal(generator.generate(np.arange(n)), rgb.generate(np.arange(n)))
    assert set(sessions[0].sizes) == sizes


def broken(change: str) -> onnx.ModelProto:
    model = generators.model(generators.card("broken"), 1)
    if change == "external weights":
        tensor = model.graph.initializer[0]
        onnx.external_data_helper.set_external_data(tensor, "../secret", 0, 8)
        tensor.ClearField("raw_data")
    elif change == "custom domain":
        model.opset_import.append(helper.make_opsetid("com.example", 1))
    elif change == "old opset":
        model.opset_import[0].version = 17
    elif change == "no card":
        del model.metadata_props[:]
    elif change == "card of another schema":
        model.metadata_props[0].value = model.metadata_props[0].value.replace('"schema": 2', '"schema": 3')
    elif change == "float output":
        model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    elif change == "unknown operator":
        model.graph.node[0].op_type = "Nonsense"
    elif change == "wrong shape":
        shape = next(tensor for tensor in model.graph.initializer if tensor.name == "shape")
        shape.CopyFrom(numpy_helper.from_array(np.array([-1, 4, 16, 1], np.int64), "shape"))
        model.graph.node[-1].input[1] = "computed"
        model.graph.node.insert(0, helper.make_node("Identity", ["shape"], ["computed"]))
    return model


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ("external weights", "external_data"),
        ("custom domain", "custom_domain"),
        ("old opset", "old_opset"),
        ("no card", "no_card"),
        ("card of another schema", "unknown_schema"),
        ("float output", "wrong_signature"),
        ("unknown operator", "cannot_run"),
        ("wrong shape", "wrong_output|cannot_run"),
    ],
)
def test_broken_file_is_refused_in_one_line(change: str, reasons: str, capfd: pytest.CaptureFixture[str]):
    with pytest.raises(UserError) as raised:
        opened(broken(change))
    assert raised.value.reason in reasons.split("|")
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("data", [b"", b"not onnx", b"\x00" * 100, b"\x80" * 100, generators.content("cut")[:-100]])
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(UserError) as raised:
        Generator(data, "cpu", 1, 64)
    assert raised.value.reason in ("not_onnx", "no_card")
