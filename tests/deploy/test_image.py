"""The locked requirements of the image have hashes and satisfy pyproject.toml."""

import re
import runpy
from importlib.metadata import packages_distributions, requires, version
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement

from tests.project.test_bento import requirements

_IMAGE = Path(__file__).parents[2] / "deploy" / "image"
_MACHINE = default_environment() | {"sys_platform": "linux", "platform_machine": "x86_64", "python_version": "3.11"}
_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def locked(variant: str) -> dict[str, str]:
    text = (_IMAGE / "requirements" / f"{variant}.txt").read_text()
    plain = [line for line in text.splitlines() if not line.startswith((" ", "#"))]
    entries = {entry["name"]: entry["version"] for entry in _ENTRY.finditer(text)}
    assert len(entries) == len(plain), "each line must be a version with hashes"
    return entries


@pytest.mark.parametrize(("variant", "runtime"), [("cpu", "onnxruntime"), ("gpu", "onnxruntime-gpu")])
def test_the_lock_satisfies_pyproject(variant: str, runtime: str):
    versions = locked(variant)
    for text in requirements():
        requirement = Requirement(text)
        if requirement.marker and not Marker(str(requirement.marker)).evaluate(_MACHINE):
            continue
        name = runtime if requirement.name.startswith("onnxruntime") else requirement.name
        assert name in versions, f"make lock: {text}"
        assert requirement.specifier.contains(versions[name]), f"make lock: {text} is locked at {versions[name]}"


def test_the_variants_differ_only_by_the_runtime():
    cpu, gpu = locked("cpu"), locked("gpu")
    assert {name: version for name, version in gpu.items() if name in cpu} == {
        name: version for name, version in cpu.items() if name != "onnxruntime"
    }
    assert cpu.keys() - gpu.keys() == {"onnxruntime"}
    assert all(name.startswith("nvidia-") or name == "onnxruntime-gpu" for name in gpu.keys() - cpu.keys())
    assert "nvidia-cudnn-cu13" in gpu


def test_the_lock_for_cuda_has_the_libraries_that_the_runtime_requires():
    gpu = locked("gpu")
    if find_spec("onnxruntime") is None or "onnxruntime-gpu" not in packages_distributions()["onnxruntime"]:
        pytest.skip("onnxruntime-gpu is not installed")
    if version("onnxruntime-gpu") != gpu["onnxruntime-gpu"]:
        pytest.skip("the installed version of onnxruntime-gpu is not the locked version")
    runtime_requirements = [Requirement(text) for text in requires("onnxruntime-gpu") or ()]
    libraries = [
        requirement
        for requirement in runtime_requirements
        if requirement.marker and any(requirement.marker.evaluate({"extra": extra}) for extra in ("cuda", "cudnn"))
    ]
    assert len(libraries) >= 5
    for library in libraries:
        assert library.specifier.contains(gpu[library.name]), f"{library} is locked at {gpu[library.name]}"


def test_no_lock_contains_torch_or_a_url():
    for variant in ("cpu", "gpu"):
        assert "torch" not in locked(variant)
        text = (_IMAGE / "requirements" / f"{variant}.txt").read_text()
        assert "://" not in text
        assert "--index" not in text


def test_make_lock_resolves_the_requirements_of_pyproject():
    """`make lock` and the test of the bentofile read the same requirements from pyproject.toml."""
    lock = runpy.run_path(str(_IMAGE / "lock.py"))
    expected = {Requirement(text).name.removesuffix("-gpu") for text in requirements()}
    for variant in ("cpu", "gpu"):
        assert {Requirement(text).name.removesuffix("-gpu") for text in lock["requirements"](variant)} == expected


def test_the_list_of_licences_matches_the_lock():
    page = (_IMAGE.parents[1] / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9-]+) \| (\d\S*) \|", page, re.MULTILINE))
    assert listed == locked("cpu"), "make sbom"
