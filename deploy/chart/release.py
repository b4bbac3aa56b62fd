"""Package the chart of a release, with its image by digest: python deploy/chart/release.py REPOSITORY DIGEST DIRECTORY

It prints the path of the package. `helm push` uploads the package to an OCI registry.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_CHART = Path(__file__).parent


def pinned(values: str, repository: str, digest: str) -> str:
    """Return the text of values.yaml with the image of a release.

    Args:
        values: The text of values.yaml.
        repository: Repository of the image, without a tag.
        digest: Digest of the image, sha256:…

    Raises:
        SystemExit: The digest is malformed, or values.yaml has no image.
    """
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SystemExit(f"{digest!r} is not sha256: and 64 hexadecimal digits")
    for key, value in (("repository", repository), ("digest", f'"{digest}"')):
        values, count = re.subn(rf"(?m)(^image:\n(?:^ +.*\n)*?^  {key}: ).*$", rf"\g<1>{value}", values)
        if count != 1:
            raise SystemExit(f"values.yaml has no image.{key}")
    return values


def main() -> None:
    repository, digest, directory = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work, "seedmint")
        shutil.copytree(_CHART, copy)
        values = copy / "values.yaml"
        values.write_text(pinned(values.read_text(encoding="utf-8"), repository, digest), encoding="utf-8")
        done = subprocess.run(
            ["helm", "package", str(copy), "--destination", directory], check=True, stdout=subprocess.PIPE, text=True
        )
    print(done.stdout.strip().rpartition(" ")[2])


if __name__ == "__main__":
    main()
