"""Checks of the deployments of the image: a batch job, compose.yaml, the pod of the Helm chart."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import httpx
import numpy as np
from image import HARDENED, READ_ONLY, Image, check_hardening, check_images, local_samples, say

from tests.support.servers import free_port, wait_until

HELM = shutil.which("helm") or Path("build/tools/helm")
_USER = 4321  # owner of the output folder if this program runs as root
_RUN = ("seedmint", "batch", "run", "mnist", "--out")
_VERIFY = ("seedmint", "batch", "verify")
_MAKE = ("--seeds", "0-999", "--shard-size", "250", "--format")


def check_batch(image: Image, work: Path) -> None:
    """Run a batch job in a hardened container, and verify it in another container."""
    out = work / "out"
    out.mkdir()
    user = _USER if os.getuid() == 0 else os.getuid()
    os.chown(out, user, user)
    options = (*HARDENED, "--user", f"{user}:{user}", "--volume", f"{out}:/out")
    if image.engine == "podman" and os.getuid() != 0:
        options += ("--userns", "keep-id")
    for command in ((*_RUN, "/out/digits", *_MAKE, "npz"), (*_VERIFY, "/out/digits")):
        image.call("run", "--rm", *options, image.name, *command)
    shards = sorted((out / "digits").rglob("*.npz"))
    assert len(shards) == 4, shards
    assert {shard.stat().st_uid for shard in shards} == {user}
    images = np.concatenate([np.load(shard)["images"] for shard in shards])
    assert np.array_equal(images, local_samples("mnist", "0-999")["images"])
    for command in ((*_RUN, "/out/table", *_MAKE, "parquet"), (*_VERIFY, "/out/table")):
        image.call("run", "--rm", *options, image.name, *command)
    say("batch jobs with npz and Parquet: equal images, verified; the files belong to the user of the container")

    volume = image.call("volume", "create")
    try:
        image.call("run", "--rm", *HARDENED, "--volume", f"{volume}:/out", image.name, *_RUN, "/out/digits", *_MAKE, "npz")
    finally:
        image.call("volume", "rm", volume)
    say("a batch job writes to a new volume")


def check_object_store(image: Image) -> None:
    """Run and verify a batch job with an output on S3."""
    with _s3() as url:
        secrets = {"AWS_ACCESS_KEY_ID": "ci", "AWS_SECRET_ACCESS_KEY": "ci", "AWS_ENDPOINT_URL": url}
        variables = [part for name, value in secrets.items() for part in ("--env", f"{name}={value}")]
        out = "s3://made/digits"
        for command in ((*_RUN, out, *_MAKE, "npz"), (*_VERIFY, out)):
            image.call("run", "--rm", "--network", "host", *HARDENED, *variables, image.name, *command)
    say("a batch job writes to an object store; verified")


@contextmanager
def _s3() -> Iterator[str]:
    """Run an S3 server with the bucket `made`. Yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_server", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port), 30)
        access = {"aws_access_key_id": "ci", "aws_secret_access_key": "ci"}
        boto3.client("s3", endpoint_url=url, region_name="us-east-1", **access).create_bucket(Bucket="made")
        yield url
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def check_package(image: Image, work: Path) -> None:
    """Pack generators into an OCI image, mount it, and serve its generators; copy them with an init container's command."""
    archive, tag = work / "generators.tar", "localhost/seedmint-generators:ci"
    command = [sys.executable, "-m", "seedmint", "package", "mnist", "digits", "--tag", tag, "--out", str(archive)]
    named = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert named.startswith(f"{tag}@sha256:"), named
    if image.engine != "podman":
        say("skipped: the mount of an image of generators, which needs Podman")
        return
    image.call("load", "--input", str(archive))
    try:
        labels = image.call("image", "inspect", "--format", '{{index .Labels "seedmint.generators"}}', tag)
        assert "mnist.onnx" in labels, labels
        with image.started("--mount", f"type=image,source={tag},destination=/models") as (_, client):
            assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["digits", "mnist"]
            check_images(client)
    finally:
        image.call("image", "rm", tag)
    say("`seedmint package`: the image of generators is mounted, and its generators are served")


def check_compose(image: Image, work: Path) -> None:
    """Run the service of compose.yaml with settings and keys from files, and request a data set over HTTP."""
    folder = work / "compose"
    folder.mkdir()
    keys, settings = folder / "keys", folder / "settings.env"
    key = image.new_key("compose", keys)
    settings.write_text("SEEDMINT_JOBS_URL=/jobs\nSEEDMINT_MAX_SEEDS=100\n")
    port = free_port()
    variables = {
        "SEEDMINT_IMAGE": image.name if image.engine == "docker" else f"localhost/{image.name}",
        "SEEDMINT_PUBLISH": f"127.0.0.1:{port}",
        "SEEDMINT_ENV_FILE": str(settings),
        "SEEDMINT_KEYS": str(keys),
        "PROMETHEUS_KEY": os.devnull,
        "GRAFANA_PASSWORD": "unused",
    }
    compose = ["docker", "compose"] if image.engine == "docker" else ["build/tools/compose/bin/podman-compose"]
    compose += ["--project-name", "seedmint-ci", "--file", "deploy/compose.yaml", "--file", "deploy/compose.keys.yaml"]

    def call(*arguments: str) -> str:
        done = subprocess.run([*compose, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    call("up", "--detach", "seedmint")
    try:
        container = image.call("ps", "--quiet", "--filter", "name=seedmint-ci.seedmint")
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as client:
            image.wait_until_ready(container, client)
            check_hardening(image, container, READ_ONLY)  # in Podman, /var/tmp is writable
            assert client.get("/v1/models").status_code == 401
            client.headers["Authorization"] = f"Bearer {key}"
            assert client.post("/v1/sample", json={"model": "mnist", "seeds": "0-100"}).status_code == 413
            job = client.post("/v1/jobs", json={"model": "mnist", "seeds": "0-999", "format": "npz"}).json()
            wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["state"] == "done", 60)
    finally:
        call("down", "--volumes")
    say("the service of compose.yaml reads settings and keys from files, and writes a data set to its volume")


def check_chart(image: Image, work: Path) -> None:
    """Run the pod that the Helm chart renders, with one replica: Podman cannot run a second replica on one machine."""
    repository, _, tag = image.name.partition(":")
    values = (f"image.repository=localhost/{repository}", f"image.tag={tag}", "replicaCount=1")
    pod = work / "pod.yaml"
    render = [str(HELM), "template", "seedmint", "deploy/chart", "--show-only", "templates/deployment.yaml"]
    rendered = subprocess.run(
        [*render, *(f"--set={value}" for value in values)], check=True, capture_output=True, text=True
    ).stdout
    port = free_port()
    pod.write_text(rendered.replace("containerPort: 3000", f"containerPort: 3000\n              hostPort: {port}"))
    image.call("kube", "play", str(pod))
    try:
        container = "seedmint-pod-0-seedmint"
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, follow_redirects=True) as client:
            image.wait_until_ready(container, client)
            check_images(client)
        check_hardening(image, container)
    finally:
        image.call("kube", "down", str(pod))
    say("the pod of the Helm chart runs, with the same hardening as the container")
