"""Write docs/licences.md from a bill of materials and the installed packages.

python deploy/image/licences.py SBOM.json SITE-PACKAGES
"""

import json
import re
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PAGE = Path(__file__).parents[2] / "docs" / "licences.md"
_HEAD = """# Licences of the packages in the image

`make sbom` generates this list from the bill of materials of the CPU image. The licences of the base image (Python on Debian)
are in its `/usr/share/doc`. The GPU image contains onnxruntime-gpu instead of onnxruntime, and NVIDIA's libraries, which are
under NVIDIA's licence.

| package | version | licence |
|---|---|---|
"""
_CLASSIFIER = re.compile(r"^License :: (OSI Approved :: )?")
# Vague classifiers, and the prefix of the SPDX identifiers that replace them.
_VAGUE = {"Apache Software License": "Apache-", "BSD License": "BSD-", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-"}


def licence(component: dict[str, Any], header: str | None) -> str:
    """Return the licence of a package: an SPDX expression if there is one, otherwise the name in its metadata.

    Args:
        component: The component of the bill of materials.
        header: The "License" field of the package metadata. Bills of materials omit it if it is not an SPDX identifier.

    Raises:
        SystemExit: The package has no licence in its metadata.
    """
    found = [
        entry.get("expression") or entry["license"].get("id") or entry["license"].get("name")
        for entry in component.get("licenses", [])
    ] or [header]
    short = {_CLASSIFIER.sub("", name) for name in found if name and len(name) < 80 and "\n" not in name}
    if not short:
        raise SystemExit(f"{component['name']} has no licence in its metadata")
    others = {name: short - {name} for name in short}
    exact = {name for name in short if name not in _VAGUE or not any(other.startswith(_VAGUE[name]) for other in others[name])}
    return ", ".join(sorted(exact))


def main() -> None:
    bill = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    headers = {package.name: package.metadata["License"] for package in distributions(path=[sys.argv[2]])}
    rows = sorted(
        (re.sub(r"[-_.]+", "-", part["name"]).lower(), part["version"], licence(part, headers[part["name"]]))
        for part in bill["components"]
    )
    _PAGE.write_text(_HEAD + "".join(f"| {name} | {version} | {text} |\n" for name, version, text in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
