#!/usr/bin/env bash
# Install the Python of Debian for aarch64 and the packages of the image into a folder, for qemu-aarch64:
#   tests/support/fetch_aarch64.sh build/aarch64
# A failure is a warning: the tests of aarch64 skip, and say so.
set -Eeuo pipefail
trap '((BASH_SUBSHELL)) || { echo "warning: the packages for aarch64 are not installed" >&2; exit 0; }' ERR
cd "$(dirname "$0")/../.."
lock=deploy/image/requirements/cpu.txt
mkdir -p "$1"
target=$(cd "$1" && pwd)
if cmp --silent "$lock" "$target/installed.txt"; then exit 0; fi
rm -rf "${target:?}"/*

# A package index and a package database of its own, so that the system keeps its architectures.
mkdir -p "$target/apt/lists/partial" "$target/apt/archives/partial"
: >"$target/apt/status"
options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$target/apt" -o Dir::State::status="$target/apt/status"
  -o Dir::Cache="$target/apt" -o APT::Sandbox::User=)
timeout 300 apt-get "${options[@]}" update
timeout 300 apt-get "${options[@]}" install --yes --download-only --no-install-recommends base-files python3 libstdc++6 libgomp1 >/dev/null
for package in "$target"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$target/system"; done

# ONNX Runtime reads the processor's name from /proc/cpuinfo. QEMU gives a program the file of this folder, if there is one.
mkdir -p "$target/system/proc"
for processor in 0 1; do
  printf '%s\t: %s\n' processor "$processor" Features 'fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp' \
    'CPU implementer' 0x41 'CPU architecture' 8 'CPU variant' 0x3 'CPU part' 0xd0c 'CPU revision' 1
  echo
done >"$target/system/proc/cpuinfo"

version=$(basename "$(readlink "$target/system/usr/bin/python3")")
export UV_CACHE_DIR=build/uv
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX=$PIP_INDEX_URL
timeout 600 .venv/bin/python -m uv pip install --quiet --no-progress --target "$target/packages" --python-version "${version#python}" \
  --python-platform aarch64-manylinux_2_28 --only-binary :all: --require-hashes --requirement "$lock"
cp "$lock" "$target/installed.txt"
