#!/usr/bin/env bash
# Print the directory that contains prometheus and promtool. If they are not in PATH, extract Debian's package into the given
# directory. The package is not installed, because its installation starts a server.
#   deploy/watch/fetch.sh build/tools
set -Eeuo pipefail
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
  dirname "$(command -v promtool)"
  exit
fi
target=$(realpath -m "$1")/prometheus
if [ ! -x "$target/usr/bin/promtool" ]; then
  command -v apt-get >/dev/null || { echo "Install prometheus and promtool. They cannot be downloaded here: apt-get is missing" >&2; exit 1; }
  mkdir -p "$target"
  cd "$target"
  apt-get -o APT::Sandbox::User=root download -qq prometheus >&2 || { apt-get update -qq >&2; apt-get -o APT::Sandbox::User=root download -qq prometheus >&2; }
  dpkg -x prometheus_*.deb .
  rm prometheus_*.deb
fi
echo "$target/usr/bin"
