#!/usr/bin/env bash
# Lint and render the chart for its own values and for each example; hold the result against Kubernetes' schemas, strictly, and against
# checkov's policies; and compose.yaml and .github against theirs. Without the network once the tools are there (helm in PATH, or below the directory given, like the others).
#   deploy/chart/check.sh build/tools [--write]      --write: deploy/batch-job.yaml
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
if [ ! -e "$tools/schemas/done" ]; then
  python3 -m venv "$tools/schemas"
  "$tools/schemas/bin/pip" install --quiet --disable-pip-version-check check-jsonschema==0.39.0 zizmor==1.32.0
  touch "$tools/schemas/done"
fi
rendered=$tools/rendered
rm -rf "$rendered"
mkdir -p "$rendered/pods"

for values in "$chart"/values.yaml "$chart"/examples/*.yaml; do
  name=$(basename "$values")
  "$helm" lint --strict --quiet "$chart" --values "$values" 2>"$tools/helm.log" || { cat "$tools/helm.log" >&2; exit 1; }
  "$helm" template seedmint "$chart" --namespace seedmint --values "$values" >"$rendered/$name" 2>"$tools/helm.log" || { cat "$tools/helm.log" >&2; exit 1; }
  # The pod of `helm test` lives for a second: it needs no probes.
  "$helm" template seedmint "$chart" --namespace seedmint --values "$values" --skip-tests >"$rendered/pods/$name" 2>/dev/null
  # Of what an operator defines (ServiceMonitor, HTTPRoute) there is no schema here.
  # Volumes of OCI images, which gpu.yaml has, are younger than the oldest version that the chart is for.
  versions="1.33 1.37"
  [ "$name" = gpu.yaml ] || versions="1.29 $versions"
  for kubernetes in $versions; do
    "$tools/policies/bin/kubernetes-validate" --kubernetes-version "$kubernetes" --strict --quiet --no-warn "$rendered/$name"
  done
done
echo "chart: linted, rendered and valid for Kubernetes 1.29 to 1.37: $(cd "$rendered/pods" && echo *)"

# For who has no helm: what examples/batch.yaml renders, as kubectl takes it.
{
  echo "# Made from deploy/chart/examples/batch.yaml by the Helm chart, for kubectl: change the image, what is to be made, and the claim."
  "$helm" template seedmint "$chart" --values "$chart/examples/batch.yaml" --kube-version 1.33 2>/dev/null | sed -E '/^ +namespace: |managed-by: Helm$|helm\.sh\/chart: |^ +$/d'
} >"$rendered/batch-job.yaml"
if [ "${2:-}" = --write ]; then cp "$rendered/batch-job.yaml" "$chart/../batch-job.yaml"; fi
diff "$chart/../batch-job.yaml" "$rendered/batch-job.yaml" || { echo "deploy/batch-job.yaml is not what the chart renders: $0 $1 --write" >&2; exit 1; }
"$tools/policies/bin/kubernetes-validate" --kubernetes-version 1.33 --strict --quiet --no-warn "$chart/../batch-job.yaml"
echo "chart: deploy/batch-job.yaml is what it renders"

check() { "$tools/schemas/bin/check-jsonschema" --quiet --builtin-schema "vendor.$1" "${@:2}"; }
check compose-spec "$chart"/../compose*.yaml
check dependabot "$chart/../../.github/dependabot.yml"
check github-workflows "$chart"/../../.github/workflows/*.yml
# Actions pinned by commit, least permissions, and new versions that are not taken on their first day.
"$tools/schemas/bin/zizmor" --offline --quiet --no-progress --persona pedantic "$chart/../../.github"
echo "chart: compose.yaml and .github, too, are as their schemas and zizmor want"

# The chart's own values name the image as `make image` does; the examples name it by digest, which these two ask for.
"$tools/policies/bin/checkov" --framework kubernetes --quiet --compact --skip-download --skip-check CKV_K8S_43,CKV_K8S_15 --file "$rendered/pods/values.yaml"
"$tools/policies/bin/checkov" --framework kubernetes --quiet --compact --skip-download --file "$rendered"/pods/{cluster,gpu,batch,jobs}.yaml
echo "chart: policies hold"
