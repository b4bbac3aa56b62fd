"""Run the image with restricted privileges and check it from outside. Stops at the first failed check.

python .ci/image/container.py docker|podman IMAGE
"""

import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from deployments import check_batch, check_chart, check_compose, check_object_store, check_package
from image import HARDENED, READY_SECONDS, Image, check_hardening, check_images, say

from seedmint.models.directory import SHIPPED

MAX_MEGABYTES = 450


def main() -> None:
    image = Image(*sys.argv[1:])
    work = Path(tempfile.mkdtemp(prefix="seedmint-container-"))
    work.chmod(0o755)
    try:
        check_content(image)
        check_service(image, work)
        check_stop(image)
        check_early_stop(image)
        check_package(image, work)
        check_batch(image, work)
        check_object_store(image)
        check_compose(image, work)
        if image.engine == "podman":
            check_chart(image, work)
        else:
            say("skipped: the pod of the Helm chart, which needs `podman kube play`")
    finally:
        shutil.rmtree(work)


def check_content(image: Image) -> None:
    whole = int(image.call("image", "inspect", "--format", "{{.Size}}", image.name)) / 1e6
    assert whole <= MAX_MEGABYTES, whole
    labels = json.loads(image.call("image", "inspect", "--format", "{{json .Config.Labels}}", image.name))
    assert labels["org.opencontainers.image.title"] == "seedmint", labels
    assert len(labels["org.opencontainers.image.revision"]) == 40, labels
    check_equal_builds(image)
    installed = image.call("run", "--rm", image.name, "ls", "-1", "/opt/seedmint/lib/python3.11/site-packages").splitlines()
    assert "onnxruntime" in installed
    assert not {"torch", "pip", "setuptools"} & set(installed)
    image.call("run", "--rm", image.name, "sh", "-c", "command -v gcc || command -v cc", fails=True)
    packages = sum(name.endswith(".dist-info") for name in installed)
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert image.call("run", "--rm", image.name, "seedmint", "--version") == f"seedmint, version {version}"
    say(f"image {version}: {whole:.0f} MB, {packages} packages, no torch, no compiler")


def check_equal_builds(image: Image) -> None:
    """Compare the layers with those of the second build, which .ci/image/build has made without a cache."""
    again = os.environ.get("SECOND_BUILD")
    if again is None:
        say("skipped: a second build; only Podman sets the times of all files")
        return
    layers, others = (
        json.loads(image.call("image", "inspect", "--format", "{{json .RootFS.Layers}}", name)) for name in (image.name, again)
    )
    assert layers == others, (layers, others)
    say(f"a second build without a cache has the same {len(layers)} layers")


def check_service(image: Image, work: Path) -> None:
    models, secrets = work / "models", work / "secrets"
    models.mkdir()
    secrets.mkdir()
    shutil.copy(SHIPPED / "mnist.onnx", models)
    key = image.new_key("ci", secrets / "keys")

    volumes = ("--volume", f"{models}:/models:ro", "--volume", f"{secrets}:/run/secrets:ro")
    began = time.monotonic()
    with image.started(*volumes, "--env", "SEEDMINT_API_KEYS_FILE=/run/secrets/keys") as (container, client):
        say(f"ready after {time.monotonic() - began:.1f} s")
        check_hardening(image, container)

        assert client.get("/livez").status_code == 200
        assert client.get("/v1/models").status_code == 401
        client.headers["Authorization"] = f"Bearer {key}"
        assert [model["name"] for model in client.get("/v1/models").json()["models"]] == ["mnist"]
        check_images(client)

        shutil.copy(SHIPPED / "digits.onnx", work)
        (work / "digits.onnx").rename(models / "digits.onnx")
        end = time.monotonic() + 20
        while client.get("/v1/models/digits").status_code != 200:
            assert time.monotonic() < end, "a new generator on the volume is not served"
            time.sleep(0.1)
        say("a new generator on the volume is served")

        image.call("healthcheck", "run", container) if image.engine == "podman" else wait_for_docker_health(image, container)
        metrics = client.get("/metrics").text
        for line in (
            r"seedmint_memory_limit_bytes 1\.073741824e\+09",
            "seedmint_memory_working_set_bytes ",
            r'seedmint_images_total\{.*format="npy",model="mnist"\} 1\.0',
            r'seedmint_http_requests_rejected_total\{reason="no_key"\} 1\.0',
        ):
            assert re.search(f"^{line}", metrics, re.MULTILINE), metrics
        say("probes, API key, images, bulk images, metrics and health check are correct")

        image.call("exec", container, "python", "-c", KILL_THE_WORKER)
        time.sleep(1)
        image.wait_until_ready(container, client)
        check_images(client)
        say("the supervisor has replaced a killed worker")


# The supervisor is process 1. The worker is its child process with "service" in its command line.
KILL_THE_WORKER = """
import os, psutil, signal
(worker,) = [child for child in psutil.Process(1).children() if "service" in " ".join(child.cmdline())]
os.kill(worker.pid, signal.SIGKILL)
"""


def wait_for_docker_health(image: Image, container: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while image.call("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert time.monotonic() < end
        time.sleep(0.5)


def check_early_stop(image: Image) -> None:
    """SIGTERM in the first seconds of a slow start ends the container with status 0."""
    for seconds in (0, 0.3, 1, 3):
        container = image.call("run", "--detach", *HARDENED, *image.options, "--cpus", "0.25", image.name)
        try:
            time.sleep(seconds)
            image.call("kill", "--signal", "TERM", container)
            began = time.monotonic()
            code = image.call("wait", container)
            assert code == "0", (seconds, code, image.call("logs", container))
            assert time.monotonic() - began < 20, seconds  # SIGKILL would follow after 30 s
        finally:
            image.call("rm", "--force", container)
    say("SIGTERM in the first seconds of a start with a quarter of a processor: exit code 0")


def check_stop(image: Image) -> None:
    """SIGTERM during a large response: the response is complete, and the exit status of the container is 0."""
    with image.started() as (container, client), ThreadPoolExecutor() as pool:
        seeds = 20_000
        answer = pool.submit(client.post, "/v1/sample", json={"model": "mnist-paper", "seeds": f"0-{seeds - 1}"})
        while 'seedmint_bulk_requests_in_flight{model="mnist-paper"} 1.0' not in httpx.get(f"{client.base_url}/metrics").text:
            assert not answer.done()
            time.sleep(0.05)
        began = time.monotonic()
        image.call("stop", "--time", "30", container)
        seconds = time.monotonic() - began
        done = answer.result()
        assert done.status_code == 200
        with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
            assert len(archive.namelist()) == seeds
            assert archive.testzip() is None
        code = json.loads(image.call("inspect", container))[0]["State"]["ExitCode"]
        assert code == 0, image.call("logs", container)
        say(f"stopped after {seconds:.1f} s with exit code {code}; the response of {seeds} images in flight was complete")


if __name__ == "__main__":
    main()
