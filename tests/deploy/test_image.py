"""What the image installs is pinned, with hashes, to what pyproject.toml allows."""

import re
import runpy
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement

from tests.project.test_bento import requirements as asked_for

_IMAGE = Path(__file__).parents[2] / "deploy" / "image"
_MACHINE = default_environment() | {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}
_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def locked(variant: str) -> dict[str, str]:
    text = (_IMAGE / "requirements" / f"{variant}.txt").read_text()
    plain = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
    entries = {entry["name"]: entry["version"] for entry in _ENTRY.finditer(text)}
    assert len(entries) == len(plain), "every line is a version with hashes, and nothing else"
    return entries


@pytest.mark.parametrize(("variant", "runtime"), [("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")])
def test_the_lock_satisfies_pyproject(variant: str, runtime: str):
    versions = locked(variant)
    for text in asked_for():
        requirement = Requirement(text)
        if requirement.marker and not Marker(str(requirement.marker)).evaluate(_MACHINE):
            continue
        name = runtime if requirement.name.startswith("onnxruntime") else requirement.name
        assert name in versions, f"make lock: {text}"
        assert requirement.specifier.contains(versions[name]), f"make lock: {text} is locked at {versions[name]}"


def test_the_variants_differ_by_their_runtime_alone():
    cpu, gpu = locked("cpu"), locked("gpu")
    assert {name: version for name, version in gpu.items() if name in cpu} == {
        name: version for name, version in cpu.items() if name != "onnxruntime"
    }
    assert cpu.keys() - gpu.keys() == {"onnxruntime"}
    assert all(name.startswith("nvidia-") or name == "onnxruntime-gpu" for name in gpu.keys() - cpu.keys())
    assert "nvidia-cudnn-cu13" in gpu


def test_the_lock_for_cuda_has_the_libraries_that_its_runtime_asks_for():
    gpu = locked("gpu")
    if version("onnxruntime-gpu") != gpu["onnxruntime-gpu"]:
        pytest.skip("another version of onnxruntime-gpu is installed than is locked")
    asked = [Requirement(text) for text in requires("onnxruntime-gpu") or ()]
    libraries = [
        one for one in asked if one.marker and any(one.marker.evaluate({"extra": extra}) for extra in ("cuda", "cudnn"))
    ]
    assert len(libraries) >= 5
    for one in libraries:
        assert one.specifier.contains(gpu[one.name]), f"{one} is locked at {gpu[one.name]}"


def test_no_lock_holds_torch_or_an_address():
    for variant in ("cpu", "gpu"):
        assert "torch" not in locked(variant)
        text = (_IMAGE / "requirements" / f"{variant}.txt").read_text()
        assert "://" not in text
        assert "--index" not in text


def test_the_lock_is_of_what_pyproject_asks_for_now():
    """What `make lock` would hand to the resolver is what the test of the bentofile reads from pyproject.toml."""
    lock = runpy.run_path(str(_IMAGE / "lock.py"))
    wanted = {Requirement(text).name.removesuffix("-gpu") for text in asked_for()}
    for variant in ("cpu", "gpu"):
        assert {Requirement(text).name.removesuffix("-gpu") for text in lock["requirements"](variant)} == wanted


def test_the_licences_listed_are_of_what_is_locked():
    page = (_IMAGE.parents[1] / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\d\S*) \|", page, re.MULTILINE))
    assert listed == locked("cpu"), "make sbom"
