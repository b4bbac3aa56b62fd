"""The release: the packaged chart, the bill of materials, stripped libraries, and the platforms of the lock file."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.charts import CHART, needs_helm, rendered

_IMAGE = CHART.parent / "image"
_DIGEST = f"sha256:{'ab' * 32}"


@needs_helm
def test_the_released_chart_names_the_image_by_digest(tmp_path: Path):
    command = [sys.executable, str(CHART / "release.py"), "registry.test/seedmint", _DIGEST, str(tmp_path)]
    package = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    objects = rendered(chart=Path(package))
    (container,) = objects["Deployment", "images-seedmint"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.test/seedmint@{_DIGEST}"
    names = subprocess.run(["tar", "-tf", package], check=True, capture_output=True, text=True).stdout
    assert "files/rules.yaml" in names
    assert ".py" not in names
    assert "examples/" not in names


def test_a_malformed_digest_is_refused():
    with pytest.raises(SystemExit):
        runpy.run_path(str(CHART / "release.py"))["pinned"]((CHART / "values.yaml").read_text(), "a", "sha256:00")


def test_the_bill_of_materials_has_debian_packages(tmp_path: Path):
    bill = tmp_path / "cpu.json"
    bill.write_text('{"components": [{"name": "numpy"}]}')
    status = (
        "Package: zlib1g\nStatus: install ok installed\nMaintainer: A <a@b.test>\nArchitecture: amd64\nVersion: 1:1.2.13+b1\n"
        "Description: compression\n more: text\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    subprocess.run([sys.executable, str(_IMAGE / "debian.py"), str(bill)], input=status, text=True, check=True)
    components = json.loads(bill.read_text())["components"]
    assert [component["name"] for component in components] == ["numpy", "zlib1g"]
    assert components[1]["purl"] == "pkg:deb/debian/zlib1g@1%3A1.2.13%2Bb1?arch=amd64"


def test_stripped_libraries_work(tmp_path: Path):
    stripped = runpy.run_path(str(_IMAGE / "strip.py"))["stripped"]
    import zlib_ng  # type: ignore[import-not-found, unused-ignore]

    (library,) = Path(zlib_ng.__file__).parent.glob("zlib_ng.*.so")
    content = stripped(library.read_bytes())
    assert len(content) < library.stat().st_size
    assert stripped(content) == content
    assert stripped(b"text") == b"text"
    (tmp_path / "zlib_ng").mkdir()
    (tmp_path / "zlib_ng" / "__init__.py").touch()
    (tmp_path / "zlib_ng" / library.name).write_bytes(content)
    program = "from zlib_ng import zlib_ng; print(zlib_ng.__file__, zlib_ng.decompress(zlib_ng.compress(b'x' * 9)))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path / 'zlib_ng' / library.name} {b'x' * 9}\n"


def test_each_package_of_the_cpu_image_is_pinned_for_all_platforms():
    """One hash would be that of one platform; packages with compiled code have a wheel for each."""
    text = (_IMAGE / "requirements" / "cpu.txt").read_text()
    packages = re.split(r"\n(?=[a-z0-9])", text)
    counts = {package.split("==")[0]: package.count("--hash=") for package in packages if "==" in package.splitlines()[0]}
    assert len(counts) > 50
    for name in (
        "numpy",
        "onnx",
        "onnxruntime",
        "pillow",
        "pyarrow",
        "uvloop",
        "httptools",
        "zlib-ng",
        "aiohttp",
        "pydantic-core",
    ):
        assert counts[name] > 2, name
