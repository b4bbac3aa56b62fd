"""The objects that the Helm chart renders for usual and unusual values. `make chart-check` downloads helm."""

import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedmint.service.api.routing.inference_endpoints import ENDPOINTS as INFERENCE_ENDPOINTS
from seedmint.service.api.routing.job_endpoints import ENDPOINTS as JOB_ENDPOINTS
from seedmint.service.api.routing.routes import ENDPOINTS
from seedmint.service.settings import read_settings
from tests.deploy.charts import CHART, deployment, helm, needs_helm, rendered, variables
from tests.support import generators
from tests.support.servers import serving

_PRIVATE = {"/metrics", "/livez"}
_PUBLISHED = (
    "ingress.enabled=true",
    "ingress.hosts={images.test}",
    "gateway.enabled=true",
    "gateway.parentRefs[0].name=public",
)

pytestmark = needs_helm


@pytest.mark.parametrize(
    ("values", "strategy"),
    [
        ((), {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
        (
            ("gpu.enabled=true", "image.tag=gpu"),
            {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        ),
        (("models.source=claim",), {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
        (("models.source=claim", "models.claim.accessModes={ReadWriteOnce}"), {"type": "Recreate"}),
        (("gpu.enabled=true", "image.tag=gpu", "serve.updateStrategy.type=Recreate"), {"type": "Recreate"}),
    ],
)
def test_the_update_strategy_fits_the_devices_and_volumes_of_the_pods(values: tuple[str, ...], strategy: dict[str, Any]):
    assert deployment(*values)["strategy"] == strategy


def test_the_autoscaler_uses_the_given_metric():
    hpa = rendered("autoscaling.enabled=true", "autoscaling.targetCPUUtilizationPercentage=0", "autoscaling.targetQueueSize=64")
    (metric,) = hpa["HorizontalPodAutoscaler", "images-seedmint"]["spec"]["metrics"]
    assert metric["pods"]["target"]["averageValue"] == "64"
    assert "replicas" not in deployment("autoscaling.enabled=true")


def test_image_volumes_require_a_kubernetes_version_that_supports_them():
    values = ("models.source=image", "models.image.reference=registry.example/generators:1")
    done = helm(*values, kube_version="1.32")
    assert done.returncode != 0
    assert "models.source=image" in done.stderr
    assert "1.33" in done.stderr
    assert deployment(*values, kube_version="1.33")["template"]["spec"]["volumes"][-1]["image"]["pullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("release", ["a" * 53, "images"])
def test_names_are_short_enough(release: str):
    """A pod of a job has the host name JOB-INDEX, which may have 63 characters."""
    objects = rendered(
        *(*_PUBLISHED, "autoscaling.enabled=true", "jobs.enabled=true", "models.source=claim", "monitoring.dashboard=true"),
        *("batch.enabled=true", "batch.args={mnist,--seeds,0-9,--out,/out/x}"),
        release=release,
    )
    assert len(objects) > 12
    for kind, name in objects:
        assert len(name) <= (63 - len("-9999") if kind == "Job" else 63)
        assert not name.endswith("-")
    for kind in ("Deployment", "Service", "NetworkPolicy"):
        assert len([name for other_kind, name in objects if other_kind == kind]) == (3 if kind == "NetworkPolicy" else 2)


def test_the_name_can_be_chosen():
    assert {name.split("-")[0] for _, name in rendered("fullnameOverride=digits")} == {"digits"}


def test_resources_may_be_empty():
    (container,) = deployment("serve.resources=null")["template"]["spec"]["containers"]
    assert container["resources"] == {}
    (container,) = deployment("serve.resources=null", "gpu.enabled=true", "image.tag=gpu")["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}}


def test_each_setting_is_one_variable_that_the_service_reads():
    values = ("serve.settings.max_seeds=1000000", "serve.settings.log_format=text", "serve.settings.port=8080")
    spec = deployment(
        *values, "serve.settings.trusted_proxies={10.0.0.0/8,::1}", "gpu.enabled=true", "image.tag=gpu", "apiKeys.secret=k"
    )
    environment = variables(spec)
    settings = read_settings(environment)
    assert {"SEEDMINT_" + field.upper() for field in settings.model_fields_set} == set(environment)
    assert (settings.max_seeds, settings.log_format, settings.port) == (1_000_000, "text", 8080)
    assert (len(settings.trusted_proxies), settings.provider) == (2, "cuda")
    (container,) = spec["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == 8080


def matches(path: str, published: dict[str, list[str]]) -> bool:
    """Return whether a path is published, by the rules of Ingress and HTTPRoute for "Exact" and "Prefix"."""
    return path in published["Exact"] or any(
        fnmatch(path, pattern) for prefix in published["Prefix"] for pattern in (prefix, f"{prefix}/*")
    )


def published(*values: str) -> dict[str, dict[str, list[str]]]:
    """Return the published paths: Service -> path type -> paths. Ingress and HTTPRoute must publish the same."""
    objects = rendered(*_PUBLISHED, *values)
    ingress: dict[str, dict[str, list[str]]] = {}
    for path in objects["Ingress", "images-seedmint"]["spec"]["rules"][0]["http"]["paths"]:
        own = ingress.setdefault(path["backend"]["service"]["name"], {"Exact": [], "Prefix": []})
        own[path["pathType"]].append(path["path"])
    route: dict[str, dict[str, list[str]]] = {}
    for rule in objects["HTTPRoute", "images-seedmint"]["spec"]["rules"]:
        (backend,) = rule["backendRefs"]
        own = route.setdefault(backend["name"], {"Exact": [], "Prefix": []})
        for match in rule["matches"]:
            own[match["path"]["type"].removeprefix("Path")].append(match["path"]["value"])
    assert ingress == route
    return ingress


def test_all_paths_except_metrics_probes_and_jobs_are_published():
    (paths,) = published("jobs.enabled=true").values()
    assert {endpoint.path for endpoint in ENDPOINTS if not matches(endpoint.path, paths)} == _PRIVATE
    assert not any(matches(endpoint.path, paths) for endpoint in JOB_ENDPOINTS)


def test_the_open_inference_protocol_is_published_if_requested():
    for values, is_published in (((), False), (("public.inference=true",), True)):
        (paths,) = published(*values).values()
        assert {matches(endpoint.path, paths) for endpoint in INFERENCE_ENDPOINTS} == {is_published}


def test_paths_are_published_below_the_root_path():
    plain, below = (
        published("jobs.enabled=true", "public.jobs=true", *more) for more in ((), ("serve.settings.root_path=/gan",))
    )
    for service, kinds in plain.items():
        assert below[service] == {kind: [f"/gan{path}" for path in paths] for kind, paths in kinds.items()}


def test_jobs_are_published_by_their_own_service_if_requested():
    both = published("jobs.enabled=true", "public.jobs=true")
    assert set(both) == {"images-seedmint", "images-seedmint-jobs"}
    assert all(matches(endpoint.path, both["images-seedmint-jobs"]) for endpoint in JOB_ENDPOINTS)
    assert set(published("jobs.enabled=true")) == {"images-seedmint"}


def test_jobs_have_one_pod_with_a_volume_and_without_egress():
    objects = rendered("jobs.enabled=true")
    assert "SEEDMINT_JOBS_URL" not in variables(objects["Deployment", "images-seedmint"]["spec"])
    spec = objects["Deployment", "images-seedmint-jobs"]["spec"]
    assert variables(spec)["SEEDMINT_JOBS_URL"] == "/jobs"
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
    assert mounts["jobs"] == "/jobs"
    assert claims["jobs"] == {"claimName": "images-seedmint-jobs"}
    assert objects["PersistentVolumeClaim", "images-seedmint-jobs"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "egress" not in objects["NetworkPolicy", "images-seedmint-jobs"]["spec"]
    selectors = {name: objects["Service", name]["spec"]["selector"] for name in ("images-seedmint", "images-seedmint-jobs")}
    for name, selector in selectors.items():
        assert selector.items() <= objects["Deployment", name]["spec"]["template"]["metadata"]["labels"].items()
    assert selectors["images-seedmint"] != selectors["images-seedmint-jobs"]


def test_only_jobs_in_an_object_store_have_egress():
    values = (
        "jobs.enabled=true",
        "jobs.url=s3://made/jobs",
        "jobs.extraEnvFrom[0].secretRef.name=s3",
        "jobs.egress[0].ports[0].port=443",
    )
    objects = rendered(*values)
    spec = objects["Deployment", "images-seedmint-jobs"]["spec"]
    assert variables(spec)["SEEDMINT_JOBS_URL"] == "s3://made/jobs"
    assert spec["template"]["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert not any(kind == "PersistentVolumeClaim" for kind, _ in objects)
    assert objects["NetworkPolicy", "images-seedmint-jobs"]["spec"]["egress"] == [{"ports": [{"port": 443}]}]
    assert "egress" not in objects["NetworkPolicy", "images-seedmint"]["spec"]


def test_places_of_generators_have_a_cache_and_egress():
    objects = rendered("models.urls={s3://made/generators,https://example.org/faces.onnx}", "models.cacheBytes=1000000000")
    pod = objects["Deployment", "images-seedmint"]["spec"]["template"]["spec"]
    found = variables(objects["Deployment", "images-seedmint"]["spec"])
    assert found["SEEDMINT_MODELS"] == "/models,s3://made/generators,https://example.org/faces.onnx"
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["cache"] == found["SEEDMINT_MODELS_CACHE"]
    assert {volume["name"]: volume for volume in pod["volumes"]}["cache"]["emptyDir"] == {"sizeLimit": "1250000000"}
    assert found["SEEDMINT_MODELS_CACHE_BYTES"] == "1000000000"
    assert objects["NetworkPolicy", "images-seedmint"]["spec"]["egress"] == [{}]


def test_a_batch_job_has_one_worker_per_processor_of_its_limit_by_default():
    values = ("batch.enabled=true", "batch.args={mnist,--seeds,0-9,--out,/out/x}")
    (job,) = [manifest for (kind, _), manifest in rendered(*values).items() if kind == "Job"]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--workers", "$(PROCESSORS)"]
    explicit = (values[0], "batch.args={mnist,--workers,3}")
    (job,) = [manifest for (kind, _), manifest in rendered(*explicit).items() if kind == "Job"]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--workers", "3"]


def test_the_test_pod_of_a_release_may_send_requests_to_the_service(tmp_path: Path):
    objects = rendered("networkPolicy.from[0].podSelector.matchLabels.app=proxy")
    pod = objects["Pod", "images-seedmint-test"]
    (rule,) = objects["NetworkPolicy", "images-seedmint"]["spec"]["ingress"]
    assert rule["from"][-1]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    *command, address = pod["spec"]["containers"][0]["args"]
    assert address == "http://images-seedmint:80/readyz"
    generators.write(tmp_path, "one")
    with serving(tmp_path) as server:
        url = address.replace("http://images-seedmint:80", str(server.client.base_url).rstrip("/"))
        assert subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout == "200\n"
        assert subprocess.run([*command, f"{url}/no"], capture_output=True, check=False).returncode != 0


def test_the_pod_for_upgrades_mounts_the_claim_of_the_service():
    pod = yaml.safe_load((CHART.parent / "models-pod.yaml").read_text())["spec"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]]
    objects = rendered("models.source=claim")
    assert [("PersistentVolumeClaim", claim) in objects for claim in claims] == [True]
    served = objects["Deployment", "images-seedmint"]["spec"]["template"]["spec"]
    assert claims[0] in [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in served["volumes"]]
    assert pod["securityContext"] == served["securityContext"]
    assert pod["containers"][0]["securityContext"] == served["containers"][0]["securityContext"]


def rules(namespace: str, *values: str) -> dict[str, Any]:
    spec: dict[str, Any] = rendered("monitoring.serviceMonitor=true", "monitoring.rules=true", *values, namespace=namespace)[
        "PrometheusRule", "images-seedmint"
    ]["spec"]
    return spec


def test_alerts_link_to_the_runbook_url_of_the_operator():
    page = "https://wiki.example/seedmint/runbook.md"
    alerts = [rule for group in rules("shop", f"monitoring.runbookUrl={page}")["groups"] for rule in group["rules"]]
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts if "alert" in rule}
    assert len(links) > 15
    assert links == {name: f"{page}#{name.lower()}" for name in links}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: run make chart-check")
def test_the_alerts_of_a_release_do_not_fire_for_another_release(tmp_path: Path):
    """Two releases in one Prometheus. The rules of each release select only its own Service."""
    files = []
    for namespace in ("shop", "lab"):
        files.append(f"{namespace}.yaml")
        (tmp_path / files[-1]).write_text(yaml.safe_dump(rules(namespace)))

    def series(namespace: str, name: str, labels: str, values: str) -> dict[str, str]:
        target = f'job="seedmint",namespace="{namespace}",service="images-seedmint",instance="a"'
        return {"series": f"{name}{{{target}{labels}}}", "values": values}

    route = ',route="/v1/sample",method="POST",status="{}"'
    alert = {
        "exp_labels": {"severity": "page", "job": "seedmint", "namespace": "lab", "service": "images-seedmint"},
        "exp_annotations": {
            "summary": "seedmint lab/images-seedmint: 100% of requests have a 5xx status over 1h",
            "runbook_url": "docs/runbook.md#seedminterrorbudgetburnfast",
        },
    }
    absent = {
        "exp_labels": {"severity": "ticket", "job": "seedmint", "namespace": "shop"},
        "exp_annotations": {
            "summary": "Prometheus has no target of seedmint in shop",
            "runbook_url": "docs/runbook.md#seedmintabsent",
        },
    }
    test = {
        "interval": "1m",
        "input_series": [
            series("shop", "seedmint_http_requests_total", route.format(200), "0+60x60"),
            series("lab", "seedmint_http_requests_total", route.format(500), "0+60x60"),
            series("lab", "up", "", "1x60"),
        ],
        "alert_rule_test": [
            {"eval_time": "1h", "alertname": "SeedmintErrorBudgetBurnFast", "exp_alerts": [alert]},
            {"eval_time": "1h", "alertname": "SeedmintAbsent", "exp_alerts": [absent]},
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": "1m", "tests": [test]}))
    for command in (["check", "rules", *files], ["test", "rules", "test.yaml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
