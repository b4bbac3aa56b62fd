"""Several float inputs: parts of z by their names, else a question."""

from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from seedmint.models.errors import UserError
from seedmint.service.importer.latent_binding import mapped_input
from seedmint.service.importer.options import ImportOptions
from seedmint.service.importer.signature import read_signature

ONE_HOT = ("class_code", ["n", 5])


def model(*inputs: tuple[str, list[Any]]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in inputs]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 8])
    return helper.make_model(helper.make_graph([helper.make_node("Identity", [inputs[0][0]], ["out"])], "g", values, [out]))


def kinds(*inputs: tuple[str, list[Any]], **options: Any) -> dict[str, tuple[str, int, int]]:
    signature = read_signature(model(*inputs), ImportOptions(name="g", title="G", **options))
    return {binding.input.name: (binding.kind, binding.start, binding.stop) for binding in signature.bindings}


@pytest.mark.parametrize(
    "names", [("z0", "z1"), ("z", "z_1"), ("zs.0", "zs.1"), ("latent_0", "latent_1"), ("latent_code1", "latent_code2")]
)
def test_numbered_inputs_are_parts_of_z(names: tuple[str, str]):
    first, second = names
    assert kinds((first, ["n", 8]), (second, ["n", 3])) == {first: ("z", 0, 8), second: ("z", 8, 11)}


@pytest.mark.parametrize("name", ["cont", "code", "cont_1", "continuous_code"])
def test_continuous_code_beside_a_label_is_a_part_of_z(name: str):
    assert kinds(("z", ["n", 8]), ("cat", ["n", 5]), (name, ["n", 2]), classes=tuple("abcde")) == {
        "z": ("z", 0, 8),
        "cat": ("one_hot", 0, 0),
        name: ("z", 8, 10),
    }


def test_one_hot_code_is_the_label():
    assert kinds(("z", ["n", 8]), ONE_HOT, classes=tuple("abcde"))["class_code"] == ("one_hot", 0, 0)


@pytest.mark.parametrize(
    "second",
    [
        ONE_HOT,
        ("code", ["n", 5]),
        ("cont", ["n", 5]),
        ("eps", ["n", 1]),
        ("latent", ["n", 8]),
        ("truncation_latent", [1, 8]),
        ("truncation_latent", ["n", 8]),
        ("latent_avg", [8]),
        ("z_mean", ["n", 8]),
        ("z1", [1, 8]),
    ],
)
def test_second_input_that_may_not_be_z_is_asked_for(second: tuple[str, list[Any]]):
    with pytest.raises(UserError) as refused:
        kinds(("z", ["n", 8]), second)
    assert (refused.value.field, refused.value.reason) == ("z_input", "z_input_missing")
    assert "classes" in refused.value.other_fields
    assert kinds(("z", ["n", 8]), second, z_input=("z",), noise="zero")[second[0]][0] == "constant"


@pytest.mark.parametrize("name", ["class_code", "content", "cat_code", "label_latent"])
def test_second_label_is_no_code(name: str):
    with pytest.raises(UserError) as refused:
        kinds(("z", ["n", 8]), ("y", ["n", 5]), (name, ["n", 3]), classes=tuple("abcde"))
    assert (refused.value.field, refused.value.reason) == ("z_input", "z_input_missing")


@pytest.mark.parametrize(
    ("name", "is_reported"), [("w", True), ("ws", True), ("styles", True), ("dlatents_in", True), ("z", False)]
)
def test_output_of_a_mapping_network_as_z_is_reported(name: str, is_reported: bool):
    assert kinds((name, ["n", 4, 8])) == {name: ("z", 0, 32)}
    signature = read_signature(model((name, ["n", 4, 8])), ImportOptions(name="g", title="G"))
    assert mapped_input(signature) == (name if is_reported else None)
