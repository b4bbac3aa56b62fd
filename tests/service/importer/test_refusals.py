"""Graphs and options that cannot be imported are refused with a field and a reason."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from seedmint.models.errors import UserError
from seedmint.service.cli.models_add import add
from seedmint.service.importer.options import ImportOptions
from tests.service.importer.networks import DIM, images_of, import_small
from tests.support.onnx_imports import import_content

OPTIONS = {max(parameter.opts, key=len).removeprefix("--").replace("-", "_") for parameter in add.params}


def test_small_model_is_imported():
    assert import_small().card.output.shape == (4, 4, 3)


@pytest.mark.parametrize("flat", [False, True])
def test_shape_option_keeps_the_order_of_the_axes(flat):
    def change(model):
        if flat:
            del model.graph.node[2]
            model.graph.output[0].CopyFrom(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 48]))

    imported = import_small(change, shape=(4, 4, 3), layout="nchw" if flat else None)
    assert images_of(imported).tobytes() == images_of(import_small()).tobytes()


def external(model):
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret", 0, DIM * 48 * 4)


def custom(model):
    model.graph.node[1].domain = "evil"
    model.opset_import.add(domain="evil", version=1)


def long_z(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("style", TensorProto.FLOAT, ["n", 4]))


def scalar_input(model):
    model.graph.input.append(helper.make_tensor_value_info("psi", TensorProto.FLOAT, [1]))


def infinite(model):
    weights = np.full((DIM, 48), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))


def no_length(model):
    del model.graph.input[0].type.tensor_type.shape.dim[1:]
    model.graph.input[0].type.tensor_type.shape.dim.add()


def old_opset(model):
    model.opset_import[0].version = 5


def random_operator(model):
    model.graph.node.insert(0, helper.make_node("RandomNormalLike", ["z"], ["z2"]))
    model.graph.node[1].input[0] = "z2"


def old_batch_statistics(model):
    """Before opset 14, BatchNormalization with more than one output is in training mode."""
    model.opset_import[0].version = 9
    names = ["scale", "bias", "mean", "variance"]
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.ones(48, np.float32), name) for name in names)
    node = helper.make_node("BatchNormalization", ["h", *names], ["normal", "new_mean", "new_variance", "saved", "saved2"])
    model.graph.node.insert(1, node)
    model.graph.node[2].input[0] = "normal"


def bfloat16_inside(model):
    model.graph.node.insert(1, helper.make_node("Cast", ["h"], ["low"], to=TensorProto.BFLOAT16))
    model.graph.node[2].input[0] = "low"


def sequence_output(model):
    model.graph.node.append(helper.make_node("SequenceConstruct", ["out"], ["images"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("images", TensorProto.FLOAT, None))


def sequence_input(model):
    model.graph.input.append(helper.make_tensor_sequence_value_info("codes", TensorProto.FLOAT, ["n", 4]))


def channels_that_may_be_a_side(model):
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.array([-1, 12, 1, 4], np.int64), "shape"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 12, 1, 4]))


def half_of_the_range(model):
    """Values from -0.5 to 0.5 without a limit in the graph: the range may be -0.5 to 0.5, or -1 to 1."""
    model.graph.node[1].CopyFrom(helper.make_node("Sin", ["h"], ["q"]))
    model.graph.node.insert(2, helper.make_node("Mul", ["q", "half"], ["p2"]))
    model.graph.node.insert(3, helper.make_node("Selu", ["p2"], ["p"], alpha=1.0, gamma=1.0))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))


def unbounded(model):
    model.graph.node[1].op_type = "Identity"


def half_of_a_tanh(model):
    model.graph.node[1].op_type = "Tanh"
    model.graph.node.insert(2, helper.make_node("Mul", ["p", "half"], ["q"]))
    model.graph.node[3].input[0] = "q"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5), "half"))


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (external, None, "external_data_path"),
        (custom, None, None),
        (long_z, "z_dim", "z_too_long"),
        (second_input, "z_input", "z_input_missing"),
        (scalar_input, "set", "input_not_bound"),
        (infinite, "prior", "output_not_finite"),
        (no_length, "z_dim", "z_dim_missing"),
        (old_opset, None, "opset_not_supported"),
        (random_operator, "noise", "random_operator"),
        (old_batch_statistics, None, "training_mode"),
        (bfloat16_inside, None, "bfloat16"),
        (sequence_output, None, "not_a_tensor"),
        (sequence_input, None, "not_a_tensor"),
        (channels_that_may_be_a_side, "layout", "layout_missing"),
        (half_of_the_range, "range", "range_missing"),
        (unbounded, "range", "range_missing"),
        (half_of_a_tanh, "range", "range_missing"),
    ],
)
def test_graphs_that_are_refused(change, field, reason):
    with pytest.raises(UserError) as refused:
        import_small(change)
    assert refused.value.field == field
    assert set(refused.value.other_fields) <= OPTIONS
    if reason is not None:
        assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"classes": ("a", "b")}, "classes", "no_label"),
        ({"z_input": ("noise",)}, "z_input", "unknown_input"),
        ({"label_input": "y"}, "label_input", "unknown_input"),
        ({"truncation_input": "psi"}, "truncation_input", "unknown_input"),
        ({"constants": {"psi": (1.0,)}}, "set", "unknown_input"),
        ({"output": "images"}, "output", "unknown_output"),
        ({"shape": (5, 5, 1)}, "shape", "shape_mismatch"),
        ({"shape": (8, 2, 3)}, "shape", "shape_mismatch"),
        ({"shape": (4, 4, 3), "layout": "nhwc"}, "shape", "shape_mismatch"),
        ({"layout": "ncl"}, "layout", "wrong_layout"),
        ({"z_dim": 13}, "z_dim", "z_dim_mismatch"),
        ({"z_dim": 1 << 40}, "z_dim", "z_dim_mismatch"),
        ({"columns": ("a",)}, "columns", "not_a_sample"),
        ({"sample": True}, "shape", "shape_missing"),
        ({"sample": True, "shape": (48,), "columns": ("a", "b")}, "columns", "columns_mismatch"),
        ({"reference": np.zeros((2, 4, 4, 3), np.float32)}, "reference", "reference_shape"),
        ({"reference": np.zeros((2, 4, 4, 3), np.uint8)}, "reference", "reference_mismatch"),
    ],
)
def test_options_that_are_refused(options, field, reason):
    with pytest.raises(UserError) as refused:
        import_small(**options)
    assert set(refused.value.other_fields) <= OPTIONS
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("field", ["z_input", "label_input", "truncation_input"])
def test_named_input_without_numbers_is_refused(field):
    def change(model):
        model.graph.input.append(helper.make_tensor_value_info("empty", TensorProto.FLOAT, ["n", 0]))

    with pytest.raises(UserError) as refused:
        import_small(change, **{field: ("empty",) if field == "z_input" else "empty"})
    assert (refused.value.field, refused.value.reason) == (field, "wrong_shape")


@pytest.mark.parametrize("content", [b"", b"not onnx", bytes(100), b"\x08\x0a"])
def test_bytes_that_are_not_onnx(content):
    with pytest.raises(UserError) as refused:
        import_content(content, ImportOptions(name="g", title="G"))
    assert refused.value.reason == "not_onnx"
