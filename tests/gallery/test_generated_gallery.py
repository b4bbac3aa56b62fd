"""Networks of the kinds that people publish, exported by torch in this test, compared with torch."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import nn

from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.provider import open_session
from seedmint.service.importer.importing import ImportedGenerator, import_files
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.support.batch_independence import assert_rows_are_independent

SEEDS = np.arange(16, dtype=np.int64)
Z_DIM = 16
CLASSES = tuple("abcde")

Row = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class Case:
    """One network.

    Attributes:
        module: Makes the network.
        inputs: The inputs of one row, from z [1, z_dim] and the label [1].
        image: Gray levels [h, w, c] or a sample, from the output of one row.
        options: Options of the import.
        export: Options of the export.
        by_row: Whether the import must run the graph row by row.
    """

    module: Callable[[], nn.Module]
    inputs: Row = lambda z, label: (z,)
    image: Callable[[torch.Tensor], torch.Tensor] = lambda out: (out[0].permute(1, 2, 0) + 1) * 127.5
    options: dict[str, Any] = field(default_factory=dict)
    export: dict[str, Any] = field(default_factory=dict)
    by_row: bool = False
    z_dim: int = Z_DIM


class Upsampling(nn.Module):
    """Linear layer, upsampling, convolutions."""

    def __init__(self, channels: int = 3, mode: str = "nearest", last: nn.Module | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(Z_DIM, 8 * 16)
        self.norm = nn.BatchNorm2d(8)
        self.norm.running_mean += torch.randn(8) / 4
        self.up = nn.Upsample(scale_factor=2, mode=mode)
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, channels, 3, padding=1)
        self.last = last or nn.Tanh()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.linear(z).view(-1, 8, 4, 4))
        x = functional.leaky_relu(self.first(self.up(x)), 0.2)
        return self.last(2 * self.second(x))


class FixedView(Upsampling):
    """The batch is a constant of the graph."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.linear(z).reshape(len(z), 8, 4, 4)
        x = functional.conv_transpose2d(x.reshape(1, -1, 4, 4), self.first.weight.repeat(len(z), 1, 1, 1), groups=len(z))
        return torch.tanh(self.second(x.reshape(len(z), 8, 6, 6)))


class Conditional(nn.Module):
    """An embedding whose rows are multiplied with z."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.body = nn.Embedding(5, Z_DIM), Upsampling()

    def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return self.body(z * self.rows(label.reshape(-1)))


class OneHotMap(nn.Module):
    """DCGAN with a one-hot label N x C x 1 x 1 beside z."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.ConvTranspose2d(Z_DIM + 5, 8, 4), nn.ConvTranspose2d(8, 1, 4, 2, 1)

    def forward(self, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.second(torch.relu(self.first(torch.cat([z, label], 1)))))


class Layers(nn.Module):
    """w of three layers: z of N x 3 x D."""

    def __init__(self) -> None:
        super().__init__()
        self.styles, self.body = nn.Linear(Z_DIM, Z_DIM), Upsampling()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.body(self.styles(z).mean(1) + z[:, 0] * z[:, 2])


class WithNoise(nn.Module):
    """A noise input, and one image for a batch without a name for the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Upsampling()

    def forward(self, z: torch.Tensor, noise_map: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.body(z) + 0 * noise_map + noise_map.abs())


class BatchStatistics(nn.Module):
    """Normalizes with the statistics of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Upsampling()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.body.linear(z).view(-1, 8, 4, 4)
        x = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
        return torch.tanh(self.body.second(self.body.up(x)))


