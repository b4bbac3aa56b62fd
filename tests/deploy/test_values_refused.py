"""The chart refuses values that contradict each other or have no effect, and names them."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy.charts import CHART, helm, needs_helm

pytestmark = needs_helm

_BATCH = ("batch.enabled=true", "batch.args={mnist,--seeds,0-9,--out,/out/x}")
_MONITORED = ("monitoring.serviceMonitor=true",)
_REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a misspelt value": (("replicacount=3",), "'replicacount'"),
    "a value of another type": (("replicaCount=two",), "/replicaCount"),
    "a misspelt setting": (("serve.settings.api_key_file=/keys",), "'api_key_file'"),
    "a setting out of range": (("serve.settings.max_batch=0",), "/serve/settings/max_batch"),
    "a digest without sha256": (("image.digest=latest",), "/image/digest"),
    "a percentage above 100": (("podDisruptionBudget.maxUnavailable=101%",), "/podDisruptionBudget/maxUnavailable"),
    "a budget that stops every drain": (("podDisruptionBudget.maxUnavailable=0%",), "podDisruptionBudget.maxUnavailable"),
    "a budget of all replicas": (
        ("replicaCount=1", "podDisruptionBudget.maxUnavailable=null", "podDisruptionBudget.minAvailable=1"),
        "podDisruptionBudget.minAvailable",
    ),
    "null for a group of values": (("podDisruptionBudget=null",), "'podDisruptionBudget'"),
    "null for a number": (("serve.startupSeconds=null",), "'startupSeconds'"),
    "null for settings": (("serve.settings=null",), "'settings'"),
    "a name with capital letters": (("fullnameOverride=Faces",), "/fullnameOverride"),
    "a number as environment variable": (("extraEnv[0].name=A", "extraEnv[0].value=1"), "/extraEnv/0/value"),
    "enabled outside of a parent chart": (("enabled=false",), "enabled"),
    "nothing enabled": (("serve.enabled=false",), "batch.enabled"),
    "rules without ServiceMonitor": (("monitoring.rules=true",), "monitoring.rules"),
    "labels without ServiceMonitor": (("monitoring.labels.release=x",), "monitoring.labels"),
    "ServiceMonitor of a batch job": ((*_BATCH, *_MONITORED, "serve.enabled=false"), "monitoring.serviceMonitor"),
    "gateway without parents": (("gateway.enabled=true",), "gateway.parentRefs"),
    "parents without gateway": (("gateway.parentRefs[0].name=x",), "gateway.enabled"),
    "Ingress without hosts": (("ingress.enabled=true",), "ingress.hosts"),
    "Ingress with an example host": (("ingress.enabled=true", "ingress.hosts={seedmint.example}"), "seedmint.example"),
    "hosts without Ingress": (("ingress.hosts={a.test}",), "ingress.enabled"),
    "certificate of another host": (
        ("ingress.enabled=true", "ingress.hosts={a.test}", "ingress.tls[0].secretName=x", "ingress.tls[0].hosts={b.test}"),
        "b.test",
    ),
    "Ingress of a batch job": (
        (*_BATCH, "serve.enabled=false", "ingress.enabled=true", "ingress.hosts={a.test}"),
        "serve.enabled",
    ),
    "published jobs without jobs": (("public.jobs=true",), "jobs.enabled"),
    "published jobs without Ingress": (("public.jobs=true", "jobs.enabled=true"), "ingress.enabled"),
    "batch without arguments": (("batch.enabled=true",), "batch.args"),
    "batch arguments without batch": (_BATCH[1:], "batch.enabled"),
    "batch without a CPU limit": ((*_BATCH, "batch.resources.limits=null"), "batch.resources.limits.cpu"),
    "autoscaling without a metric": (
        ("autoscaling.enabled=true", "autoscaling.targetCPUUtilizationPercentage=0"),
        "autoscaling.targetQueueSize",
    ),
    "autoscaling by CPU without a request": (
        ("autoscaling.enabled=true", "serve.resources=null"),
        "serve.resources.requests.cpu",
    ),
    "autoscaling with minimum above maximum": (
        ("autoscaling.enabled=true", "autoscaling.maxReplicas=1"),
        "autoscaling.maxReplicas",
    ),
    "two autoscalers": (("autoscaling.enabled=true", "replicaCount=null"), "replicaCount"),
    "two budgets": (("podDisruptionBudget.minAvailable=1",), "podDisruptionBudget.minAvailable"),
    "no budget": (("podDisruptionBudget.maxUnavailable=null",), "podDisruptionBudget.maxUnavailable"),
    "image volume without image": (("models.source=image",), "models.image.reference"),
    "image of generators that is not used": (("models.image.reference=a:1",), "models.source"),
    "claim that is not used": (("models.claim.existing=x",), "models.source"),
    "filling a read-only claim": (
        ("models.source=claim", "models.claim.accessModes={ReadOnlyMany}", "models.claim.existing=x"),
        "models.claim.fill",
    ),
    "a new read-only claim": (
        ("models.source=claim", "models.claim.accessModes={ReadOnlyMany}", "models.claim.fill=false"),
        "models.claim.existing",
    ),
    "GPU with the CPU image": (("gpu.enabled=true",), "image.tag"),
    "claim of jobs in an object store": (
        ("jobs.enabled=true", "jobs.url=s3://a/b", "jobs.claim.existing=x"),
        "jobs.claim.existing",
    ),
    "two private authorities": (("privateCA.secret=a", "privateCA.configMap=b"), "privateCA.configMap"),
    "annotations of no service account": (
        ("serviceAccount.create=false", "serviceAccount.annotations.a=b"),
        "serviceAccount.create",
    ),
    "rules of no network policy": (("networkPolicy.enabled=false", "networkPolicy.egress[0].ports[0].port=1"), "networkPolicy"),
    "node port of ClusterIP": (("service.nodePort=30000",), "service.nodePort"),
    "load balancer of ClusterIP": (("service.loadBalancerClass=x",), "service.loadBalancerClass"),
    "a socket instead of a port": (("serve.settings.unix_socket=/tmp/a",), "serve.settings.unix_socket"),
    "jobs in every replica": (("serve.settings.jobs_url=/jobs",), "serve.settings.jobs_url"),
    "two files of keys": (("apiKeys.secret=a", "serve.settings.api_keys_file=/b"), "serve.settings.api_keys_file"),
    "two bounds of the cache": (
        ("models.urls={s3://made/generators}", "serve.settings.models_cache_bytes=5"),
        "serve.settings.models_cache_bytes",
    ),
    "two lists of places": (
        ("models.urls={s3://made/generators}", "serve.settings.models=/m"),
        "serve.settings.models",
    ),
    "places instead of the claim": (("models.source=claim", "jobs.settings.models=/m"), "jobs.settings.models"),
    "a cache without a volume": (
        ("models.urls={s3://made/generators}", "serve.settings.models_cache=/c"),
        "serve.settings.models_cache",
    ),
    "a variable that the chart sets": (
        ("extraEnv[0].name=SEEDMINT_LOG_FORMAT", "extraEnv[0].value=text"),
        "SEEDMINT_LOG_FORMAT",
    ),
}


@pytest.mark.parametrize(("values", "name"), _REFUSED.values(), ids=list(_REFUSED))
def test_the_error_of_an_invalid_value_names_the_value(values: tuple[str, ...], name: str):
    done = helm(*values)
    assert done.returncode != 0
    assert name in done.stderr


def test_a_batch_job_with_workers_needs_no_cpu_limit():
    done = helm("batch.enabled=true", "batch.args={mnist,--workers,3}", "batch.resources.limits=null")
    assert done.returncode == 0, done.stderr
    assert "PROCESSORS" not in done.stdout


def test_a_checkout_that_lost_the_content_of_a_file_is_an_error(tmp_path: Path):
    subprocess.run(["cp", "-R", str(CHART), str(tmp_path / "chart")], check=True)
    for name, value in (("rules.yaml", "monitoring.rules=true"), ("dashboard.json", "monitoring.dashboard=true")):
        file = tmp_path / "chart" / "files" / name
        for content in ("", f"../../watch/{name}"):
            file.write_text(content)
            done = helm("monitoring.serviceMonitor=true", value, chart=tmp_path / "chart")
            assert done.returncode != 0
            assert name in done.stderr
