"""Pin the requirements of the image with hashes: `make lock` writes requirements/{cpu,gpu}.txt from pyproject.toml.

    python deploy/image/lock.py [--upgrade]

Existing versions remain if pyproject.toml allows them; --upgrade selects the newest versions. The files contain no index URL.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

_HERE = Path(__file__).parent
_PROJECT = _HERE.parents[1] / "pyproject.toml"
_EXTRAS = ("serve", "s3")
_VARIANTS = ("cpu", "gpu")  # the extras of ONNX Runtime
# The files also contain the hashes for other platforms.
_PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")


def requirements_of(names: Sequence[str]) -> list[str]:
    """Return the requirements of extras of pyproject.toml, with nested extras of Seedmint resolved.

    Args:
        names: The extras.
    """
    project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def expand(items: Iterable[str]) -> Iterator[str]:
        for item in items:
            inner = re.fullmatch(r"seedmint\[(.+)\]", item)
            yield from expand(text for extra in inner[1].split(",") for text in extras[extra.strip()]) if inner else [item]

    return list(dict.fromkeys(expand([*project["dependencies"], *(f"seedmint[{name}]" for name in names)])))


def requirements(variant: str) -> list[str]:
    """Return the requirements of an image.

    Args:
        variant: "cpu" or "gpu".
    """
    return requirements_of([*_EXTRAS, variant])


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
