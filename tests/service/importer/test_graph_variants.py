"""Variants of one graph that compute the same images: versions, types, shapes, control flow and extra inputs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.models.runtime.session import TooLargeError
from seedmint.service.importer.importing import import_files
from seedmint.service.importer.options import ImportOptions, TrialSettings
from seedmint.service.importer.trial import Trial
from tests.service.importer.networks import DIM, SEEDS, images_of, import_small, small_model

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value_info(name: str, element: int, axes: list[Any] | None):
    return helper.make_tensor_value_info(name, element, axes)


def store(model: ModelProto, name: str, value: Any) -> None:
    """Add a constant, or replace it."""
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name == name]:
        model.graph.initializer.remove(tensor)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def set_nodes(model: ModelProto, *nodes: Any) -> None:
    kept = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def opset(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def ir_version(version: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.ir_version = version

    return change


def initializers_as_inputs(model: ModelProto) -> None:
    """IR version 3 requires this."""
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def loop(model: ModelProto) -> None:
    """One trip of a loop whose body reads the outer weight `w` and the outer value `z_copy`."""
    nodes = [
        helper.make_node("Identity", ["go"], ["go_on"]),
        helper.make_node("MatMul", ["z_copy", "w"], ["product"]),
        helper.make_node("Add", ["total", "product"], ["new_total"]),
    ]
    inputs = [value_info("trip", INT64, []), value_info("go", BOOL, []), value_info("total", FLOAT, None)]
    body = helper.make_graph(nodes, "body", inputs, [value_info("go_on", BOOL, []), value_info("new_total", FLOAT, None)])
    set_nodes(
        model,
        helper.make_node("Identity", ["z"], ["z_copy"]),
        helper.make_node("MatMul", ["z_copy", "w"], ["first"]),
        helper.make_node("Sub", ["first", "first"], ["zero"]),
        helper.make_node("Loop", ["one", "", "zero"], ["h"], body=body),
        *model.graph.node[1:],
    )
    store(model, "one", np.int64(1))


def fixed(batch: int, declared: bool = True) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        store(model, "shape", np.array([batch, 3, 4, 4]))
        if declared:
            model.graph.input[0].CopyFrom(value_info("z", FLOAT, [batch, DIM]))

    return change


def fixed_loop(model: ModelProto) -> None:
    loop(model)
    fixed(1)(model)


def no_batch_axis(model: ModelProto) -> None:
    model.graph.input[0].CopyFrom(value_info("z", FLOAT, [DIM]))
    store(model, "shape", np.array([3, 4, 4]))


def no_shape(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")
    model.graph.output[0].type.tensor_type.ClearField("shape")


def scaled(element: int, factor: float) -> Callable[[ModelProto], None]:
    """Multiply the output by a factor and convert it to another type."""

    def change(model: ModelProto) -> None:
        first, second, third = model.graph.node
        third.input[0] = "converted"
        scale = helper.make_node("Mul", ["p", "factor"], ["scaled"])
        set_nodes(model, first, second, scale, helper.make_node("Cast", ["scaled"], ["converted"], to=element), third)
        store(model, "factor", np.float32(factor))
        model.graph.output[0].CopyFrom(value_info("out", element, ["n", 3, 4, 4]))

    return change


def zero_classes(model: ModelProto) -> None:
    """StyleGAN without classes has a label input of length 0."""
    model.graph.input.append(value_info("c", FLOAT, ["n", 0]))


def training_flag(model: ModelProto) -> None:
    model.graph.input.append(value_info("training", BOOL, []))


def added_noise(model: ModelProto) -> None:
    """Noise of random operators, which --noise zero removes."""
    first, *rest = model.graph.node
    rest[0].input[0] = "noisy"
    random = helper.make_node("RandomNormalLike", ["h"], ["random"])
    set_nodes(model, first, random, helper.make_node("Add", ["h", "random"], ["noisy"]), *rest)


def unused_output(model: ModelProto) -> None:
    model.graph.output.append(value_info("z", FLOAT, ["n", DIM]))


def input_named_as_output(model: ModelProto) -> None:
    model.graph.input[0].name = "image"
    model.graph.node[0].input[0] = "image"


VARIANTS: dict[str, tuple[Callable[[ModelProto], None], dict[str, Any], bool]] = {
    **{f"opset {version}": (opset(version), {}, False) for version in (7, 9, 13, 21, 26, 27)},
    **{f"IR version {version}": (ir_version(version), {}, False) for version in (4, 14)},
    "initializers as inputs": (initializers_as_inputs, {}, False),
    "loop": (loop, {}, False),
    "loop, batch 1": (fixed_loop, {}, True),
    "batch 1": (fixed(1), {}, True),
    "batch 5": (fixed(5), {}, True),
    "batch 1, not declared": (fixed(1, declared=False), {}, True),
    "batch 4, not declared": (fixed(4, declared=False), {}, True),
    "no batch axis": (no_batch_axis, {}, True),
    "no shape": (no_shape, {"z_dim": DIM}, False),
    "uint16": (scaled(TensorProto.UINT16, 65535), {}, False),
    "int32": (scaled(TensorProto.INT32, 255), {}, False),
    "double": (scaled(TensorProto.DOUBLE, 255), {}, False),
    "16-bit floats": (scaled(FLOAT, 65535), {}, False),
    "zero classes": (zero_classes, {}, False),
    "training flag": (training_flag, {"constants": {"training": (0.0,)}}, False),
    "random noise": (added_noise, {"noise": "zero"}, False),
    "unused output": (unused_output, {"output": "out"}, False),
    "input named as the output": (input_named_as_output, {}, False),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_has_the_same_images(name: str):
    change, options, by_row = VARIANTS[name]
    imported = import_small(change, **options)
    assert imported.by_row == by_row
    limit = 1 if name in ("uint16", "int32") else 0  # these cut fractions off
    assert np.abs(images_of(imported).astype(int) - images_of(import_small())).max() <= limit


def scalar_label(model: ModelProto) -> None:
    """One label for the whole batch."""
    first, *rest = model.graph.node
    first.input[0] = "styled"
    row = helper.make_node("Gather", ["styles", "label"], ["style"])
    set_nodes(model, row, helper.make_node("Mul", ["z", "style"], ["styled"]), first, *rest)
    model.graph.input.append(value_info("label", INT64, []))
    store(model, "styles", np.random.RandomState(1).randn(5, DIM).astype(np.float32))


def test_scalar_label_runs_row_by_row():
    imported = import_small(scalar_label, classes=tuple("abcde"))
    assert imported.by_row
    images = images_of(imported)
    constants = [images_of(import_small(scalar_label, constants={"label": (label,)})) for label in range(5)]
    for image, label, row in zip(images, labels_of(SEEDS, 5), range(len(SEEDS)), strict=True):
        assert image.tobytes() == constants[label][row].tobytes()


def test_fixed_noise_is_the_same_for_every_image():
    def change(model: ModelProto) -> None:
        first, *rest = model.graph.node
        rest[0].input[0] = "noisy"
        set_nodes(model, first, helper.make_node("Add", ["h", "noise0"], ["noisy"]), *rest)
        model.graph.input.append(value_info("noise0", FLOAT, ["n", 48]))

    zero, fixed_noise = (import_small(change, noise=mode) for mode in ("zero", "fixed"))
    assert images_of(zero).tobytes() == images_of(import_small()).tobytes()
    assert images_of(fixed_noise).tobytes() == images_of(import_small(change, noise="fixed")).tobytes()
    assert images_of(fixed_noise).tobytes() != images_of(zero).tobytes()


def test_fixed_noise_of_random_operators_is_the_same_for_every_image():
    def constant(model: ModelProto) -> None:
        first, *rest = model.graph.node
        rest[0].input[0] = "noisy"
        set_nodes(model, first, helper.make_node("Add", ["h", "noise0"], ["noisy"]), *rest)
        model.graph.input.append(value_info("noise0", FLOAT, ["n", 48]))

    random, bound = import_small(added_noise, noise="fixed"), import_small(constant, noise="fixed")
    assert images_of(random).tobytes() == images_of(bound).tobytes() != images_of(import_small()).tobytes()


def test_slow_generator_has_a_small_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seedmint.service.importer.trial.BATCH_SECONDS", 1e-9)
    imported = import_small()
    assert imported.card.max_batch == 1
    assert import_small().content == imported.content


def test_setting_of_the_batch_limits_the_trial_and_the_card(tmp_path: Path):
    onnx.save(small_model(), tmp_path / "g.onnx")
    imported = import_files([tmp_path / "g.onnx"], ImportOptions(name="g", title="G"), TrialSettings(max_batch=3))
    assert imported.card.max_batch == 2


def test_batch_that_is_too_large_for_the_memory_is_smaller(monkeypatch: pytest.MonkeyPatch):
    run = Trial._run_rows

    def limited(self: Trial, session: Any, seeds: np.ndarray, **options: Any) -> Any:
        if len(seeds) > 5:
            raise TooLargeError("no memory")
        return run(self, session, seeds, **options)

    monkeypatch.setattr(Trial, "_run_rows", limited)
    assert import_small().card.max_batch == 2  # a batch of 3 ran, a batch of 7 did not


def test_output_of_another_type():
    def change(model: ModelProto) -> None:
        model.graph.node.append(helper.make_node("Cast", ["out"], ["text"], to=TensorProto.STRING))
        model.graph.output[0].CopyFrom(value_info("text", TensorProto.STRING, ["n", 3, 4, 4]))

    with pytest.raises(UserError) as refused:
        import_small(change)
    assert (refused.value.field, refused.value.reason) == ("output", "wrong_type")
