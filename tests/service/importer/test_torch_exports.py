"""Networks exported by torch give the same images after the import as in torch."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from seedmint.models.contract import check_contract
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.service.importer.networks import (
    DIM,
    SEEDS,
    Convolutional,
    Flat,
    Labelled,
    OneHot,
    exported,
    images_of,
    import_small,
    z_of,
)
from tests.support.onnx_imports import import_content


def assert_images(imported, expected):
    """Compare the images with float NHWC gray levels: at most one level, and equal almost everywhere."""
    images = images_of(imported)
    levels = np.clip(np.rint(expected.detach().numpy()), 0, 255)
    assert images.shape == levels.shape
    assert np.abs(images - levels).max() <= 1
    assert (images != levels).mean() < 0.01
    check_contract(onnx.load_model_from_string(imported.content))


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan(tmp_path, channels, dynamo):
    torch.manual_seed(1)
    module = Convolutional(channels)
    content = exported(module, (torch.zeros(2, DIM, 1, 1),), ["noise"], tmp_path / "g.onnx", dynamo)
    imported = import_content(content, ImportOptions(name="g", title="G"))
    assert_images(imported, (module(z_of()[:, :, None, None]).permute(0, 2, 3, 1) + 1) * 127.5)
    assert imported.card.output.shape == (8, 8, channels)


@pytest.mark.parametrize("opset", [11, 17, 18])
def test_old_opsets_are_converted(tmp_path, opset):
    torch.manual_seed(2)
    module = Flat()
    content = exported(module, (torch.zeros(2, DIM),), ["z"], tmp_path / "g.onnx", opset=opset)
    options = ImportOptions(name="g", title="G", shape=(4, 4, 3), layout="nhwc", prior="uniform", z_scale=3**-0.5)
    imported = import_content(content, options)
    assert_images(imported, 255 * module(z_of("philox-uniform-v1") * 3**-0.5).view(-1, 4, 4, 3))


def test_integer_labels(tmp_path):
    torch.manual_seed(3)
    module = Labelled()
    content = exported(module, (torch.zeros(2, DIM), torch.zeros(2, dtype=torch.int64)), ["z", "y"], tmp_path / "g.onnx")
    imported = import_content(content, ImportOptions(name="g", title="G", classes=tuple("abcde")))
    assert_images(imported, 255 * module(z_of(), torch.from_numpy(labels_of(SEEDS, 5))))
    assert imported.card.classes == tuple("abcde")


def test_labels_as_one_hot_vectors(tmp_path):
    torch.manual_seed(4)
    module = OneHot()
    content = exported(module, (torch.zeros(2, DIM), torch.zeros(2, 5)), ["z", "y"], tmp_path / "g.onnx")
    imported = import_content(content, ImportOptions(name="g", title="G", classes=tuple("abcde")))
    label = nn.functional.one_hot(torch.from_numpy(labels_of(SEEDS, 5)), 5).float()
    assert_images(imported, module(z_of(), label).permute(0, 2, 3, 1))


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize(
    "element", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE]
)
def test_labels_of_every_type_as_numbers_and_one_hot(element, one_hot):
    """As numbers N x 1, the form of Keras, or as one-hot vectors."""

    def change(model):
        kept = list(model.graph.node)
        nodes = [
            helper.make_node("Cast", ["y"], ["label"], to=TensorProto.FLOAT if one_hot else TensorProto.INT64),
            helper.make_node("MatMul", ["label", "e"], ["style"])
            if one_hot
            else helper.make_node("Gather", ["e", "flat"], ["style"]),
            helper.make_node("Mul", ["z", "style"], ["styled"]),
        ]
        if not one_hot:
            nodes.insert(1, helper.make_node("Squeeze", ["label", "last"], ["flat"]))
        kept[0].input[0] = "styled"
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *kept])
        model.graph.input.append(helper.make_tensor_value_info("y", element, ["n", 5 if one_hot else 1]))
        stored = {"e": styles, "last": np.array([1])}
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in stored.items())

    styles = np.random.RandomState(1).randn(5, DIM).astype(np.float32)
    weights = np.random.RandomState(0).randn(DIM, 48).astype(np.float32)
    logits = (z_of().numpy() * styles[labels_of(SEEDS, 5)]) @ weights
    assert_images(
        import_small(change, classes=tuple("abcde")),
        torch.from_numpy(255 / (1 + np.exp(-logits))).view(-1, 3, 4, 4).permute(0, 2, 3, 1),
    )
    if one_hot:
        for classes, reason in ((4, "classes_mismatch"), (1_000_000, "too_many_classes")):
            with pytest.raises(UserError) as refused:
                import_small(change, classes=tuple(map(str, range(classes))), label_input="y")
            assert (refused.value.field, refused.value.reason) == ("classes", reason)
    else:
        with pytest.raises(UserError) as refused:
            import_small(change, classes=tuple("abcdef"), label_input="y")
        assert (refused.value.field, refused.value.reason) == ("classes", "classes_mismatch")


def test_weights_in_half_precision(tmp_path):
    torch.manual_seed(5)
    module = Flat()
    halved = Flat()
    halved.load_state_dict(module.state_dict())
    content = exported(halved.half(), (torch.zeros(2, DIM, dtype=torch.float16),), ["z"], tmp_path / "g.onnx")
    imported = import_content(content, ImportOptions(name="g", title="G", shape=(4, 4, 3), layout="nhwc"))
    images = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    expected = 255 * module(z_of()).detach().numpy().reshape(-1, 4, 4, 3)
    assert np.abs(images - expected).max() <= 2  # half precision keeps 11 bits
