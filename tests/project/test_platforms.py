"""The packages of every platform in docs/install.md can be resolved, with wheels only, for the oldest and the newest Python."""

import os
import re
import runpy

import pytest

from tests.support.installations import ROOT, uv

_ALL = ("serve", "batch", "client", "s3", "hub", "train")
# Row of the table -> platform of uv, and the extras that work there.
PLATFORMS = {
    "Linux x86-64, glibc 2.28": ("x86_64-manylinux_2_28", (*_ALL, "cpu"), (*_ALL, "gpu")),
    "Linux aarch64, glibc 2.28": ("aarch64-manylinux_2_28", (*_ALL, "cpu"), (*_ALL, "gpu")),
    "macOS 14, arm64": ("aarch64-apple-darwin", (*_ALL, "cpu"), (*_ALL, "gpu")),
    "Windows x86-64": ("x86_64-pc-windows-msvc", ("client", "hub", "train", "cpu"), ("client", "hub", "train", "gpu")),
}
_PYTHONS = ("3.11", "3.14")


def test_the_table_has_the_platforms():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8").partition("## Platforms")[2]
    assert re.findall(r"^\| ([^|]+) \| (?:yes|no)", page, re.MULTILINE) == list(PLATFORMS)
    assert f"Python {_PYTHONS[0]} to {_PYTHONS[1]}." in page


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("python", _PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_packages_of_a_platform_can_be_resolved(platform: str, python: str):
    requirements = runpy.run_path(str(ROOT / "deploy" / "image" / "lock.py"))["requirements_of"]
    name, *variants = PLATFORMS[platform]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    for extras in variants:
        done = uv(
            *("pip", "compile", "-", "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "--python-platform", name, "--python-version", python),
            environment=environment,
            text="\n".join(requirements(extras)),
        )
        assert done.returncode == 0, done.stderr
        runtimes = set(re.findall(r"^(onnxruntime[a-z-]*)==", done.stdout, re.MULTILINE))
        has_gpu = extras[-1] == "gpu" and ("x86_64" in name)
        assert runtimes == {"onnxruntime-gpu" if has_gpu else "onnxruntime"}
