"""Files as public repositories write them, with the outputs of their original frameworks for seeds 0 to 15."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seedmint.from_torch.importing import import_checkpoint
from seedmint.models.errors import UserError
from seedmint.service.importer.importing import ImportedGenerator, import_files
from seedmint.service.importer.options import ImportOptions
from seedmint.service.runtime.generator import Generator
from tests.support.batch_independence import assert_rows_are_independent

GALLERY = Path(__file__).resolve().parents[2].parent / "shared" / "gallery"
TEN = tuple(map(str, range(10)))

pytestmark = pytest.mark.skipif(not GALLERY.is_dir(), reason=f"the folder {GALLERY} does not exist")

# file -> options with which the file is imported
IMPORTED: dict[str, dict[str, Any]] = {
    "wgan_default_call": {},
    "wgan_fixed1_legacy": {},
    "sg2_fused_fixed1": {},
    "cgan_int32_fixed1": {"classes": TEN},
    "stylegan2_z_rank3": {},
    "z_1x1xD": {},
    "vae_map": {},
    "glow_zs": {},
    "infogan": {"classes": TEN},
    "stylegan2_psi": {"constants": {"truncation_psi": (0.7,)}},
    "biggan": {"classes": TEN, "constants": {"truncation": (0.4,)}},
    "stylegan2_w": {},
    "batch_stats_own": {},
    "int8_dynamic_mlp": {"shape": (28, 28, 1)},
    "dark_sigmoid": {},
    "bright_tanh": {"range": "-1..1"},
    "flat_rgb": {"layout": "nchw", "shape": (16, 16, 3)},
    "rgba": {},
    "realnvp2d": {"sample": True},
    "wavegan": {"sample": True},
    "scripted_if": {},
    "heavy512": {},
    "dcgan_legacy": {},
    "fp16": {},
    "sagan_opset10": {},
}

# (file, options, field, reason) of files that are refused
REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("bright_tanh.onnx", {}, "range", "range_missing"),
    ("flat_rgb.onnx", {"shape": (16, 16, 3)}, "layout", "layout_missing"),
    ("flat_rgb.onnx", {}, "shape", "shape_missing"),
    ("cgan_int32_fixed1.onnx", {}, "classes", "classes_missing"),
    ("cgan_int32_fixed1.onnx", {"classes": (*TEN, "10")}, "classes", "classes_mismatch"),
    ("infogan.onnx", {}, "z_input", "z_input_missing"),
    ("stylegan2_psi.onnx", {}, "set", "input_not_bound"),
    ("biggan.onnx", {"classes": TEN}, "set", "input_not_bound"),
    ("realnvp2d.onnx", {}, "shape", "shape_missing"),
    ("wavegan.onnx", {}, "shape", "shape_missing"),
    ("netG.pth", {}, None, "pytorch_checkpoint"),
    ("generator.keras", {}, None, "keras_file"),
]

# They normalize z, or features that are proportional to z.
NORMALIZED = {"batch_stats_own", "sg2_fused_fixed1", "stylegan2_z_rank3", "stylegan2_psi", "stylegan2_w"}
BY_ROW = {"wgan_default_call", "wgan_fixed1_legacy", "cgan_int32_fixed1", "batch_stats_own", "int8_dynamic_mlp"}


def import_gallery_file(name: str, **options: Any) -> ImportedGenerator:
    files = ["stylegan2_w_mapping.onnx", "stylegan2_w.onnx"] if name == "stylegan2_w" else [f"{name}.onnx"]
    return import_files([GALLERY / file for file in files], ImportOptions(**({"name": "g", "title": "G"} | options)))


def saturates_int8_products() -> bool:
    """Return whether ONNX Runtime saturates sums of int8 products: on x86 processors without the VNNI instructions."""
    cpuinfo = Path("/proc/cpuinfo")
    return not (cpuinfo.exists() and "vnni" in cpuinfo.read_text(encoding="ascii"))


# A batch of heavy512 takes seconds.
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "heavy512")) for name in IMPORTED])
def test_outputs_are_those_of_the_original(name: str):
    imported = import_gallery_file(name, **IMPORTED[name])
    generator = Generator(imported.content, "cpu", 1, 64)
    assert generator.determinism == "exact"
    assert imported.by_row or name not in BY_ROW
    assert imported.card.truncation == ("none" if name in NORMALIZED else "z")
    if name == "heavy512":  # no reference: only its cost is of interest
        assert generator.max_batch < 64
        return
    if name == "int8_dynamic_mlp" and not saturates_int8_products():
        pytest.skip("the reference holds saturated int8 products, which this processor does not compute")
    reference = np.load(GALLERY / f"{name}.ref.npy")
    outputs = generator.generate(np.arange(16))
    assert outputs.shape == reference.shape
    limit = 1 if reference.dtype == np.uint8 else 1e-4
    assert np.abs(outputs.astype(np.float64) - reference).max() <= limit


@pytest.mark.parametrize(("file", "options", "field", "reason"), REFUSED)
def test_files_that_are_refused(file: str, options: dict[str, Any], field: str | None, reason: str):
    with pytest.raises(UserError) as refused:
        import_files([GALLERY / file], ImportOptions(**({"name": "g", "title": "G"} | options)))
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("name", [name for name in IMPORTED if name != "heavy512"])
def test_rows_do_not_depend_on_their_batch(name: str):
    assert_rows_are_independent(import_gallery_file(name, **IMPORTED[name]).content)


@pytest.mark.parametrize("name", ["stylegan2_psi", "biggan"])
def test_truncation_input(name: str):
    """The truncation of a request reaches the input: each row has its own."""
    options = {"stylegan2_psi": {}, "biggan": {"classes": TEN}}[name]
    scalar = {"stylegan2_psi": "truncation_psi", "biggan": "truncation"}[name]
    value = {"stylegan2_psi": 0.7, "biggan": 0.4}[name]
    imported = import_gallery_file(name, truncation_input=scalar, **options)
    assert imported.card.truncation == "input"
    generator = Generator(imported.content, "cpu", 1, 64)
    reference = np.load(GALLERY / f"{name}.ref.npy").astype(int)
    truncation = np.ones(16, np.float32)
    truncation[::2] = value
    outputs = generator.generate(np.arange(16), truncation=truncation).astype(int)
    assert np.abs(outputs - reference)[::2].max() <= 1
    assert np.abs(outputs - reference)[1::2].max() > 1


def test_checkpoint_with_its_code():
    options = ImportOptions(name="g", title="G", reference=np.load(GALLERY / "netG.ref.npy"))
    imported = import_checkpoint(GALLERY / "netG.pth", f"{GALLERY / 'netg.py'}:Generator", {"nz": "100"}, options)
    assert imported.card.provenance.imported.difference in (0, 1)
    assert_rows_are_independent(imported.content, examples=2)


def test_reference_is_recorded_on_the_card():
    reference = np.load(GALLERY / "dcgan_legacy.ref.npy")
    imported = import_gallery_file("dcgan_legacy", reference=reference)
    assert imported.card.provenance.imported.difference in (0, 1)
