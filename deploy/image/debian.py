"""Add the Debian packages of an image to its bill of materials: python debian.py SBOM.json <STATUS

STATUS is /var/lib/dpkg/status of the image.
"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote


def packages(status: str) -> list[dict[str, Any]]:
    """Return the installed packages as components of CycloneDX, sorted by name.

    Args:
        status: The text of /var/lib/dpkg/status.
    """
    found = []
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Status") == "install ok installed":
            name, version, architecture = (fields[field] for field in ("Package", "Version", "Architecture"))
            purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={architecture}"
            component = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
            found.append(component | {"supplier": {"name": fields["Maintainer"]}})
    return sorted(found, key=lambda component: str(component["purl"]))


def main() -> None:
    path = Path(sys.argv[1])
    bill = json.loads(path.read_text(encoding="utf-8"))
    added = packages(sys.stdin.read())
    if not added:
        raise SystemExit("the status of dpkg has no installed package")
    bill["components"] += added
    path.write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    print(f"{len(added)} Debian packages")


if __name__ == "__main__":
    main()