class Recurrent(nn.Module):
    """A series of 12 steps of 2 channels by a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRU(Z_DIM, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(z[:, None].expand(-1, 12, -1))[0])


class Attention(nn.Module):
    """Self-attention, pixel shuffle and group normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.qkv = nn.Linear(Z_DIM, 16 * 16), nn.Conv2d(16, 48, 1)
        self.norm, self.out = nn.GroupNorm(4, 16), nn.Conv2d(16, 12, 1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.linear(z).view(-1, 16, 4, 4)
        q, k, v = self.qkv(self.norm(x)).flatten(2).chunk(3, 1)
        x = x + (v @ torch.softmax(q.transpose(1, 2) @ k / 4, -1).transpose(1, 2)).view(-1, 16, 4, 4)
        return torch.tanh(functional.pixel_shuffle(self.out(x), 2))


class Progressive(nn.Module):
    """ProGAN: normalized z, two resolutions, no limit of the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.low = Upsampling(), nn.Conv2d(8, 3, 1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = self.body.linear(z / torch.sqrt((z**2).mean(1, keepdim=True) + 1e-8)).view(-1, 8, 4, 4)
        return 0.3 * self.body.up(self.low(x)) + 0.7 * self.body.second(self.body.up(x))


class Decoder(nn.Module):
    """Decoder of a VAE: latent maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(2 * self.conv(nn.functional.interpolate(latent, scale_factor=2.0)))


class Joined(nn.Module):
    """Several inputs side by side: latent maps of Glow, or z, label and code of InfoGAN."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 48)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(torch.cat([value.flatten(1) for value in inputs], 1))).view(-1, 3, 4, 4)


class Truncated(nn.Module):
    """z, one-hot class and a truncation for the whole batch, as BigGAN; without classes StyleGAN, which normalizes z."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(Z_DIM + classes, 48)

    def forward(self, z: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        *labels, truncation = others
        z = truncation * z / z.norm(dim=1, keepdim=True)
        return torch.tanh(3 * self.layer(torch.cat([z, *labels], 1))).view(-1, 3, 4, 4)


class Flow(nn.Module):
    """RealNVP: points in the plane."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        a, b = z[:, :1], z[:, 1:]
        return torch.cat([a, b * torch.exp(self.scale(a)) + self.shift(a)], 1)


class Wave(nn.Module):
    """WaveGAN: N x 1 x length."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.conv = nn.Linear(Z_DIM, 4 * 16), nn.ConvTranspose1d(4, 1, 24, 4, 10)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.conv(self.layer(z).view(-1, 4, 16)))


class Lstm(nn.Module):
    """The first state is zeros as wide as the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTM(Z_DIM, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        first = torch.zeros(1, z.shape[0], 4)
        return self.out(self.cell(z[:, None].repeat(1, 6, 1), (first, first))[0])


class Looped(nn.Module):
    """A loop and a branch of TorchScript, whose bodies read weights outside."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.left, self.right = nn.Linear(Z_DIM, Z_DIM), nn.Linear(Z_DIM, 48), nn.Linear(Z_DIM, 48)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        i = 0
        while i < 3:
            z = torch.sin(self.step(z)) + z
            i += 1
        x = self.left(z) if z.shape[0] > 0 else self.right(z)
        return torch.tanh(x).view(-1, 3, 4, 4)


class Unbound(nn.Module):
    """A sequence of tensors inside the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Upsampling()

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.stack(torch.unbind(self.body(z), 1), 1)


class Perceptron(nn.Module):
    """N x D to a flat output."""

    def __init__(self, outputs: int, last: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(Z_DIM, 32), nn.ReLU(), nn.Linear(32, outputs), last)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


class Function(nn.Module):
    """A network with a function behind it."""

    def __init__(self, body: nn.Module, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.body, self.function = body, function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(self.body(*inputs))


def chw(out: torch.Tensor) -> torch.Tensor:
    return out[0].permute(1, 2, 0)


def one_hot(label: torch.Tensor) -> torch.Tensor:
    return functional.one_hot(label, 5).float()


DYNAMO = {"dynamo": True}
FIXED = {"dynamic": False}

CASES: dict[str, Case] = {
    "default_call": Case(Upsampling, export=FIXED | DYNAMO),
    "default_call_of_four": Case(Upsampling, export=FIXED | {"batch": 4}),
    "dynamic": Case(Upsampling, export=DYNAMO),
    **{f"opset_{opset}": Case(Upsampling, export={"opset": opset}) for opset in (9, 10, 11, 12, 13, 15, 16, 17, 20)},
    **{f"bilinear_opset_{opset}": Case(lambda: Upsampling(mode="bilinear"), export={"opset": opset}) for opset in (11, 13, 17)},
    "fixed_in_the_graph": Case(FixedView, export=FIXED, by_row=True),
    "fixed_in_the_graph_of_three": Case(FixedView, export=FIXED | {"batch": 3}, by_row=True),
    "sigmoid": Case(lambda: Upsampling(last=nn.Sigmoid()), image=lambda out: 255 * chw(out)),
    "grey_levels": Case(lambda: Function(Upsampling(), lambda x: (x + 1) * 127.5), image=chw),
    "bytes": Case(
        lambda: Function(Upsampling(), lambda x: ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)),
        image=lambda out: chw(out).float(),
    ),
    "clipped": Case(
        lambda: Function(Upsampling(last=nn.Identity()), lambda x: (x / 2 + 0.5).clamp(0, 1)), image=lambda out: 255 * chw(out)
    ),
    "channels_last": Case(
        lambda: Function(Upsampling(), lambda x: x.permute(0, 2, 3, 1)), image=lambda out: (out[0] + 1) * 127.5
    ),
    "grey": Case(lambda: Upsampling(1)),
    "alpha": Case(lambda: Upsampling(4)),
    "half": Case(lambda: Function(Upsampling(), lambda x: x.half()), image=lambda out: (chw(out).float() + 1) * 127.5),
    "double": Case(
        lambda: Perceptron(48, nn.Sigmoid()).double(),
        inputs=lambda z, label: (z.double(),),
        image=lambda out: 255 * out.view(4, 4, 3),
        options={"shape": (4, 4, 3), "layout": "nhwc"},
    ),
    "embedding": Case(Conditional, inputs=lambda z, label: (z, label), options={"classes": CLASSES}),
    "embedding_int32": Case(Conditional, inputs=lambda z, label: (z, label.int()), options={"classes": CLASSES}, export=FIXED),
    "embedding_n_by_1": Case(Conditional, inputs=lambda z, label: (z, label[:, None]), options={"classes": CLASSES}),
    "one_hot_map": Case(
        OneHotMap,
        inputs=lambda z, label: (z[:, :, None, None], one_hot(label)[:, :, None, None]),
        options={"classes": CLASSES},
    ),
    "z_of_layers_whole": Case(Layers, inputs=lambda z, label: (z.view(-1, 3, Z_DIM),), z_dim=3 * Z_DIM),
    "z_of_layers_repeated": Case(Layers, inputs=lambda z, label: (z[:, None].repeat(1, 3, 1),), options={"z_dim": Z_DIM}),
    "zero_noise": Case(WithNoise, inputs=lambda z, label: (z, torch.zeros(len(z), 1, 8, 8)), options={"noise": "zero"}),
    "batch_statistics": Case(BatchStatistics, by_row=True),
    "gru": Case(
        Recurrent,
        image=lambda out: out[0],
        options={"sample": True, "layout": "nlc", "columns": ("left", "right")},
    ),
    "attention": Case(Attention, export=DYNAMO),
    "flat_planes": Case(
        lambda: Perceptron(48, nn.Tanh()),
        image=lambda out: (chw(out.view(-1, 3, 4, 4)) + 1) * 127.5,
        options={"shape": (4, 4, 3), "layout": "nchw"},
    ),
    "flat_grey": Case(
        lambda: Perceptron(30, nn.Sigmoid()), image=lambda out: 255 * out.view(5, 6, 1), options={"shape": (5, 6, 1)}
    ),
    "rows": Case(
        lambda: Perceptron(3, nn.Identity()), image=lambda out: out[0], options={"sample": True, "columns": ("a", "b", "c")}
    ),
    "no_batch_axis": Case(
        lambda: Function(Upsampling(), lambda x: x[0]),
        image=lambda out: (out.permute(1, 2, 0) + 1) * 127.5,
        export=FIXED,
        by_row=True,
    ),
    "second_output": Case(
        lambda: Function(Upsampling(), lambda x: (x.mean((1, 2, 3)), x)),
        image=lambda out: (chw(out[1]) + 1) * 127.5,
        options={"output": "out1"},
        export={"outputs": ["out0", "out1"]},
    ),
    "progressive": Case(Progressive, options={"range": "-1..1"}),
    "decoder": Case(Decoder, inputs=lambda z, label: (z.view(-1, 2, 2, 4),), export={"names": ["latent"]}),
    "keras_z": Case(
        lambda: Function(Upsampling(), lambda x: x.permute(0, 2, 3, 1)),
        image=lambda out: (out[0] + 1) * 127.5,
        export={"names": ["dense_input:0"], "outputs": ["conv2d_transpose_3/Tanh:0"], "opset": 13},
    ),
    "z_1_1_d": Case(lambda: Joined(Z_DIM), inputs=lambda z, label: (z[:, None, None],)),
    "glow": Case(
        lambda: Joined(Z_DIM),
        inputs=lambda z, label: (z[:, :12].view(-1, 3, 2, 2), z[:, 12:].view(-1, 1, 2, 2)),
        export={"names": ["z_0", "z_1"]},
    ),
    "infogan": Case(
        lambda: Joined(Z_DIM + 5),
        inputs=lambda z, label: (z[:, :14], one_hot(label), z[:, 14:]),
        options={"classes": CLASSES, "z_input": ("z", "code")},
        export={"names": ["z", "label", "code"]},
    ),
    "float_label": Case(
        lambda: Joined(Z_DIM + 1), inputs=lambda z, label: (z, label[:, None].float()), options={"classes": CLASSES}
    ),
    "label_as_wide_as_z": Case(
        lambda: Joined(10), inputs=lambda z, label: (z, one_hot(label)), options={"classes": CLASSES}, z_dim=5
    ),
    "style_psi": Case(
        lambda: Truncated(0),
        inputs=lambda z, label: (z, torch.full((1,), 0.7)),
        options={"constants": {"psi": (0.7,)}},
        export=FIXED | {"names": ["z", "psi"]},
    ),
    "biggan": Case(
        lambda: Truncated(5),
        inputs=lambda z, label: (z, one_hot(label), torch.tensor(0.4)),
        options={"classes": CLASSES, "constants": {"truncation": (0.4,)}},
        export=FIXED | {"names": ["z", "class_vector", "truncation"]},
    ),
    "bright_tanh": Case(lambda: Function(Upsampling(), lambda x: x / 4 + 0.6), options={"range": "-1..1"}),
    "flow": Case(
        Flow, inputs=lambda z, label: (z,), image=lambda out: out[0], options={"sample": True, "columns": ("x", "y")}, z_dim=2
    ),
    "wave": Case(Wave, image=lambda out: out[0].T, options={"sample": True}),
    "lstm": Case(Lstm, image=lambda out: out[0], options={"sample": True, "layout": "nlc"}),
    "lstm_fixed": Case(Lstm, image=lambda out: out[0], options={"sample": True, "layout": "nlc"}, export=FIXED),
    "loop_and_if": Case(lambda: torch.jit.script(Looped())),
    "unbound": Case(Unbound),
    "sixteen_bits": Case(
        lambda: Function(Upsampling(), lambda x: ((x + 1) * 32767.5).round()), image=lambda out: chw(out) / 257
    ),
    "integers": Case(lambda: Function(Upsampling(), lambda x: ((x + 1) * 127.5).round().to(torch.int32)), image=chw),
    "uniform": Case(
        Upsampling, inputs=lambda z, label: (z * np.float32(3**-0.5),), options={"prior": "uniform", "z_scale": 3**-0.5}
    ),
}


def export(case: Case, path: Path) -> nn.Module:
    """Export the network of a case and return it."""
    torch.manual_seed(0)
    module = case.module().eval()
    batch = case.export.get("batch", 2 if case.export.get("dynamic", True) else 1)
    z, label = torch.zeros(batch, case.z_dim), torch.zeros(batch, dtype=torch.int64)
    inputs = case.inputs(z, label)
    default = ["z", "label"] if "classes" in case.options else ["z", "noise_map"]
    names = case.export.get("names", default[: len(inputs)])
    outputs = case.export.get("outputs", ["out"])
    options: dict[str, Any] = {"dynamo": case.export.get("dynamo", False)}
    if "opset" in case.export:
        options["opset_version"] = case.export["opset"]
    if case.export.get("dynamic", True):
        if options["dynamo"]:
            options["dynamic_shapes"] = (
                (tuple({0: torch.export.Dim.AUTO} for _ in inputs),)
                if isinstance(module, Function)
                else tuple({0: torch.export.Dim.AUTO} for _ in inputs)
            )
        else:
            options["dynamic_axes"] = {name: {0: "n"} for name in (*names, *outputs)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, inputs, path, input_names=names, output_names=outputs, verbose=False, **options)
    return module


def import_case(case: Case, path: Path) -> ImportedGenerator:
    return import_files([path], ImportOptions(**({"name": "g", "title": "G"} | case.options)))


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_those_of_torch(name: str, tmp_path: Path):
    case = CASES[name]
    module = export(case, tmp_path / "g.onnx")
    imported = import_case(case, tmp_path / "g.onnx")
    assert imported.by_row or not case.by_row
    generator = Generator(imported.content, "cpu", 1, 64)
    outputs = generator.generate(SEEDS)
    z = torch.from_numpy(noise(imported.card.noise.rule, case.z_dim, SEEDS))
    labels = torch.from_numpy(labels_of(SEEDS, len(CLASSES)))
    with torch.no_grad():
        expected = torch.stack([case.image(module(*case.inputs(z[i : i + 1], labels[i : i + 1]))) for i in range(len(SEEDS))])
    if case.options.get("sample"):
        np.testing.assert_allclose(outputs, expected.numpy(), atol=1e-4)
    else:
        limit = 1 if name != "half" else 2
        assert outputs.shape == tuple(expected.shape)
        assert np.abs(outputs - np.clip(np.rint(expected.numpy()), 0, 255)).max() <= limit
    assert_rows_are_independent(imported.content, examples=3)


# (case, options, field, reason): the same networks, with options missing or wrong
REFUSED = [
    ("bright_tanh", {}, "range", "range_missing"),
    ("progressive_grey", {}, "range", "range_missing"),
    ("flat_planes", {"shape": (4, 4, 3)}, "layout", "layout_missing"),
    ("flat_planes", {}, "shape", "shape_missing"),
    ("embedding_int32", {}, "classes", "classes_missing"),
    ("embedding_int32", {"classes": (*CLASSES, "f")}, "classes", "classes_mismatch"),
    ("infogan", {}, "z_input", "z_input_missing"),
    ("style_psi", {}, "set", "input_not_bound"),
    ("biggan", {"classes": CLASSES}, "set", "input_not_bound"),
    ("flow", {}, "shape", "shape_missing"),
    ("wave", {}, "shape", "shape_missing"),
    ("second_output", {}, "output", "output_missing"),
    ("levels", {}, "layout", "layout_missing"),
]
CASES_REFUSED = CASES | {
    "progressive_grey": Case(lambda: Function(Upsampling(last=nn.Identity()), lambda x: (x / 2).clamp(-1, 1) / 2)),
    "levels": Case(lambda: Function(Perceptron(16 * 64, nn.Identity()), lambda x: torch.softmax(x.view(-1, 64, 4, 4), 1))),
}


@pytest.mark.parametrize(("name", "options", "field", "reason"), REFUSED)
def test_questions(name: str, options: dict[str, Any], field: str, reason: str, tmp_path: Path):
    export(CASES_REFUSED[name], tmp_path / "g.onnx")
    with pytest.raises(UserError) as refused:
        import_files([tmp_path / "g.onnx"], ImportOptions(name="g", title="G", **options))
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_mapping_and_synthesis(tmp_path: Path):
    torch.manual_seed(0)
    mapping = nn.Sequential(nn.Linear(Z_DIM, 8), nn.LeakyReLU(0.2), nn.Linear(8, 6))
    synthesis = Joined(18)
    for name, module, value in (("mapping", mapping, torch.zeros(1, Z_DIM)), ("synthesis", synthesis, torch.zeros(1, 3, 6))):
        torch.onnx.export(
            module, (value,), tmp_path / f"{name}.onnx", input_names=["w" if value.dim() > 2 else "z"], dynamo=False
        )
    files = [tmp_path / "mapping.onnx", tmp_path / "synthesis.onnx"]
    imported = import_files(files, ImportOptions(name="g", title="G", range="-1..1"))
    z = torch.from_numpy(noise("philox-normal-v1", Z_DIM, SEEDS))
    with torch.no_grad():
        expected = (synthesis(mapping(z)[:, None].repeat(1, 3, 1)).permute(0, 2, 3, 1) + 1) * 127.5
    outputs = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    assert np.abs(outputs - expected.round().numpy()).max() <= 1
    assert_rows_are_independent(imported.content, examples=3)


def test_dynamic_quantisation_runs_row_by_row(tmp_path: Path):
    """The scale of the activations depends on the batch, and the products of int8 on the processor: compare on this one."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    case = Case(lambda: Perceptron(48, nn.Sigmoid()))
    export(case, tmp_path / "g.onnx")
    quantization.quantize_dynamic(tmp_path / "g.onnx", tmp_path / "q.onnx")
    imported = import_files([tmp_path / "q.onnx"], ImportOptions(name="g", title="G", shape=(4, 4, 3), layout="nhwc"))
    assert imported.by_row
    session = open_session((tmp_path / "q.onnx").read_bytes(), "cpu", 1)
    z = noise("philox-normal-v1", Z_DIM, SEEDS)
    rows = np.concatenate([session.run(None, {"z": z[i : i + 1]})[0] for i in range(len(SEEDS))])
    outputs = Generator(imported.content, "cpu", 1, 64).generate(SEEDS)
    assert np.abs(outputs - np.rint(rows * 255).reshape(outputs.shape)).max() <= 1
    assert_rows_are_independent(imported.content, examples=3)
