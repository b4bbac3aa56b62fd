#!/usr/bin/env bash
# Build the image for amd64 and arm64 with Docker Buildx, push it, and print its digest.
#   deploy/image/publish.sh cpu|gpu REPOSITORY TAG
# The image has a bill of materials and its provenance as attestations. All files have the same time as in `make image`.
set -Eeuo pipefail
cd "$(dirname "$0")/../.."
variant=$1 repository=$2 tag=$3
platforms=linux/amd64,linux/arm64
# ONNX Runtime with CUDA has no wheels for arm64.
[ "$variant" = cpu ] || platforms=linux/amd64
make --silent bento >&2
bento=$(echo build/bentoml/bentos/seedmint/*/)
export SOURCE_DATE_EPOCH=1767225600 # as in the Makefile
docker buildx build "$bento" --file "$bento/env/docker/Dockerfile" --platform "$platforms" \
  --build-arg VARIANT="$variant" --build-arg VERSION="$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
  --build-arg REVISION="$(git rev-parse HEAD)" --build-arg SOURCE="${SOURCE_URL:-unknown}" \
  --provenance mode=max --sbom true --metadata-file build/metadata.json \
  --output "type=image,name=$repository:$tag,push=true,oci-mediatypes=true,rewrite-timestamp=true" >&2
python3 -c 'import json; print(json.load(open("build/metadata.json"))["containerimage.digest"])'
