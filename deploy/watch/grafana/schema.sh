#!/usr/bin/env bash
# Generate dashboard.schema.json from the TypeScript types of the Grafana version in compose.yaml. Tests validate dashboard.json
# with it. Run this script only after a change of the Grafana version. It needs npm and network access.
#   deploy/watch/grafana/schema.sh build/tools
set -Eeuo pipefail
here=$(realpath "$(dirname "$0")")
version=$(sed -n 's|.*docker.io/grafana/grafana:||p' "$here/../../compose.yaml")
mkdir -p "$1/grafana"
cd "$1/grafana"
npm install --no-audit --no-fund --no-save --ignore-scripts --loglevel error --prefix . \
  "@grafana/schema@$version" ts-json-schema-generator@2.4.0 typescript@5.8.3 >&2
cp "$here/dashboard.ts" .
npx --no-install ts-json-schema-generator --path dashboard.ts --type SeedmintDashboard --expose none --jsDoc none --minify \
  >dashboard.schema.json
{ cat dashboard.schema.json; echo; } >"$here/dashboard.schema.json"
