#!/usr/bin/env bash
# Print the directory that holds prometheus and promtool. Where this machine has none, Debian's package is unpacked (not installed,
# which would start a server) below the directory given.
#   deploy/watch/fetch.sh build/tools
set -Eeuo pipefail
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
  dirname "$(command -v promtool)"
  exit
fi
place=$(realpath -m "$1")/prometheus
if [ ! -x "$place/usr/bin/promtool" ]; then
  command -v apt-get >/dev/null || { echo "Install prometheus, with promtool: this machine has no apt-get to fetch them" >&2; exit 1; }
  mkdir -p "$place"
  cd "$place"
  apt-get -o APT::Sandbox::User=root download -qq prometheus >&2 || { apt-get update -qq >&2; apt-get -o APT::Sandbox::User=root download -qq prometheus >&2; }
  dpkg -x prometheus_*.deb .
  rm prometheus_*.deb
fi
echo "$place/usr/bin"
