"""Write docs/licences.md from a bill of materials and its packages: python deploy/image/licences.py SBOM.json SITE-PACKAGES"""

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
# Classifiers that say less than an SPDX identifier that begins so.
_VAGUE = {"Apache Software License": "Apache-", "BSD License": "BSD-", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-"}


def licence(component: dict[str, Any], header: str | None) -> str:
    """The licence that a package names: an SPDX expression where it has one, else its own words, without a whole text.

    Args:
        component: of a bill of materials.
        header: "License" in the package's metadata, which bills leave out where it is no SPDX identifier.
    """
    found = [
        entry.get("expression") or entry["license"].get("id") or entry["license"].get("name")
        for entry in component.get("licenses", [])
    ] or [header]
    short = {_CLASSIFIER.sub("", name) for name in found if name and len(name) < 80 and "\n" not in name}
    if not short:
        raise SystemExit(f"{component['name']} names no licence in its metadata")
    others = {name: short - {name} for name in short}
    exact = {name for name in short if name not in _VAGUE or not any(other.startswith(_VAGUE[name]) for other in others[name])}
    return ", ".join(sorted(exact))


def main() -> None:
    bill = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    headers = {one.name: one.metadata["License"] for one in distributions(path=[sys.argv[2]])}
    rows = sorted(
        (re.sub(r"[-_.]+", "-", one["name"]).lower(), one["version"], licence(one, headers[one["name"]]))
        for one in bill["components"]
    )
    _PAGE.write_text(_HEAD + "".join(f"| {name} | {version} | {text} |\n" for name, version, text in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
