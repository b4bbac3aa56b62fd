"""Write docs/licences.md from a bill of materials and its environment: python deploy/image/licences.py SBOM.json ENVIRONMENT"""

import json
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).parents[2] / "docs" / "licences.md"
_HEAD = """# Licences of what the image installs

From the bill of materials that `make sbom` writes, for the CPU image; the base image (Python on Debian) comes with its own, in
`/usr/share/doc`. The GPU image has onnxruntime-gpu for onnxruntime, and NVIDIA's libraries, which are under NVIDIA's licence.

| package | version | licence |
|---|---|---|
"""
_CLASSIFIER = re.compile(r"^License :: (OSI Approved :: )?")


def licence(component: dict[str, Any]) -> str:
    """The licence that a package names: an SPDX expression where it has one, else its own words, without a whole text."""
    found = [
        entry.get("expression") or entry["license"].get("id") or entry["license"].get("name")
        for entry in component.get("licenses", [])
    ]
    short = [_CLASSIFIER.sub("", name) for name in found if name and len(name) < 80 and "\n" not in name]
    return ", ".join(sorted(dict.fromkeys(short)))


def main() -> None:
    bill = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # The bill leaves out what is neither an SPDX expression nor a classifier.
    packages = [str(path) for path in Path(sys.argv[2]).glob("lib/python*/site-packages")]
    own_words = {found.name: found.metadata["License"] for found in distributions(path=packages)}
    rows = sorted(
        (one["name"].lower().replace("_", "-").replace(".", "-"), one["version"], licence(one) or own_words[one["name"]])
        for one in bill["components"]
    )
    if unnamed := [name for name, _, text in rows if not text]:
        sys.exit(f"these packages name no licence: {', '.join(unnamed)}")
    _PAGE.write_text(_HEAD + "".join(f"| {name} | {version} | {text} |\n" for name, version, text in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
