"""Generators from elsewhere: exported by torch in the ways people do, taken in, and held against torch itself."""

import logging
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from seedmint.cli import main
from seedmint.models.contract import check_contract
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.service.importer.onnx_import import Wanted, import_generator
from seedmint.service.runtime.generator import Generator, open_generator

SEEDS = np.arange(200, dtype=np.int64)
DIM = 12


class Convolutional(nn.Module):
    """As in DCGAN tutorials: N x D x 1 x 1 -> NCHW in [-1, 1]."""

    def __init__(self, channels=3):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ConvTranspose2d(DIM, 16, 4), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.ConvTranspose2d(16, channels, 4, 2, 1), nn.Tanh()),
        )

    def forward(self, z):
        return self.layers(z)


class Flat(nn.Module):
    """As in MLP tutorials: N x D -> N x 48 in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(DIM, 32), nn.ReLU(), nn.Linear(32, 48), nn.Sigmoid())

    def forward(self, z):
        return self.layers(z)


class Labelled(nn.Module):
    """Whole-number labels by an embedding, NHWC in [0, 1]."""

    def __init__(self):
        super().__init__()
        self.rows, self.layer = nn.Embedding(5, DIM), nn.Linear(DIM, 5 * 6 * 1)

    def forward(self, z, label):
        return torch.sigmoid(self.layer(z + self.rows(label))).view(-1, 5, 6, 1)


class OneHot(nn.Module):
    """Labels as one-hot vectors, NCHW in [0, 255]."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(DIM + 5, 3 * 4 * 7)

    def forward(self, z, label):
        return 255 * torch.sigmoid(self.layer(torch.cat([z, label], 1))).view(-1, 3, 4, 7)


def exported(module, inputs, names, path, dynamo=False, opset=18, dynamic=True):
    module.eval()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            batch = torch.export.Dim("n", min=1)
            options = {"dynamic_shapes": tuple({0: batch} for _ in inputs), "verbose": False}
        else:
            options = {"dynamic_axes": {name: {0: "n"} for name in (*names, "out")} if dynamic else None}
        torch.onnx.export(
            module, inputs, path, input_names=names, output_names=["out"], opset_version=opset, dynamo=dynamo, **options
        )
    if dynamo:  # the exporter may put weights beside the file; here they are brought in
        onnx.save(onnx.load(path), path)
    return path.read_bytes()


def z_of(rule="philox-normal-v1"):
    return torch.from_numpy(noise(rule, DIM, SEEDS))


def held(imported, wanted):
    """The images of the taken-in file, which must be `wanted` (float NHWC, grey levels) to one level."""
    images = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    expected = np.clip(np.rint(wanted.detach().numpy()), 0, 255)
    assert images.shape == expected.shape
    assert np.abs(images - expected).max() <= 1
    assert (images != expected).mean() < 0.01
    check_contract(onnx.load_model_from_string(imported.content))


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_dcgan(tmp_path, channels, dynamo):
    torch.manual_seed(1)
    module = Convolutional(channels)
    content = exported(module, (torch.zeros(2, DIM, 1, 1),), ["noise"], tmp_path / "g.onnx", dynamo)
    imported = import_generator(content, Wanted(name="g", title="G"))
    held(imported, (module(z_of()[:, :, None, None]).permute(0, 2, 3, 1) + 1) * 127.5)
    assert "nchw, -1..1, images of 8x8" in imported.found[1]


@pytest.mark.parametrize("opset", [11, 17, 18])
def test_an_old_opset_is_brought_up(tmp_path, opset):
    torch.manual_seed(2)
    module = Flat()
    content = exported(module, (torch.zeros(2, DIM),), ["z"], tmp_path / "g.onnx", opset=opset)
    wanted = Wanted(name="g", title="G", shape=(4, 4, 3), prior="uniform", z_scale=3**-0.5)
    imported = import_generator(content, wanted)
    held(imported, 255 * module(z_of("philox-uniform-v1") * 3**-0.5).view(-1, 4, 4, 3))


