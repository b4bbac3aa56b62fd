"""Pin the requirements of the image with hashes: `make lock` writes requirements/{cpu,gpu}.txt from pyproject.toml.

    python deploy/image/lock.py [--upgrade]

Existing versions remain if pyproject.toml allows them; --upgrade selects the newest versions. The files contain no index URL.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__).parent
_PROJECT = _HERE.parents[1] / "pyproject.toml"
_EXTRAS = ("serve", "s3")
_RUNTIME = re.compile(r"onnxruntime(-gpu)?(?P<versions>[^;]*)")
# The ONNX Runtime package of each variant.
_VARIANTS = {"cpu": "onnxruntime", "gpu": "onnxruntime-gpu[cuda,cudnn]"}
# The files also contain the hashes for other platforms.
_PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")


def requirements(variant: str) -> list[str]:
    """Return the requirements of an image: the extras of pyproject.toml with the ONNX Runtime package of the variant.

    Args:
        variant: "cpu" or "gpu".
    """
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def expand(names: list[str]) -> Iterator[str]:
        for name in names:
            inner = re.fullmatch(r"seedmint\[(.+)\]", name)
            yield from expand([item for extra in inner[1].split(",") for item in extras[extra.strip()]]) if inner else [name]

    plain = expand([*project["dependencies"], *(f"seedmint[{extra}]" for extra in _EXTRAS)])
    return list(
        dict.fromkeys(_RUNTIME.sub(rf"{_VARIANTS[variant]}\g<versions>", item).partition(";")[0].strip() for item in plain)
    )


def main() -> None:
    for variant in _VARIANTS:
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--generate-hashes", *_PLATFORM),
                *("--output-file", str(_HERE / "requirements" / f"{variant}.txt"), "--custom-compile-command", "make lock"),
                *sys.argv[1:],
            ],
            input="\n".join(requirements(variant)),
            text=True,
            check=True,
        )


if __name__ == "__main__":
    main()
