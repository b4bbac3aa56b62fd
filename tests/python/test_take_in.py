"""`seedmint.take_in`, and `seedmint models add --network`."""

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import seedmint
from seedmint.cli import cli
from seedmint.from_torch import taking_in
from seedmint.from_torch.calling import find_call
from seedmint.from_torch.importing import import_module
from seedmint.from_torch.network import build_network
from seedmint.from_torch.weights import load_weights
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.service.importer.options import ImportOptions
from tests.support.batch_independence import assert_rows_are_independent

SEEDS = np.arange(16, dtype=np.int64)
CODE = """
import argparse
from torch import nn

class Generator(nn.Module):
    def __init__(self, nz, width=4):
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(nz, width, 4), nn.BatchNorm2d(width), nn.ConvTranspose2d(width, 3, 4))

    def forward(self, z):
        return self.main(z).tanh()

def text():
    return "no module"
"""


class Convolutional(nn.Module):
    """DCGAN in training mode: N x D x 1 x 1."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(6, 4, 4), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 3, 4, 2, 1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.main(z))


class Labelled(nn.Module):
    """A one-hot label, a further argument, and several outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6 + 3, 48)

    def forward(self, code: torch.Tensor, y: torch.Tensor, step: int) -> dict[str, torch.Tensor]:
        features = self.layer(torch.cat([code, y], 1))
        for _ in range(step):
            features = features.relu() + 0.1
        return {"features": features, "image": features.sigmoid().view(-1, 3, 4, 4)}