def test_labels_as_whole_numbers(tmp_path):
    torch.manual_seed(3)
    module = Labelled()
    content = exported(module, (torch.zeros(2, DIM), torch.zeros(2, dtype=torch.int64)), ["z", "y"], tmp_path / "g.onnx")
    imported = import_generator(content, Wanted(name="g", title="G", classes=tuple("abcde")))
    held(imported, 255 * module(z_of(), torch.from_numpy(labels_of(SEEDS, 5))))
    assert imported.card.classes == tuple("abcde")


def test_labels_as_one_hot_vectors(tmp_path):
    torch.manual_seed(4)
    module = OneHot()
    content = exported(module, (torch.zeros(2, DIM), torch.zeros(2, 5)), ["z", "y"], tmp_path / "g.onnx")
    imported = import_generator(content, Wanted(name="g", title="G", classes=tuple("abcde")))
    label = nn.functional.one_hot(torch.from_numpy(labels_of(SEEDS, 5)), 5).float()
    held(imported, module(z_of(), label).permute(0, 2, 3, 1))


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    "element", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE]
)
def test_labels_of_any_type_as_numbers_and_as_rows(element, rows):
    """As numbers N x 1, which is how Keras gives them, floats too, or as rows of noughts and a one."""

    def change(model):
        kept = list(model.graph.node)
        nodes = [
            helper.make_node("Cast", ["y"], ["label"], to=TensorProto.FLOAT if rows else TensorProto.INT64),
            helper.make_node("MatMul", ["label", "e"], ["style"])
            if rows
            else helper.make_node("Gather", ["e", "flat"], ["style"]),
            helper.make_node("Mul", ["z", "style"], ["styled"]),
        ]
        if not rows:
            nodes.insert(1, helper.make_node("Squeeze", ["label", "last"], ["flat"]))
        kept[0].input[0] = "styled"
        del model.graph.node[:]
        model.graph.node.extend([*nodes, *kept])
        model.graph.input.append(helper.make_tensor_value_info("y", element, ["n", 5 if rows else 1]))
        stored = {"e": styles, "last": np.array([1])}
        model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in stored.items())

    styles = np.random.RandomState(1).randn(5, DIM).astype(np.float32)
    weights = np.random.RandomState(0).randn(DIM, 48).astype(np.float32)
    logits = (z_of().numpy() * styles[labels_of(SEEDS, 5)]) @ weights
    held(
        doctored(change, classes=tuple("abcde")),
        torch.from_numpy(255 / (1 + np.exp(-logits))).view(-1, 3, 4, 4).permute(0, 2, 3, 1),
    )
    if rows:
        with pytest.raises(UserError, match="--classes: 'y' is N x 5, which does not fit 4 classes"):
            doctored(change, classes=tuple("abcd"), label_input="y")
        with pytest.raises(UserError, match="--classes: 1000000 are too many"):
            doctored(change, classes=tuple(map(str, range(1_000_000))), label_input="y")


def test_weights_of_sixteen_bits(tmp_path):
    torch.manual_seed(5)
    module = Flat()
    halved = Flat()
    halved.load_state_dict(module.state_dict())
    content = exported(halved.half(), (torch.zeros(2, DIM, dtype=torch.float16),), ["z"], tmp_path / "g.onnx")
    imported = import_generator(content, Wanted(name="g", title="G", shape=(4, 4, 3)))
    images = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    expected = 255 * module(z_of()).detach().numpy().reshape(-1, 4, 4, 3)
    assert np.abs(images - expected).max() <= 2  # half precision keeps 11 bits


def test_the_command_takes_in_and_the_service_opens_what_it_wrote(tmp_path, capsys):
    torch.manual_seed(6)
    exported(Convolutional(), (torch.zeros(2, DIM, 1, 1),), ["noise"], tmp_path / "Faces.onnx")
    models = tmp_path / "models"
    models.mkdir()
    arguments = ["models", "add", str(tmp_path / "Faces.onnx"), "--title", "Eight by eight", "--models", str(models)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--data", "noise", "--weights-licence", "MIT"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "z noise of 12 numbers, normal" in said
    generator = open_generator(models / "faces.onnx")
    assert f"faces@{generator.digest12}" in said
    assert (generator.card.title, generator.card.licence.weights) == ("Eight by eight", "MIT")
    assert generator.card.provenance.dataset.name == "noise"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "0"], "--classes 0: at least one"),
        (["--classes", "a,b, a"], "--classes a,b, a: at least one, all different"),
        (["--z-scale", "0"], "--z-scale 0: must be"),
        (["--z-scale", "nan"], "--z-scale nan: must be"),
    ],
)
def test_the_command_names_the_option_that_is_wrong(tmp_path, capsys, options, message):
    (tmp_path / "g.onnx").write_bytes(b"")
    with pytest.raises(SystemExit) as ended:
        main(["models", "add", str(tmp_path / "g.onnx"), "--name", "new", "--models", str(tmp_path), *options])
    assert ended.value.code == 1
    assert message in capsys.readouterr().err


