#!/usr/bin/env bash
# Install the emulators of Google Cloud Storage and of Azure Blob Storage, and the libraries of gs:// and az://, into a folder:
#   tests/support/fetch_emulators.sh build/emulators
# A failure is a warning: the tests of that store skip, and say so. Python packages keep the versions that .venv has.
set -Eeuo pipefail
cd "$(dirname "$0")/../.."
target=$1 python=.venv/bin/python
mkdir -p "$target"
if [ ! -d "$target/python/gcp_storage_emulator" ]; then
  "$python" -m pip freeze --exclude-editable 2>/dev/null | grep '^[A-Za-z0-9._-]*==' >"$target/constraints.txt"
  "$python" -m pip install --quiet --disable-pip-version-check --target "$target/python.new" --constraint "$target/constraints.txt" \
    gcsfs==2026.10.1 adlfs==2026.8.0 gcp-storage-emulator==2026.7.19 &&
    rm -rf "$target/python" && mv "$target/python.new" "$target/python" ||
    echo "warning: the libraries of gs:// and az:// are not installed" >&2
fi
if [ ! -x "$target/node_modules/.bin/azurite-blob" ]; then
  npm install --silent --no-audit --no-fund --prefix "$target" azurite@3.37.0 || echo "warning: azurite is not installed" >&2
fi