class FixedBatch(nn.Module):
    """A convolution whose weights depend on z, as in StyleGAN2: torch.export needs a fixed batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3 * 3 * 9)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        weight = self.layer(z).view(-1, 3, 3, 3)
        if int(z.shape[0]) != 1:
            raise ValueError("one at a time")
        return torch.tanh(nn.functional.conv2d(torch.ones(1, 3, 8, 8), weight, padding=1))


def expected(module: nn.Module, call: Callable[..., torch.Tensor], classes: int = 0) -> np.ndarray:
    """Run a module in evaluation mode row by row."""
    module.eval()
    z = torch.from_numpy(noise("philox-normal-v1", 6, SEEDS))
    labels = torch.from_numpy(labels_of(SEEDS, classes)) if classes else None
    with torch.no_grad():
        rows = [call(z[i : i + 1], None if labels is None else labels[i : i + 1])[0] for i in range(len(SEEDS))]
    return torch.stack(rows).permute(0, 2, 3, 1).clamp(0, 255).round().numpy()


def test_module(tmp_path: Path):
    torch.manual_seed(0)
    module = Convolutional()
    module(torch.randn(8, 6, 1, 1))  # running statistics
    module.main[1].eval()
    generator = seedmint.take_in(module, z_dim=6, name="faces", models=tmp_path)
    assert generator.source == str(tmp_path / "faces.onnx")
    assert (module.training, module.main[1].training) == (True, False)
    assert generator.card.noise.z_dim == 6
    assert generator.card.provenance.imported is not None
    assert generator.card.provenance.imported.difference in (0, 1)
    images = expected(module, lambda z, label: (module(z[:, :, None, None]) + 1) * 127.5)
    assert np.abs(generator.images(SEEDS).astype(int) - images).max() <= 1
    assert_rows_are_independent((tmp_path / "faces.onnx").read_bytes(), examples=3)
    with pytest.raises(UserError) as refused:
        seedmint.take_in(module, z_dim=6, name="faces", models=tmp_path)
    assert (refused.value.field, refused.value.reason) == ("name", "name_exists")


def test_label_further_argument_and_named_output(tmp_path: Path):
    torch.manual_seed(0)
    module = Labelled()
    path = tmp_path / "there.onnx"
    generator = seedmint.take_in(module, name="g", classes=["a", "b", "c"], inputs={"step": 2}, output="image", path=path)
    assert generator.classes == ("a", "b", "c")

    def call(z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return 255 * module(z, nn.functional.one_hot(label, 3).float(), 2)["image"]

    assert np.abs(generator.images(SEEDS).astype(int) - expected(module, call, 3)).max() <= 1


def test_module_with_a_fixed_batch(tmp_path: Path):
    torch.manual_seed(0)
    module = FixedBatch()
    generator = seedmint.take_in(module, name="g", models=tmp_path)
    images = expected(module, lambda z, label: (module(z) + 1) * 127.5)
    assert np.abs(generator.images(SEEDS).astype(int) - images).max() <= 1
    assert generator.determinism == "exact"


class Random(Convolutional):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return super().forward(z) + torch.randn(1)


@pytest.mark.parametrize(
    ("module", "options", "field", "reason"),
    [
        (Random, {}, "noise", "random_operator"),
        (lambda: "text", {}, "module", "not_a_module"),
        (lambda: torch.jit.trace(nn.Linear(6, 30), torch.zeros(1, 6)), {}, "module", "torchscript_file"),
        (Convolutional, {"name": "A b"}, "name", "wrong_name"),
        (Convolutional, {"z_dim": 7}, "network", "network_fails"),
        (Convolutional, {"classes": 3}, "classes", "no_label"),
        (Convolutional, {"classes": ["a", "a"]}, "classes", "names_not_distinct"),
        (Convolutional, {"inputs": {"psi": 1}}, "set", "unknown_input"),
        (Convolutional, {"z_dim": 3, "z_shape": (6, 1, 1)}, "z_dim", "z_dim_mismatch"),
        (Labelled, {"inputs": {"step": 1}}, "classes", "classes_missing"),
        (Labelled, {"classes": 3}, "set", "input_not_bound"),
        (Labelled, {"classes": 3, "inputs": {"step": 1}}, "output", "output_missing"),
        (Labelled, {"classes": 3, "inputs": {"step": 1}, "output": 7}, "output", "unknown_output"),
        (lambda: nn.Conv2d(3, 3, 1), {}, "z_dim", "z_dim_missing"),
        (Convolutional, {"z_dim": 6, "title": "two\nlines"}, "title", "card_field"),
    ],
)
def test_modules_that_are_refused(module, options, field, reason, tmp_path: Path):
    with pytest.raises(UserError) as refused:
        seedmint.take_in(module(), **({"name": "g", "models": tmp_path} | options))
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert str(refused.value).startswith("inputs: " if field == "set" else f"{field}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "field", "reason"),
    [
        ({"range": "0..2"}, "range", "out_of_range"),
        ({"range": (-1, 1)}, "range", "out_of_range"),
        ({"layout": "chw"}, "layout", "out_of_range"),
        ({"noise": "random"}, "noise", "out_of_range"),
        ({"prior": "gauss"}, "prior", "out_of_range"),
        ({"prior": None}, "prior", "out_of_range"),
        ({"z_scale": 0}, "z_scale", "out_of_range"),
        ({"z_scale": float("nan")}, "z_scale", "out_of_range"),
        ({"z_scale": "1"}, "z_scale", "wrong_type"),
        ({"z_dim": 0}, "z_dim", "out_of_range"),
        ({"z_dim": 6.0}, "z_dim", "wrong_type"),
        ({"z_shape": 8}, "z_shape", "wrong_shape"),
        ({"z_shape": ()}, "z_shape", "wrong_shape"),
        ({"shape": "28x28x1"}, "shape", "wrong_shape"),
        ({"shape": (28, -1, 1)}, "shape", "out_of_range"),
        ({"name": None}, "name", "wrong_type"),
        ({"title": 3}, "title", "wrong_type"),
        ({"classes": "abc"}, "classes", "wrong_type"),
        ({"classes": 0}, "classes", "out_of_range"),
        ({"classes": 10**9}, "classes", "too_many_classes"),
        ({"columns": [1, 2]}, "columns", "wrong_type"),
        ({"sample": "yes"}, "sample", "wrong_type"),
        ({"z_input": 3}, "z_input", "wrong_type"),
        ({"inputs": 3}, "set", "wrong_type"),
        ({"reference": [[1], [1, 2]]}, "reference", "wrong_type"),
        ({"reference": ["a"]}, "reference", "wrong_type"),
        ({"models": 3}, "models", "wrong_type"),
        ({"path": 3}, "path", "wrong_type"),
    ],
)
def test_options_that_are_refused(options, field, reason, tmp_path: Path):
    with pytest.raises(UserError) as refused:
        seedmint.take_in(nn.Identity(), **({"name": "g", "models": tmp_path} | options))
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert str(refused.value).startswith("inputs: " if field == "set" else f"{field}: ")


def test_findings_are_printed_and_settings_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    used = []

    def import_with(*args: Any, settings: Any) -> Any:
        used.append((settings.provider, settings.threads, settings.max_batch))
        return import_module(*args, settings=settings)

    monkeypatch.setattr(taking_in, "import_module", import_with)
    for name, value in {"PROVIDER": "cpu", "THREADS": "2", "MAX_BATCH": "8"}.items():
        monkeypatch.setenv(f"SEEDMINT_{name}", value)
    torch.manual_seed(0)
    generator = seedmint.take_in(Convolutional(), z_dim=np.int64(6), name="g", models=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert any("nchw" in line and "-1..1" in line for line in lines)
    assert str(tmp_path / "g.onnx") in lines[-1]
    assert used == [("cpu", 2, 8)]
    origin = generator.card.provenance.imported
    assert origin is not None
    assert origin.options["export"].startswith("torch.export")
    assert origin.options["torch"] == torch.__version__
    seedmint.take_in(Convolutional(), z_dim=6, name="g", models=tmp_path, replace=True, quiet=True)
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("SEEDMINT_THREADS", "many")
    with pytest.raises(UserError) as refused:
        seedmint.take_in(Convolutional(), z_dim=6, name="h", models=tmp_path)
    assert refused.value.field == "threads"


def test_public_names():
    assert dir(seedmint) == sorted(seedmint.__all__)


class Positional(nn.Module):
    """`forward` without names, as in Keras: a list of label and z."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.layer = nn.Embedding(4, 6), nn.Linear(6, 30)

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        ((label, z),) = args
        return torch.sigmoid(self.layer(z * self.rows(label.long()).view(-1, 6))).view(-1, 5, 6, 1)


