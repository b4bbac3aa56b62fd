"""Small generator files for tests, built node by node from fixed random weights, without torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from seedmint.models.card import CARD_KEY, Card, ImageOutput, Noise, SampleOutput
from seedmint.models.provenance import Licence, Provenance
from seedmint.models.reference import reference_of
from seedmint.models.runtime.generator_session import GeneratorSession
from seedmint.models.runtime.reference import reference_outputs, with_card, with_reference
from seedmint.service.runtime.generator import Generator

HIDDEN = 32


def card(name: str, **changes: Any) -> Card:
    """Return a valid card.

    Args:
        name: Name of the generator.
        changes: Fields that differ from an unconditional generator of 8x8 gray images.
    """
    fields: dict[str, Any] = {
        "name": name,
        "title": f"Test generator {name}",
        "noise": Noise(rule="philox-normal-v1", z_dim=20),
        "output": ImageOutput(height=8, width=8, channels=1),
        "provenance": Provenance(),
        "licence": Licence(data="CC0-1.0", weights="Apache-2.0"),
    }
    return Card(**(fields | changes))


def model(described: Card, weights_seed: int = 0, opset: int = 18, idle_trips: int = 0) -> ModelProto:
    """Build a generator.

    Images: z -> (+ row of the label) -> tanh layer -> sigmoid layer -> bytes.
    Samples: z -> (+ row of the label) -> tanh layer -> linear layer -> multiples of 1/1024.

    Args:
        described: The card.
        weights_seed: Seed of the weights.
        opset: ONNX opset version.
        idle_trips: Iterations of a loop that changes nothing, about a microsecond each. They make the generator slow.
    """
    random = np.random.RandomState(weights_seed)
    z_dim, shape = described.noise.z_dim, described.output.shape
    pixels = int(np.prod(shape))
    weights: dict[str, Any] = {
        "w1": random.randn(z_dim, HIDDEN).astype(np.float32) / np.float32(np.sqrt(z_dim)),
        "w2": random.randn(HIDDEN, pixels).astype(np.float32),
        "white": np.float32(255),
        "shape": np.array([-1, *shape], np.int64),
    }
    inputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", z_dim])]
    nodes = [helper.make_node("MatMul", ["z", "w1"], ["h"])]
    if described.classes is not None:
        inputs.append(helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]))
        weights["rows"] = random.randn(len(described.classes), HIDDEN).astype(np.float32)
        nodes += [
            helper.make_node("Gather", ["rows", "label"], ["row"]),
            helper.make_node("Add", ["h", "row"], ["labelled"]),
        ]
    if idle_trips:
        weights |= {"trips": np.int64(idle_trips), "go": np.bool_(True)}
        nodes.append(helper.make_node("Loop", ["trips", "go", nodes[-1].output[0]], ["idled"], body=_idle()))
    nodes += [
        helper.make_node("Tanh", [nodes[-1].output[0]], ["t"]),
        helper.make_node("MatMul", ["t", "w2"], ["logits"]),
    ]
    if isinstance(described.output, SampleOutput):
        weights |= {"white": np.float32(1024), "step": np.float32(1 / 1024)}
        nodes += [
            helper.make_node("Mul", ["logits", "white"], ["steps"]),
            helper.make_node("Round", ["steps"], ["rounded"]),
            helper.make_node("Mul", ["rounded", "step"], ["values"]),
            helper.make_node("Reshape", ["values", "shape"], ["sample"]),
        ]
        output = helper.make_tensor_value_info("sample", TensorProto.FLOAT, ["batch", *shape])
    else:
        nodes += [
            helper.make_node("Sigmoid", ["logits"], ["p"]),
            helper.make_node("Mul", ["p", "white"], ["grey"]),
            helper.make_node("Round", ["grey"], ["rounded"]),
            helper.make_node("Cast", ["rounded"], ["bytes"], to=TensorProto.UINT8),
            helper.make_node("Reshape", ["bytes", "shape"], ["image"]),
        ]
        output = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", *shape])
    stored = [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()]
    graph = helper.make_graph(nodes, "generator", inputs, [output], stored)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    helper.set_model_props(built, {CARD_KEY: described.to_json()})
    return built


def _idle() -> GraphProto:
    trip = helper.make_tensor_value_info("trip", TensorProto.INT64, [])
    go, on = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go_in", "go_out"))
    before, after = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("before", "after"))
    nodes = [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Identity", ["before"], ["after"])]
    return helper.make_graph(nodes, "idle", [trip, go, before], [on, after])


def content(name: str, weights_seed: int = 0, idle_trips: int = 0, **changes: Any) -> bytes:
    """Return the bytes of a small valid generator file, with the reference of this machine."""
    return finished(model(card(name, **changes), weights_seed, idle_trips=idle_trips))


def finished(built: ModelProto) -> bytes:
    """Return the bytes of a generator file, with the reference of this machine."""
    return with_reference(built.SerializeToString(), seeds=64)


def of_another_machine(content: bytes, difference: int = 3) -> bytes:
    """Return a generator file as a machine with other outputs writes it: one value in the reference of its card differs.

    Args:
        content: A generator file with a reference.
        difference: Added to the first value of seed 1.
    """
    session = GeneratorSession(content)
    assert session.card.reference is not None
    outputs = reference_outputs(session, session.card.reference.seeds)
    first = outputs[1].reshape(-1)
    first[0] = first[0] + difference if first[0] <= 255 - difference else first[0] - difference
    reference = reference_of(outputs, session.card.reference.made_with)
    return with_card(content, session.card.model_copy(update={"reference": reference}))


def make_approximate(generator: Generator, outputs: str = "0" * 64, difference: float | None = 1.0) -> None:
    """Give an open generator the check of a machine with other outputs.

    Args:
        generator: The generator to change.
        outputs: SHA-256 of the outputs of that machine.
        difference: Greatest difference from the reference.
    """
    generator.check = replace(generator.check, outputs=outputs, difference=difference)


def write(directory: Path, name: str, weights_seed: int = 0, **changes: Any) -> Path:
    """Write `directory/NAME.onnx` atomically, and return its path."""
    return put(directory / f"{name}.onnx", content(name, weights_seed, **changes))


def put(path: Path, data: bytes) -> Path:
    """Write a file atomically, and return its path."""
    temporary = path.with_name(f".{path.name}.temporary")
    temporary.write_bytes(data)
    return temporary.replace(path)
