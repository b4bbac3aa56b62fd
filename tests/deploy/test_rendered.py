"""What the Helm chart renders for an operator's values, common and odd (`make chart-check` fetches helm)."""

import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from seedmint.service.api.openapi.job_operations import OPERATIONS as JOB_OPERATIONS
from seedmint.service.api.routes import ENDPOINTS
from seedmint.service.settings import read_settings
from tests.support import generators
from tests.support.servers import serving

_CHART = Path(__file__).parents[2] / "deploy" / "chart"
_PRIVATE = {"/metrics", "/livez"}
_PUBLISHED = ("ingress.enabled=true", "gateway.enabled=true", "gateway.parents[0].name=public")

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="no helm here: make chart-check fetches it")


def helm(*values: str, release: str = "images", **options: str) -> subprocess.CompletedProcess[str]:
    """`helm template` with values as `--set` takes them; of options, `kube_version="1.30"`."""
    command = ["helm", "template", release, str(_CHART), *(f"--set={value}" for value in values)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(*values: str, release: str = "images", **options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects, by kind and name."""
    done = helm(*values, release=release, **options)
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one is not None]
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects)
    return found


def deployment(*values: str, name: str = "images", **options: str) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(*values, **options)["Deployment", name]["spec"]
    return spec


def variables(spec: dict[str, Any]) -> dict[str, str]:
    (container,) = spec["template"]["spec"]["containers"]
    entries = [(entry["name"], entry["value"]) for entry in container["env"]]
    assert len(dict(entries)) == len(entries)
    return dict(entries)


@pytest.mark.parametrize(
    ("values", "strategy"),
    [
        ((), {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
        (("gpu.enabled=true",), {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}),
        (("models.source=claim",), {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
        (("models.source=claim", "models.claim.accessModes={ReadWriteOnce}"), {"type": "Recreate"}),
        (("gpu.enabled=true", "serve.strategy.type=Recreate"), {"type": "Recreate"}),
    ],
)
def test_replicas_are_replaced_as_what_they_hold_allows(values: tuple[str, ...], strategy: dict[str, Any]):
    assert deployment(*values)["strategy"] == strategy


def test_the_autoscaler_follows_what_it_is_told():
    hpa = rendered("autoscaling.enabled=true", "autoscaling.cpu=0", "autoscaling.queueSize=64")
    (metric,) = hpa["HorizontalPodAutoscaler", "images"]["spec"]["metrics"]
    assert metric["pods"]["target"]["averageValue"] == "64"
    assert "replicas" not in deployment("autoscaling.enabled=true")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("autoscaling.enabled=true", "autoscaling.cpu=0"), "set autoscaling.cpu or autoscaling.queueSize"),
        (("autoscaling.enabled=true", "autoscaling.max=1"), "autoscaling.min is greater than autoscaling.max"),
        (("serve.replica=3",), "'replica' not allowed"),
        (("serve.replicas=two",), "/serve/replicas"),
        (("models.source=image",), "models.image.reference is required"),
        (("batch.enabled=true",), "batch.arguments is required"),
    ],
)
def test_values_that_cannot_work_are_refused_with_a_line(values: tuple[str, ...], said: str):
    done = helm(*values)
    assert done.returncode != 0
    assert said in done.stderr


def test_volumes_of_images_need_a_kubernetes_that_has_them():
    values = ("models.source=image", "models.image.reference=registry.example/generators:1")
    done = helm(*values, kube_version="1.32")
    assert done.returncode != 0
    assert "models.source=image requires Kubernetes 1.35, or 1.33 with the feature gate ImageVolume" in done.stderr
    assert deployment(*values, kube_version="1.33")["template"]["spec"]["volumes"][-1]["image"]["pullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("release", ["a" * 53, "images"])
def test_names_are_short_enough(release: str):
    """Also of what Kubernetes makes of them: the pods of a job are JOB-INDEX, which is a host's name."""
    objects = rendered(
        *(*_PUBLISHED, "autoscaling.enabled=true", "jobs.enabled=true", "models.source=claim", "monitoring.dashboard=true"),
        *("batch.enabled=true", "batch.arguments={mnist,--seeds,0-9,--out,/out/x}"),
        release=release,
    )
    assert len(objects) > 12
    for kind, name in objects:
        assert len(name) <= (63 - len("-9999") if kind == "Job" else 63)
        assert not name.endswith("-")
    for kind in ("Deployment", "Service", "NetworkPolicy"):
        assert len([one for one in objects if one[0] == kind]) == (3 if kind == "NetworkPolicy" else 2)


def test_the_name_can_be_chosen():
    assert {name.split("-")[0] for _, name in rendered("fullnameOverride=digits")} == {"digits"}


def test_resources_may_be_empty():
    (container,) = deployment("serve.resources=null")["template"]["spec"]["containers"]
    assert container["resources"] == {}
    (container,) = deployment("serve.resources=null", "gpu.enabled=true")["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}}


def test_settings_are_told_once_and_as_the_service_reads_them():
    values = ("serve.settings.max_seeds=1000000", "serve.settings.log_format=text", "serve.settings.port=8080")
    spec = deployment(*values, "serve.settings.trusted_proxies={10.0.0.0/8,::1}", "gpu.enabled=true", "apiKeys.secret=k")
    told = variables(spec)
    settings = read_settings(told)
    assert {"SEEDMINT_" + field.upper() for field in settings.model_fields_set} == set(told)
    assert (settings.max_seeds, settings.log_format, settings.port) == (1_000_000, "text", 8080)
    assert (len(settings.trusted_proxies), settings.provider) == (2, "cuda")
    (container,) = spec["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == 8080


def matches(path: str, published: dict[str, list[str]]) -> bool:
    """As Ingress and HTTPRoute understand "Exact" and "Prefix"."""
    return path in published["Exact"] or any(
        fnmatch(path, pattern) for one in published["Prefix"] for pattern in (one, f"{one}/*")
    )


def published(*values: str) -> dict[str, dict[str, list[str]]]:
    """What Ingress and HTTPRoute publish, which must agree: Service -> type -> paths."""
    objects = rendered(*_PUBLISHED, *values)
    ingress: dict[str, dict[str, list[str]]] = {}
    for path in objects["Ingress", "images"]["spec"]["rules"][0]["http"]["paths"]:
        own = ingress.setdefault(path["backend"]["service"]["name"], {"Exact": [], "Prefix": []})
        own[path["pathType"]].append(path["path"])
    route: dict[str, dict[str, list[str]]] = {}
    for rule in objects["HTTPRoute", "images"]["spec"]["rules"]:
        (backend,) = rule["backendRefs"]
        own = route.setdefault(backend["name"], {"Exact": [], "Prefix": []})
        for match in rule["matches"]:
            own[match["path"]["type"].removeprefix("Path")].append(match["path"]["value"])
    assert ingress == route
    return ingress


def test_the_world_reaches_all_but_metrics_and_jobs():
    (paths,) = published("jobs.enabled=true").values()
    assert {endpoint.path for endpoint in ENDPOINTS if not matches(endpoint.path, paths)} == _PRIVATE
    assert not any(matches(path, paths) for path, _ in JOB_OPERATIONS)


def test_jobs_are_published_when_asked_for_and_by_their_own_service():
    both = published("jobs.enabled=true", "public.jobs=true")
    assert set(both) == {"images", "images-jobs"}
    assert all(matches(path, both["images-jobs"]) for path, _ in JOB_OPERATIONS)
    assert set(published("public.jobs=true")) == {"images"}


def test_jobs_have_one_pod_with_a_volume_that_calls_nobody():
    objects = rendered("jobs.enabled=true")
    assert "SEEDMINT_JOBS_URL" not in variables(objects["Deployment", "images"]["spec"])
    spec = objects["Deployment", "images-jobs"]["spec"]
    assert variables(spec)["SEEDMINT_JOBS_URL"] == "/jobs"
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
    assert mounts["jobs"] == "/jobs"
    assert claims["jobs"] == {"claimName": "images-jobs"}
    assert objects["PersistentVolumeClaim", "images-jobs"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert "egress" not in objects["NetworkPolicy", "images-jobs"]["spec"]
    selectors = {name: objects["Service", name]["spec"]["selector"] for name in ("images", "images-jobs")}
    for name, selector in selectors.items():
        assert selector.items() <= objects["Deployment", name]["spec"]["template"]["metadata"]["labels"].items()
    assert selectors["images"] != selectors["images-jobs"]


def test_jobs_in_an_object_store_may_call_it_and_nobody_else_may():
    values = ("jobs.enabled=true", "jobs.url=s3://made/jobs", "jobs.environmentSecret=s3", "jobs.egress[0].ports[0].port=443")
    objects = rendered(*values)
    spec = objects["Deployment", "images-jobs"]["spec"]
    assert variables(spec)["SEEDMINT_JOBS_URL"] == "s3://made/jobs"
    assert spec["template"]["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert not any(kind == "PersistentVolumeClaim" for kind, _ in objects)
    assert objects["NetworkPolicy", "images-jobs"]["spec"]["egress"] == [{"ports": [{"port": 443}]}]
    assert "egress" not in objects["NetworkPolicy", "images"]["spec"]


def test_a_batch_job_has_the_processors_of_its_limit_unless_it_is_told():
    values = ("batch.enabled=true", "batch.arguments={mnist,--seeds,0-9,--out,/out/x}")
    ((_, job),) = [one for one in rendered(*values).items() if one[0][0] == "Job"]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--workers", "$(PROCESSORS)"]
    told = (values[0], "batch.arguments={mnist,--workers,3}")
    ((_, job),) = [one for one in rendered(*told).items() if one[0][0] == "Job"]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][-2:] == ["--workers", "3"]


def test_the_test_of_a_release_asks_the_service_and_may(tmp_path: Path):
    objects = rendered("networkPolicy.from[0].podSelector.matchLabels.app=proxy")
    pod = objects["Pod", "images-test"]
    (rule,) = objects["NetworkPolicy", "images"]["spec"]["ingress"]
    assert rule["from"][-1]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    *command, address = pod["spec"]["containers"][0]["args"]
    assert address == "http://images:80/readyz"
    generators.write(tmp_path, "one")
    with serving(tmp_path) as server:
        url = address.replace("http://images:80", str(server.client.base_url).rstrip("/"))
        assert subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout == "200\n"
        assert subprocess.run([*command, f"{url}/no"], capture_output=True, check=False).returncode != 0


def test_the_pod_for_upgrades_mounts_the_claim_that_the_service_reads():
    pod = yaml.safe_load((_CHART.parent / "models-pod.yaml").read_text())["spec"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]]
    objects = rendered("models.source=claim")
    assert [("PersistentVolumeClaim", claim) in objects for claim in claims] == [True]
    served = objects["Deployment", "images"]["spec"]["template"]["spec"]
    assert claims[0] in [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in served["volumes"]]
    assert pod["securityContext"] == served["securityContext"]
    assert pod["containers"][0]["securityContext"] == served["containers"][0]["securityContext"]


def rules(namespace: str, *values: str) -> dict[str, Any]:
    spec: dict[str, Any] = rendered("monitoring.rules=true", *values, namespace=namespace)["PrometheusRule", "images"]["spec"]
    return spec


def test_alerts_link_to_the_runbook_where_the_operator_has_it():
    page = "https://wiki.example/seedmint/runbook.md"
    alerts = [rule for group in rules("shop", f"monitoring.runbookUrl={page}")["groups"] for rule in group["rules"]]
    links = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts if "alert" in rule}
    assert len(links) > 15
    assert links == {name: f"{page}#{name.lower()}" for name in links}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: make chart-check fetches it")
def test_two_releases_in_one_prometheus_alert_for_themselves_alone(tmp_path: Path):
    """Both bring their rules; each must see its own Service, and neither the other's."""
    files = []
    for namespace in ("shop", "lab"):
        files.append(f"{namespace}.yaml")
        (tmp_path / files[-1]).write_text(yaml.safe_dump(rules(namespace)))

    def series(namespace: str, name: str, labels: str, values: str) -> dict[str, str]:
        of = f'job="seedmint",namespace="{namespace}",service="images",instance="a"'
        return {"series": f"{name}{{{of}{labels}}}", "values": values}

    route = ',route="/v1/sample",method="POST",status="{}"'
    alert = {
        "exp_labels": {"severity": "page", "job": "seedmint", "namespace": "lab", "service": "images"},
        "exp_annotations": {
            "summary": "seedmint lab/images: 100% of requests have a 5xx status over 1h",
            "runbook_url": "docs/runbook.md#seedminterrorbudgetburnfast",
        },
    }
    absent = {
        "exp_labels": {"severity": "page", "job": "seedmint", "namespace": "shop"},
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