def doctored(change, **wanted):
    """A small file of ours with `change` made to its model, taken in."""
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
        [
            onnx.numpy_helper.from_array(weights, "w"),
            onnx.numpy_helper.from_array(np.array([-1, 3, 4, 4], np.int64), "shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    change(model)
    return import_generator(model.SerializeToString(), Wanted(**({"name": "g", "title": "G"} | wanted)))


def test_the_small_file_itself_is_taken_in():
    assert doctored(lambda model: None).card.output.shape == (4, 4, 3)


@pytest.mark.parametrize("flat", [False, True])
def test_a_shape_that_is_told_does_not_mix_the_axes(flat):
    """Planes after each other, as torch has them, in an output that says so and in one that does not."""

    def change(model):
        if flat:
            del model.graph.node[2]
            model.graph.output[0].CopyFrom(helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 48]))

    told = doctored(change, shape=(4, 4, 3), layout="nchw" if flat else None)
    assert Generator(told.content, "cpu", 1, 64).generate(SEEDS).tobytes() == (
        Generator(doctored(lambda model: None).content, "cpu", 1, 64).generate(SEEDS).tobytes()
    )


def external(model):
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret", 0, 8)


def custom(model):
    model.graph.node[1].domain = "evil"
    model.opset_import.add(domain="evil", version=1)


def long_z(model):
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1 << 40


def fixed(model):
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.array([1, 3, 4, 4], np.int64), "shape"))


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("style", TensorProto.FLOAT, ["n", 4]))


def infinite(model):
    weights = np.full((DIM, 48), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))


def last_axis(model):
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1, 1, DIM]))


def no_length(model):
    del model.graph.input[0].type.tensor_type.shape.dim[1:]
    model.graph.input[0].type.tensor_type.shape.dim.add()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "lies outside the file"),
        (custom, "custom operator domain 'evil'"),
        (long_z, "'z' is to have 1099511627776 numbers: at most 4096"),
        (fixed, "its batch is fixed|was its batch fixed"),
        (second_input, "--z-input is missing: the file has 'z', 'style'"),
        (infinite, "not finite"),
        (last_axis, "'z' is N x 1 x 1 x 12: z must be N x D or N x D x 1 x 1"),
        (no_length, "--z-dim is missing"),
    ],
)
def test_what_cannot_be_taken_in_is_told_with_the_way_out(change, message):
    with pytest.raises(UserError, match=message):
        doctored(change)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"classes": ("a", "b")}, "--classes: the file takes no label"),
        ({"z_input": "noise"}, "--z-input: the file has no 'noise', only 'z'"),
        ({"output": "images"}, "--output: the file has no 'images', only 'out'"),
        ({"shape": (5, 5, 1)}, "--shape: 5x5x1 does not fit"),
        ({"shape": (8, 2, 3)}, "--shape: 8x2x3 does not fit"),
        ({"shape": (4, 4, 3), "layout": "nhwc"}, "--shape: 4x4x3 does not fit"),
        ({"z_dim": 13}, "does not run"),
        ({"z_dim": 1 << 40}, "'z' is to have 1099511627776 numbers: at most 4096"),
    ],
)
def test_what_is_asked_for_wrongly_is_named(wanted, message):
    with pytest.raises(UserError, match=message):
        doctored(lambda model: None, **wanted)


@pytest.mark.parametrize("content", [b"", b"not onnx", bytes(100), b"\x08\x0a"])
def test_what_is_no_onnx_file_is_said_so(content):
    with pytest.raises(UserError, match="not an ONNX file"):
        import_generator(content, Wanted(name="g", title="G"))
