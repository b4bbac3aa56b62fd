#!/usr/bin/env bash
# Lint and render the chart with its default values and with each profile (examples, GitOps and the umbrella chart). Check the output
# against the Kubernetes schemas (strict) and the policies of checkov. Check compose.yaml and .github against their schemas.
# The tools are installed into the given directory on the first run; later runs need no network. helm may also be in PATH.
#   deploy/chart/check.sh build/tools [--write]      --write: update deploy/batch-job.yaml
set -Eeuo pipefail
chart=$(dirname "$0")
deploy=$chart/..
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
mkdir -p "$rendered/pods" "$rendered/profiles"
# helm prints errors to standard error, and warnings of the same kind for each call.
run_helm() { "$helm" "$@" 2>"$tools/helm.log" || { cat "$tools/helm.log" >&2; exit 1; }; }

# The values of each profile. A parent chart gets a copy of the chart.
cp "$chart/values.yaml" "$rendered/profiles/plain.yaml"
cp "$chart"/examples/*.yaml "$rendered/profiles/"
"$tools/policies/bin/python" - "$deploy/gitops" "$rendered/profiles" <<'PYTHON'
import sys, yaml
from pathlib import Path
gitops, profiles = map(Path, sys.argv[1:])
flux = [one for one in yaml.safe_load_all((gitops / "flux.yaml").read_text()) if one["kind"] == "HelmRelease"]
(argo,) = yaml.safe_load_all((gitops / "argocd.yaml").read_text())
(profiles / "flux.yaml").write_text(yaml.safe_dump(flux[0]["spec"]["values"]))
(profiles / "argocd.yaml").write_text(yaml.safe_dump(argo["spec"]["source"]["helm"]["valuesObject"]))
PYTHON
cp -R "$chart" "$rendered/chart" && cp -R "$deploy/umbrella" "$rendered/umbrella"
run_helm dependency build --skip-refresh "$rendered/umbrella" >/dev/null
cp "$deploy/umbrella/values.yaml" "$rendered/profiles/umbrella.yaml"

for values in "$rendered"/profiles/*.yaml; do
  name=$(basename "$values")
  source=$chart
  [ "$name" != umbrella.yaml ] || source=$rendered/umbrella
  run_helm lint --strict --quiet "$source" --values "$values"
  run_helm template seedmint "$source" --namespace seedmint --values "$values" >"$rendered/$name"
  # Without the pod of `helm test`: it runs for a second and needs no probes.
  run_helm template seedmint "$source" --namespace seedmint --values "$values" --skip-tests >"$rendered/pods/$name"
  # Custom resources (ServiceMonitor, HTTPRoute, Route, ScaledObject) have no schema here.
  # gpu.yaml uses OCI image volumes, which the oldest supported Kubernetes version does not have.
  versions="1.33 1.37"
  [ "$name" = gpu.yaml ] || versions="1.29 $versions"
  for kubernetes in $versions; do
    "$tools/policies/bin/kubernetes-validate" --kubernetes-version "$kubernetes" --strict --quiet --no-warn "$rendered/$name"
  done
done
echo "chart: linted, rendered and valid for Kubernetes 1.29 to 1.37: $(cd "$rendered/pods" && echo *)"

# deploy/batch-job.yaml is the output for examples/batch.yaml, for users without helm.
{
  echo "# Rendered by the Helm chart from deploy/chart/examples/batch.yaml, for kubectl. Change the image, the arguments and the claim."
  run_helm template seedmint "$chart" --values "$chart/examples/batch.yaml" --kube-version 1.33 | sed -E '/^ +namespace: |managed-by: Helm$|helm\.sh\/chart: |^ +$/d'
} >"$rendered/batch-job.yaml"
if [ "${2:-}" = --write ]; then cp "$rendered/batch-job.yaml" "$deploy/batch-job.yaml"; fi
diff "$deploy/batch-job.yaml" "$rendered/batch-job.yaml" || { echo "deploy/batch-job.yaml differs from the output of the chart. Run: $0 $1 --write" >&2; exit 1; }
"$tools/policies/bin/kubernetes-validate" --kubernetes-version 1.33 --strict --quiet --no-warn "$deploy/batch-job.yaml" "$deploy/models-pod.yaml"
echo "chart: deploy/batch-job.yaml is up to date"

check() { "$tools/schemas/bin/check-jsonschema" --quiet --builtin-schema "vendor.$1" "${@:2}"; }
check compose-spec "$deploy"/compose*.yaml
check dependabot "$deploy/../.github/dependabot.yml"
check github-workflows "$deploy"/../.github/workflows/*.yml
# zizmor checks that actions are pinned by commit, permissions are minimal, and updates have a cooldown.
"$tools/schemas/bin/zizmor" --offline --quiet --no-progress --persona pedantic "$deploy/../.github"
echo "chart: compose.yaml and .github are valid"

policies() { "$tools/policies/bin/checkov" --framework kubernetes --quiet --compact --skip-download "$@"; }
# The default values use the tag of `make image`. The two skipped checks require a digest, which the profiles have.
policies --skip-check CKV_K8S_43,CKV_K8S_15 --file "$rendered/pods/plain.yaml"
mv "$rendered/pods/plain.yaml" "$rendered/pods/openshift.yaml" "$rendered/"
policies --directory "$rendered/pods"
# On OpenShift, the cluster chooses a high user id.
policies --skip-check CKV_K8S_40 --file "$rendered/openshift.yaml"
# This pod runs for minutes, serves no requests, and runs in the namespace of the release.
policies --skip-check CKV_K8S_8,CKV_K8S_9,CKV_K8S_15,CKV_K8S_21,CKV_K8S_43,CKV2_K8S_6 --file "$deploy/models-pod.yaml"
echo "chart: no policy violations"
