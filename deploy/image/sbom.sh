#!/usr/bin/env bash
# Write the bill of materials of a container image (CycloneDX) to build/sbom/VARIANT.json: the Python packages of the lock file, and
# the Debian packages of the image, which a container engine reads. For the CPU container image, also write docs/licences.md.
#   deploy/image/sbom.sh cpu docker seedmint:cpu
set -Eeuo pipefail
cd "$(dirname "$0")/../.."
variant=$1 engine=$2 image=$3
out=build/sbom
mkdir -p "$out"
if [ ! -x "$out/tool/bin/cyclonedx-py" ]; then
  python3 -m venv "$out/tool"
  "$out/tool/bin/pip" install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
fi
rm -rf "$out/$variant"
python3 -m venv --without-pip "$out/$variant"
python3 -m pip --python "$out/$variant/bin/python" install --quiet --disable-pip-version-check --no-deps --require-hashes \
  --only-binary :all: --requirement "deploy/image/requirements/$variant.txt"
"$out/tool/bin/cyclonedx-py" environment "$out/$variant" --pyproject pyproject.toml --output-reproducible \
  --output-file "$out/$variant.json"
[ "$variant" != cpu ] || python3 deploy/image/licences.py "$out/cpu.json" "$out"/cpu/lib/python3*/site-packages
"$engine" run --rm --entrypoint cat "$image" /var/lib/dpkg/status | python3 deploy/image/debian.py "$out/$variant.json"
echo "$out/$variant.json"