def test_inputs_by_position():
    call = find_call(Positional(), ImportOptions(name="g", title="G", classes=tuple("abcd"), z_dim=6))
    assert (call.order, call.in_list, call.z_shape) == (("label", "z"), True, (6,))


def test_styles_in_a_list_and_a_flag_against_noise():
    class Styles(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.style_dim = nn.Linear(6, 48), 6

        def forward(self, styles: list[torch.Tensor], randomize_noise: bool = True) -> tuple[torch.Tensor, None]:
            image = self.layer(torch.stack(styles).mean(0))
            return image + torch.randn(1) if randomize_noise else image, None

    call = find_call(Styles(), ImportOptions(name="g", title="G", constants={"randomize_noise": (0.0,)}))
    assert (call.in_list, call.z_shape, call.constants) == (True, (6,), {"randomize_noise": 0})


def test_truncation_and_constant_parameters():
    class Style(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.c_dim = nn.Linear(6, 6), 0

        def forward(self, z: torch.Tensor, c: torch.Tensor | None, psi: float = 1.0) -> torch.Tensor:
            assert c is None
            return psi * self.layer(z)

    call = find_call(Style(), ImportOptions(name="g", title="G", truncation_input="psi"))
    assert (call.z_name, call.constants, call.truncation_name, call.z_shape) == ("z", {"c": None}, "psi", (6,))


WRAPPERS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], Any], str]] = {
    "plain": (lambda weights: weights, ""),
    "state_dict": (lambda weights: {"epoch": 3, "state_dict": weights}, "state_dict"),
    "ema": (
        lambda weights: {"G": {key: value * 0 for key, value in weights.items()}, "G_ema": weights, "D": {"w": torch.ones(3)}},
        "G_ema",
    ),
    "parallel": (lambda weights: {f"module.{key}": value for key, value in weights.items()}, "module"),
    "lightning": (
        lambda weights: {
            "state_dict": {f"generator.{k}": v for k, v in weights.items()} | {"discriminator.0.weight": torch.ones(2)},
            "hyper_parameters": {"nz": 6},
        },
        "state_dict.generator",
    ),
    "nested": (lambda weights: {"nets": {"netG": {f"module.{k}": v for k, v in weights.items()}}}, "nets.netG.module"),
    "script": (
        lambda weights: {"args": argparse.Namespace(nz=6), "loss": np.float64(0.5), "generator": weights},
        "generator",
    ),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_weights_are_found(name: str, tmp_path: Path):
    wrap, place = WRAPPERS[name]
    original, module = Convolutional(), Convolutional()
    torch.save(wrap(original.state_dict()), tmp_path / "netG.pth")
    assert load_weights(module, tmp_path / "netG.pth") == place
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in original.state_dict().items())


