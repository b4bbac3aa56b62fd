# Source this file in bash. It sets $ENGINE to docker or podman, and pulls the image $BASE_IMAGE.
# It uses Docker if Docker runs, otherwise Podman. Without both, it installs Podman from Debian, which needs root.
# If no image registry is reachable, it builds a substitute base image with the Python of Debian bookworm. The tests then do not
# cover the Python of the real base image.
: "${CONTAINERS_HOME:=/var/tmp/seedmint-ci-containers}" "${BASE_IMAGE:=docker.io/library/python:3.11-slim}"
SUBSTITUTE=localhost/debian-python-for-tests:bookworm
export DEBIAN_FRONTEND=noninteractive

if docker info >/dev/null 2>&1; then
  ENGINE=docker
elif command -v podman >/dev/null && [ "$(id -u)" != 0 ]; then
  ENGINE=podman
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  ENGINE=podman
  missing=()
  for package in podman buildah runc conmon catatonit debootstrap golang-github-containernetworking-plugin-dnsname; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update -qq
    apt-get install -qqy --no-install-recommends "${missing[@]}" >/dev/null
  fi
  # A separate storage, so that the images of this machine do not change. runc and cgroupfs need neither systemd nor cgroups v2.
  mkdir -p "$CONTAINERS_HOME"
  export CONTAINERS_CONF=$CONTAINERS_HOME/containers.conf CONTAINERS_STORAGE_CONF=$CONTAINERS_HOME/storage.conf
  cat >"$CONTAINERS_CONF" <<EOF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
  cat >"$CONTAINERS_STORAGE_CONF" <<EOF
[storage]
driver = "overlay"
graphroot = "$CONTAINERS_HOME/storage"
runroot = "$CONTAINERS_HOME/run"
EOF
else
  echo "neither Docker nor Podman is available; installing Podman needs root and apt-get" >&2
  exit 1
fi
export ENGINE

if ! "$ENGINE" image inspect "$BASE_IMAGE" >/dev/null 2>&1 && ! timeout 120 "$ENGINE" pull --quiet "$BASE_IMAGE" >/dev/null 2>&1; then
  echo "container: cannot pull $BASE_IMAGE; using $SUBSTITUTE with the Python of Debian instead"
  BASE_IMAGE=$SUBSTITUTE
fi
export BASE_IMAGE

if [ "$BASE_IMAGE" = "$SUBSTITUTE" ] && ! "$ENGINE" image inspect "$BASE_IMAGE" >/dev/null 2>&1; then
  root=$CONTAINERS_HOME/base-root
  rm -rf "$root"
  mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip bookworm "$root" \
    "${mirror:-https://deb.debian.org/debian}" >"$CONTAINERS_HOME/debootstrap.log"
  # pip in the build trusts the same certificate authorities as this machine.
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/" 2>/dev/null || true
  chroot "$root" update-ca-certificates >/dev/null 2>&1
  # As in the real base image: pip may install packages, the command `python` exists, and there are no manuals.
  rm -rf "$root"/usr/share/{doc,info,locale,man} "$root"/usr/lib/python3.11/EXTERNALLY-MANAGED "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
  echo "127.0.0.1 localhost" >"$root/etc/hosts"
  tar -C "$root" -c . | "$ENGINE" import --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' - "$BASE_IMAGE" >/dev/null
  rm -rf "$root"
fi
