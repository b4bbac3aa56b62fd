#!/usr/bin/env bash
# Lint and render the chart for its own values and for each example; hold the result against Kubernetes' schemas, strictly, and against
# checkov's policies. Without the network once the tools are there (helm in PATH, or below the directory given, like the others).
#   deploy/chart/check.sh build/tools
set -Eeuo pipefail
chart=$(dirname "$0")
tools=$(realpath -m "$1")
mkdir -p "$tools"
if command -v helm >/dev/null; then helm=helm; else
  helm=$tools/helm
  [ -x "$helm" ] || python3 "$chart/fetch_helm.py" "$tools"
fi
if [ ! -e "$tools/policies/done" ]; then
  python3 -m venv "$tools/policies"
  "$tools/policies/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0 checkov==3.3.30
  touch "$tools/policies/done"
fi
rendered=$tools/rendered
rm -rf "$rendered"
mkdir "$rendered"

for values in "$chart"/values.yaml "$chart"/examples/*.yaml; do
  name=$(basename "$values")
  "$helm" lint --strict --quiet "$chart" --values "$values" 2>"$tools/helm.log" || { cat "$tools/helm.log" >&2; exit 1; }
  "$helm" template seedmint "$chart" --namespace seedmint --values "$values" >"$rendered/$name" 2>"$tools/helm.log" || { cat "$tools/helm.log" >&2; exit 1; }
  # Of what an operator defines (ServiceMonitor, HTTPRoute) there is no schema here.
  for kubernetes in 1.33 1.37; do
    "$tools/policies/bin/kubernetes-validate" --kubernetes-version "$kubernetes" --strict --quiet --no-warn "$rendered/$name"
  done
done
echo "chart: linted, rendered and valid for Kubernetes 1.33 and 1.37: $(cd "$rendered" && echo *)"

if "$helm" template seedmint "$chart" --set serve.replica=3 >/dev/null 2>&1; then
  echo "the chart takes a value that it does not know" >&2
  exit 1
fi

# The chart's own values name the image as `make image` does; the examples name it by digest, which these two ask for.
"$tools/policies/bin/checkov" --framework kubernetes --quiet --compact --skip-download --skip-check CKV_K8S_43,CKV_K8S_15 --file "$rendered/values.yaml"
"$tools/policies/bin/checkov" --framework kubernetes --quiet --compact --skip-download --file "$rendered"/{cluster,gpu,batch}.yaml
echo "chart: policies hold"

# A number of a million is no power of ten.
"$helm" template seedmint "$chart" --values <(printf 'serve: {settings: {max_seeds: 1000000}}\n') | grep -q 'value: "1000000"' || {
  echo "the chart writes large numbers as powers of ten" >&2
  exit 1
}