def test_weights_of_an_old_version_of_torch(tmp_path: Path):
    original, module = Convolutional(), Convolutional()
    torch.save({"netG": original.state_dict()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load_weights(module, tmp_path / "old.pth") == "netG"
    assert torch.equal(original.main[0].weight, module.main[0].weight)


def test_weights_in_a_safetensors_file(tmp_path: Path):
    from safetensors.torch import save_file

    original, module = Convolutional(), Convolutional()
    save_file({f"generator.{key}": value for key, value in original.state_dict().items()}, tmp_path / "g.safetensors")
    assert load_weights(module, tmp_path / "g.safetensors") == "generator"
    assert torch.equal(original.main[0].weight, module.main[0].weight)


class Mischief:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


def test_checkpoints_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    weights = Convolutional().state_dict()
    fewer = {key: value for key, value in weights.items() if key != "main.0.weight"}
    torch.save({"state_dict": fewer}, "fewer.pth")
    torch.save(weights | {"main.9.weight": torch.ones(2)}, "more.pth")
    torch.save({key: value[:1] for key, value in weights.items() if value.ndim}, "shapes.pth")
    torch.save([1, 2], "list.pth")
    torch.save(Mischief(), "mischief.pth")
    torch.save(weights, "short.pth")
    Path("short.pth").write_bytes(Path("short.pth").read_bytes()[:-200])
    Path("g.onnx").write_bytes(b"text")
    reasons = {
        **dict.fromkeys(("fewer.pth", "more.pth", "shapes.pth"), ("network", "weights_mismatch")),
        "list.pth": ("file", "no_weights"),
        "mischief.pth": ("file", "pickled_objects"),
        "short.pth": ("file", "damaged_checkpoint"),
        "g.onnx": ("file", "not_a_checkpoint"),
    }
    for file, (field, reason) in reasons.items():
        with pytest.raises(UserError) as refused:
            load_weights(Convolutional(), Path(file))
        assert (file, refused.value.field, refused.value.reason) == (file, field, reason)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("network", "arguments", "reason"),
    [
        ("netg.py", {}, "wrong_network"),
        ("other.py:Generator", {}, "not_found"),
        ("no_such_module:Generator", {}, "not_found"),
        ("netg.py:Other", {}, "unknown_network"),
        ("netg.py:Generator", {}, "network_fails"),
        ("netg.py:Generator", {"nz": "many"}, "network_fails"),
        ("netg.py:text", {}, "not_a_module"),
        ("broken.py:Generator", {}, "network_fails"),
    ],
)
def test_networks_that_are_refused(network, arguments, reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netg.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(UserError) as refused:
        build_network(network, arguments)
    assert (refused.value.field, refused.value.reason) == ("network", reason)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("netg.py").write_text(CODE)
    Path("models").mkdir()
    torch.manual_seed(0)
    module = build_network("netg.py:Generator", {"nz": "6"}).eval()
    torch.save({"G_ema": module.state_dict()}, "netG.pth")
    arguments = ["models", "add", "netG.pth", "--network", f"{tmp_path}/netg.py:Generator", "--models", "models"]
    for options, field, reason in (
        ([], "network", "network_fails"),
        (["--arg", "nz"], "arg", "wrong_argument"),
        (["--arg", "nz=6", "--arg", "width=5"], "network", "weights_mismatch"),
        (["more.pth", "--arg", "nz=6"], "file", "too_many_files"),
    ):
        with pytest.raises(UserError) as refused:
            cli.main([*arguments, *options], standalone_mode=False)
        assert (refused.value.field, refused.value.reason) == (field, reason)
    with pytest.raises(UserError) as refused:
        cli.main(["models", "add", "netG.pth", "--arg", "nz=6", "--models", "models"], standalone_mode=False)
    assert (refused.value.field, refused.value.reason) == ("arg", "no_network")
    cli.main([*arguments, "--arg", "nz=6"], standalone_mode=False)
    assert "G_ema" in capsys.readouterr().out
    images = expected(module, lambda z, label: (module(z[:, :, None, None]) + 1) * 127.5)
    generator = seedmint.load("models/netg.onnx")
    assert np.abs(generator.images(SEEDS).astype(int) - images).max() <= 1
    origin = generator.card.provenance.imported
    assert origin is not None
    assert [file.sha256 for file in origin.originals] == [hashlib.sha256(Path("netG.pth").read_bytes()).hexdigest()]
    assert origin.options == {
        "network": "netg.py:Generator",
        "network_sha256": hashlib.sha256(Path("netg.py").read_bytes()).hexdigest(),
        "arguments": {"nz": "6"},
        "weights": "G_ema",
        "export": "torch.export, any batch",
        "torch": torch.__version__,
    }
    assert str(tmp_path) not in generator.card.model_dump_json()
    assert origin.difference in (0, 1)
