"""Values with which operators adapt the Helm chart to their clusters."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.charts import CHART, deployment, helm, needs_helm, pods, rendered

pytestmark = needs_helm

_ALL = ("jobs.enabled=true", "batch.enabled=true", "batch.args={mnist,--seeds,0-9,--out,/out/x}")
_COMPONENTS = {"serve", "jobs", "batch", "test"}
_HATCHES: dict[str, Any] = {
    "extraEnv": [{"name": "A", "value": "b"}],
    "extraEnvFrom": [{"secretRef": {"name": "secret"}}],
    "extraVolumes": [{"name": "extra", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    "initContainers": [{"name": "first", "image": "a"}],
    "sidecars": [{"name": "beside", "image": "a"}],
    "podLabels": {"team": "images", "app.kubernetes.io/component": "other"},
    "podAnnotations": {"note": "true"},
    "priorityClassName": "high",
    "runtimeClassName": "nvidia",
    "schedulerName": "other",
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["s3"]}],
    "podSecurityContext": {"runAsUser": 20001, "supplementalGroups": [5]},
    "securityContext": {"privileged": False},
}


def given(tmp_path: Path, values: dict[str, Any], *more: str, **options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Render all components with values that are not texts."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))  # with quotes around all texts
    return rendered(*_ALL, *more, values=str(file), **options)


def check_hatches(metadata: dict[str, Any], spec: dict[str, Any], component: str) -> None:
    (container,) = [one for one in spec["containers"] if one["name"] != "beside"]
    assert {"name": "A", "value": "b"} in container["env"]
    assert container["envFrom"] == _HATCHES["extraEnvFrom"]
    assert _HATCHES["extraVolumes"][0] in spec["volumes"]
    assert _HATCHES["extraVolumeMounts"][0] in container["volumeMounts"]
    assert container["securityContext"] == {
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert _HATCHES["initContainers"][0] in spec["initContainers"]
    if component in ("batch", "test"):  # else these pods would never finish
        assert _HATCHES["sidecars"][0] | {"restartPolicy": "Always"} in spec["initContainers"]
    else:
        assert _HATCHES["sidecars"][0] in spec["containers"]
    assert metadata["labels"]["team"] == "images"
    assert metadata["annotations"]["note"] == "true"
    for name in ("priorityClassName", "runtimeClassName", "schedulerName", "nodeSelector", "tolerations"):
        assert spec[name] == _HATCHES[name]
    for name in ("affinity", "dnsConfig", "hostAliases"):
        assert spec[name] == _HATCHES[name]
    (constraint,) = spec["topologySpreadConstraints"]
    assert (constraint["topologyKey"], constraint["maxSkew"]) == ("rack", 2)
    assert constraint["labelSelector"]["matchLabels"].items() <= metadata["labels"].items()
    assert constraint["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["supplementalGroups"]) == (20001, [5])


def test_extra_env_volumes_sidecars_and_placement_apply_to_all_pods(tmp_path: Path):
    found = {component: (metadata, spec) for component, metadata, spec in pods(given(tmp_path, _HATCHES))}
    assert set(found) == _COMPONENTS
    for component, (metadata, spec) in found.items():
        check_hatches(metadata, spec, component)


@pytest.mark.parametrize("component", sorted(_COMPONENTS))
def test_extra_env_volumes_sidecars_and_placement_of_one_component(component: str, tmp_path: Path):
    for other, metadata, spec in pods(given(tmp_path, {component: _HATCHES})):
        if other == component:
            check_hatches(metadata, spec, component)
        else:
            assert not {"priorityClassName", "hostAliases"} & set(spec)
            assert spec["securityContext"]["runAsUser"] == 10001


def test_values_of_all_pods_and_of_one_component_add_up(tmp_path: Path):
    values = {
        "extraEnv": [{"name": "A", "value": "1"}],
        "podLabels": {"a": "1", "b": "1"},
        "batch": {"extraEnv": [{"name": "B", "value": "2"}], "podLabels": {"b": "2"}},
    }
    for component, metadata, spec in pods(given(tmp_path, values)):
        names = [entry["name"] for entry in spec["containers"][0]["env"] if len(entry["name"]) == 1]
        assert names == (["A", "B"] if component == "batch" else ["A"])
        assert (metadata["labels"]["a"], metadata["labels"]["b"]) == ("1", "2" if component == "batch" else "1")


def test_an_entry_of_one_component_replaces_the_entry_of_all_pods(tmp_path: Path):
    """Server-side apply refuses two entries with one name."""
    values = {
        "extraEnv": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        "extraVolumeMounts": [{"name": "common", "mountPath": "/x"}],
        "serve": {
            "extraEnv": [{"name": "A", "value": "2"}],
            "extraVolumeMounts": [{"name": "own", "mountPath": "/x"}],
        },
    }
    for component, _, spec in pods(given(tmp_path, values)):
        (container,) = spec["containers"]
        own = component == "serve"
        entries = {entry["name"]: entry["value"] for entry in container["env"] if len(entry["name"]) == 1}
        assert entries == {"A": "2" if own else "1", "B": "1"}
        assert [entry["name"] for entry in container["env"]].count("A") == 1
        mounts = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == "/x"]
        assert mounts == ["own" if own else "common"]


def test_common_labels_and_annotations_are_on_every_object_and_in_no_selector(tmp_path: Path):
    values = {"commonLabels": {"team": "images", "app.kubernetes.io/instance": "other"}, "commonAnnotations": {"a": "b"}}
    more = ("autoscaling.enabled=true", "monitoring.serviceMonitor=true", "monitoring.rules=true", "monitoring.dashboard=true")
    more += ("ingress.enabled=true", "ingress.hosts={a.test}", "gateway.enabled=true", "gateway.parentRefs[0].name=x")
    objects = given(tmp_path, values, *more, "models.source=claim")
    assert len(objects) > 18
    for document in objects.values():
        assert document["metadata"]["labels"]["team"] == "images"
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "images"
        assert document["metadata"]["annotations"]["a"] == "b"
    for selector in selectors(list(objects.values())):
        assert "team" not in selector


def selectors(documents: list[dict[str, Any]]) -> list[dict[str, str]]:
    found = [document["spec"]["selector"] for document in documents if "selector" in document.get("spec", {})]
    found += [document["spec"]["podSelector"] for document in documents if "podSelector" in document.get("spec", {})]
    assert found
    return [selector.get("matchLabels", selector) for selector in found]


@pytest.mark.parametrize(
    ("values", "options", "fixed"),
    [
        ((), {}, True),
        ((), {"api_versions": "security.openshift.io/v1"}, False),
        (("openshift=true",), {}, False),
        (("openshift=false",), {"api_versions": "security.openshift.io/v1"}, True),
    ],
)
def test_openshift_chooses_the_user_of_the_pods(values: tuple[str, ...], options: dict[str, str], fixed: bool):
    for _, _, spec in pods(rendered(*_ALL, *values, **options)):
        assert ({"runAsUser", "runAsGroup", "fsGroup"} <= set(spec["securityContext"])) == fixed
        assert "runAsUser" in spec["securityContext"] or not fixed
        assert spec["securityContext"]["runAsNonRoot"] is True


def test_an_external_scaler_owns_the_number_of_replicas():
    assert deployment()["replicas"] == 2
    assert "replicas" not in deployment("replicaCount=null")
    objects = rendered("replicaCount=null", values=str(CHART / "examples" / "keda.yaml"))
    (scaled,) = [document for (kind, _), document in objects.items() if kind == "ScaledObject"]
    assert ("Deployment", scaled["spec"]["scaleTargetRef"]["name"]) in objects


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), {"maxUnavailable": 1}),
        (("maxUnavailable=25%",), {"maxUnavailable": "25%"}),
        (("maxUnavailable=null", "minAvailable=50%"), {"minAvailable": "50%"}),
    ],
)
def test_a_disruption_budget_may_be_a_percentage(values: tuple[str, ...], expected: dict[str, Any]):
    objects = rendered(*(f"podDisruptionBudget.{value}" for value in values))
    spec = objects["PodDisruptionBudget", "images-seedmint"]["spec"]
    assert {key: spec[key] for key in spec if "vailable" in key} == expected


@pytest.mark.parametrize(("modes", "read_only"), [("{ReadOnlyMany}", True), ("{ReadWriteMany}", None)])
def test_a_read_only_claim_is_mounted_read_only(modes: str, read_only: bool | None):
    values = ("models.source=claim", f"models.claim.accessModes={modes}", "models.claim.existing=x", "models.claim.fill=false")
    volumes = deployment(*values)["template"]["spec"]["volumes"]
    (claim,) = [volume["persistentVolumeClaim"] for volume in volumes if volume["name"] == "models"]
    assert claim.get("readOnly") == read_only


def test_a_private_certificate_authority_of_an_object_store():
    for component, _, spec in pods(rendered(*_ALL, "privateCA.configMap=corporate")):
        (container,) = spec["containers"]
        environment = {entry["name"]: entry.get("value") for entry in container["env"]}
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "certificates"]
        assert environment["AWS_CA_BUNDLE"] == f"{mount['mountPath']}/ca.crt", component
        assert {"name": "certificates", "configMap": {"name": "corporate"}} in spec["volumes"]


def test_the_service_account_may_be_an_existing_one():
    for values, name in (((), "images-seedmint"), (("serviceAccount.name=mine",), "mine")):
        objects = rendered(*_ALL, *values)
        assert ("ServiceAccount", name) in objects
        assert {spec["serviceAccountName"] for _, _, spec in pods(objects)} == {name}
    objects = rendered(*_ALL, "serviceAccount.create=false", "serviceAccount.name=mine")
    assert not any(kind == "ServiceAccount" for kind, _ in objects)
    assert {spec["serviceAccountName"] for _, _, spec in pods(objects)} == {"mine"}


def test_several_ingress_hosts():
    objects = rendered("ingress.enabled=true", "ingress.hosts={a.test,b.test}", "ingress.tls[0].secretName=x")
    spec = objects["Ingress", "images-seedmint"]["spec"]
    assert [rule["host"] for rule in spec["rules"]] == ["a.test", "b.test"]
    assert spec["rules"][0]["http"] == spec["rules"][1]["http"]
    assert spec["tls"] == [{"secretName": "x"}]


def test_a_finished_batch_job_is_deleted_after_a_time_or_kept():
    def job(*values: str) -> dict[str, Any]:
        (found,) = [document for (kind, _), document in rendered(*_ALL, *values).items() if kind == "Job"]
        return found

    assert job("batch.ttlSecondsAfterFinished=0")["spec"]["ttlSecondsAfterFinished"] == 0
    assert "ttlSecondsAfterFinished" not in job()["spec"]
    queued = job("batch.suspend=true", "batch.labels.queue=a")
    assert (queued["spec"]["suspend"], queued["metadata"]["labels"]["queue"]) == (True, "a")


def test_every_change_of_a_batch_job_changes_its_name():
    """Kubernetes refuses a change of a Job."""

    def name(*values: str) -> str:
        return next(name for kind, name in rendered(*_ALL, *values) if kind == "Job")

    changes = ("image.tag=v2", "batch.completions=9", "podLabels.a=b", "batch.nodeSelector.a=b", "models.source=claim")
    assert len({name(), *(name(value) for value in changes)}) == 1 + len(changes)
    assert name() == name("replicaCount=5", "batch.ttlSecondsAfterFinished=9")


def test_two_aliases_of_the_chart_in_one_release_select_different_pods(tmp_path: Path):
    subprocess.run(["cp", "-R", str(CHART), str(tmp_path / "chart")], check=True)
    subprocess.run(["cp", "-R", str(CHART.parent / "umbrella"), str(tmp_path / "umbrella")], check=True)
    build = ["helm", "dependency", "build", "--skip-refresh", str(tmp_path / "umbrella")]
    subprocess.run(build, check=True, capture_output=True)
    objects = rendered(
        "global.storageClass=fast", "faces.models.source=claim", "faces.models.image.reference=", chart=tmp_path / "umbrella"
    )
    deployments = [document for (kind, _), document in objects.items() if kind == "Deployment"]
    assert {document["metadata"]["name"] for document in deployments} == {"images-faces", "images-digits"}
    first, second = (document["spec"]["selector"]["matchLabels"] for document in deployments)
    assert first != second
    for document in deployments:
        (container,) = document["spec"]["template"]["spec"]["containers"]
        assert container["image"].startswith("registry.example/seedmint@sha256:")
        assert document["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        own = document["spec"]["template"]["metadata"]["labels"]
        chosen = [kind for (kind, _), other in objects.items() if "selector" in other.get("spec", {}) and matching(other, own)]
        assert sorted(chosen) == ["Deployment", "PodDisruptionBudget", "Service"]
    assert objects["PersistentVolumeClaim", "images-faces-models"]["spec"]["storageClassName"] == "fast"
    off = rendered("faces.enabled=false", chart=tmp_path / "umbrella")
    assert {name for kind, name in off if kind == "Deployment"} == {"images-digits"}


def test_a_camel_case_alias_and_the_version_of_a_revision_give_valid_names_and_labels(tmp_path: Path):
    """Flux adds "+" and the revision to the version of the chart."""
    chart = tmp_path / "chart"
    subprocess.run(["cp", "-R", str(CHART), str(chart)], check=True)
    description = yaml.safe_load((chart / "Chart.yaml").read_text())
    description |= {"name": "newFaces_2", "version": f"{description['version']}+1234abcd"}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(description))
    objects = rendered(*_ALL, chart=chart)
    assert ("Deployment", "images-newfaces-2") in objects
    for (_, name), document in objects.items():
        assert re.fullmatch("[a-z]([-a-z0-9]{,61}[a-z0-9])?", name)
        for label in document["metadata"]["labels"].values():
            assert re.fullmatch("([A-Za-z0-9]([-A-Za-z0-9_.]{,61}[A-Za-z0-9])?)?", label)


def test_texts_that_look_like_numbers_stay_texts(tmp_path: Path):
    """A release may be named for the number of a pull request."""
    values = {
        "fullnameOverride": "pr-1",
        "apiKeys": {"secret": "123"},
        "privateCA": {"secret": "0x10"},
        "priorityClassName": "1",
        "serviceAccount": {"create": False, "name": "5"},
        "models": {"source": "claim", "claim": {"existing": "1e3"}},
        "ingress": {"enabled": True, "hosts": ["a.test"], "className": "1"},
    }
    objects = given(tmp_path, values, release="123", namespace="456")
    for document in objects.values():
        assert document["metadata"]["namespace"] == "456"
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"
    assert all(selector["app.kubernetes.io/instance"] == "123" for selector in selectors(list(objects.values())))
    assert objects["Ingress", "pr-1"]["spec"]["ingressClassName"] == "1"
    for component, _, spec in pods(objects):
        assert (spec["priorityClassName"], spec["serviceAccountName"]) == ("1", "5")
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert volumes["certificates"]["secret"]["secretName"] == "0x10"
        assert component == "test" or volumes["models"]["persistentVolumeClaim"]["claimName"] == "1e3"


def matching(document: dict[str, Any], labels: dict[str, str]) -> bool:
    (selector,) = selectors([document])
    return selector.items() <= labels.items()


def test_long_release_names_with_the_same_beginning_do_not_collide():
    releases = ["a" * 41 + end for end in ("", "-blue", "-green")]
    names = [{name for _, name in rendered(release=release)} for release in releases]
    assert not names[0] & names[1]
    assert not names[1] & names[2]


def test_selectors_do_not_change_with_the_version_or_with_other_values():
    """An upgrade that changes the selector of a Deployment fails."""
    changed = ("commonLabels.a=b", "podLabels.a=b", "serve.podLabels.b=c", "image.tag=v2", "models.source=claim")
    assert deployment(*changed)["selector"] == deployment()["selector"]
    assert deployment()["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "seedmint",
        "app.kubernetes.io/instance": "images",
        "app.kubernetes.io/component": "serve",
    }


def test_generators_are_copied_by_an_init_container_without_image_volumes():
    values = ("models.source=copy", "models.image.reference=registry.test/faces:1")
    spec = deployment(*values, kube_version="1.29")["template"]["spec"]
    (init,) = spec["initContainers"]
    assert init["image"] == "registry.test/faces:1"
    assert init["command"] == ["cp", "-Rf", "/models/.", "/volume/"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "models"]
    assert volume == {"name": "models", "emptyDir": {"sizeLimit": "1Gi"}}


def test_two_renderings_are_equal_so_that_argo_cd_sees_no_change():
    values = (*_ALL, "monitoring.serviceMonitor=true", "monitoring.rules=true")
    assert helm(*values).stdout == helm(*values).stdout


def test_the_service_has_annotations_and_a_class_of_load_balancers():
    values = ("service.type=LoadBalancer", "service.annotations.a=b", "service.loadBalancerClass=x", "jobs.enabled=true")
    objects = rendered(*values, "service.loadBalancerSourceRanges={10.0.0.0/8}", "service.externalTrafficPolicy=Local")
    service = objects["Service", "images-seedmint"]
    assert service["metadata"]["annotations"] == {"a": "b"}
    assert service["spec"]["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert (service["spec"]["loadBalancerClass"], service["spec"]["externalTrafficPolicy"]) == ("x", "Local")
    assert objects["Service", "images-seedmint-jobs"]["spec"]["type"] == "ClusterIP"
