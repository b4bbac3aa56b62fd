"""Run the image as an operator would, hardened, and call it from outside. Fails at the first thing that is not as promised.

python .ci/container.py docker|podman IMAGE
"""

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from models.directory import SHIPPED

UID = "10001"
MOST_MEGABYTES = 370  # on top of the base image, whose Python on Debian takes 125 to 150
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", "1g", "--pids-limit", "256"),
)
READY_SECONDS = 60
HELM = shutil.which("helm") or Path("build/tools/helm")


class Image:
    """An image and the engine that runs it."""

    def __init__(self, engine: str, name: str) -> None:
        self.engine = engine
        self.name = name

    def call(self, *arguments: str, fails: bool = False) -> str:
        """What the engine prints. A command that must fail gives its errors."""
        done = subprocess.run([self.engine, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, (
            f"{self.engine} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return (done.stderr if fails else done.stdout).strip()

    @contextlib.contextmanager
    def started(self, *options: str) -> Iterator[tuple[str, httpx.Client]]:
        """A hardened container that is ready: its id, and a client."""
        port = free_port()
        # Podman would make /run and /var/tmp writable. And it leaves the clock of health checks to systemd, which may not be
        # there: the check is run by hand below.
        own = ("--read-only-tmpfs=false", "--health-interval", "disable") if self.engine == "podman" else ()
        container = self.call("run", "--detach", "--publish", f"127.0.0.1:{port}:3000", *HARDENED, *own, *options, self.name)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, follow_redirects=True) as client:
                self.wait_until_ready(container, client)
                yield container, client
        finally:
            self.call("rm", "--force", container)

    def wait_until_ready(self, container: str, client: httpx.Client) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"not ready within {READY_SECONDS} s:\n{self.call('logs', container)}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    image = Image(*sys.argv[1:])
    work = Path(tempfile.mkdtemp(prefix="seedmint-container-"))
    work.chmod(0o755)
    try:
        check_content(image)
        check_service(image, work)
        check_stop(image)
        check_batch(image, work)
        if image.engine == "podman":
            check_chart(image, work)
    finally:
        shutil.rmtree(work)


def check_content(image: Image) -> None:
    whole, base = (
        int(image.call("image", "inspect", "--format", "{{.Size}}", name)) / 1e6
        for name in (image.name, os.environ["BASE_IMAGE"])
    )
    assert whole - base <= MOST_MEGABYTES, (whole, base)
    installed = image.call("run", "--rm", image.name, "ls", "-1", "/opt/seedmint/lib/python3.11/site-packages").splitlines()
    assert "onnxruntime" in installed
    assert not {"torch", "pip", "setuptools"} & set(installed)
    image.call("run", "--rm", image.name, "sh", "-c", "command -v gcc || command -v cc", fails=True)
    packages = sum(one.endswith(".dist-info") for one in installed)
    say(f"image: {whole:.0f} MB, of which the base image {base:.0f}; {packages} packages, no torch, no compiler")


def check_service(image: Image, work: Path) -> None:
    models, secrets = work / "models", work / "secrets"
    models.mkdir()
    secrets.mkdir()
    shutil.copy(SHIPPED / "mnist.onnx", models)
    made = subprocess.run(
        [image.engine, "run", "--rm", image.name, "seedmint", "keys", "new", "ci"], capture_output=True, check=True, text=True
    )
    key = next(word for word in made.stderr.split() if word.startswith("sm_"))
    (secrets / "keys").write_text(made.stdout)

    volumes = ("--volume", f"{models}:/models:ro", "--volume", f"{secrets}:/run/secrets:ro")
    began = time.monotonic()
    with image.started(*volumes, "--env", "SEEDMINT_API_KEYS_FILE=/run/secrets/keys") as (container, client):
        say(f"ready after {time.monotonic() - began:.1f} s")
        check_hardening(image, container)

        assert client.get("/livez").status_code == 200
        assert client.get("/v1/models").status_code == 401
        client.headers["Authorization"] = f"Bearer {key}"
        assert [one["name"] for one in client.get("/v1/models").json()["models"]] == ["mnist"]
        check_images(client)

        shutil.copy(SHIPPED / "digits.onnx", work)
        (work / "digits.onnx").rename(models / "digits.onnx")
        end = time.monotonic() + 20
        while client.get("/v1/models/digits").status_code != 200:
            assert time.monotonic() < end, "a generator that was added to the volume is not served"
            time.sleep(0.1)
        say("a generator added to the volume is served")

        image.call("healthcheck", "run", container) if image.engine == "podman" else wait_for_docker_health(image, container)
        metrics = client.get("/metrics").text
        for line in (
            "seedmint_memory_limit_bytes 1.073741824e+09",
            'seedmint_images_total{format="npy",model="mnist"} 1.0',
            'seedmint_rejected_total{reason="no_key"} 1.0',
        ):
            assert line in metrics, metrics
        say("probes, key, image, bulk, metrics, health check: as promised")

        image.call("exec", container, "python", "-c", KILL_THE_WORKER)
        time.sleep(1)
        image.wait_until_ready(container, client)
        check_images(client)
        say("a worker that was killed is there again")


def check_hardening(image: Image, container: str) -> None:
    status = dict(line.split(":", 1) for line in image.call("exec", container, "cat", "/proc/1/status").splitlines())
    assert status["Uid"].split() == status["Gid"].split() == [UID] * 4, status
    for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, status
    assert status["NoNewPrivs"].strip() == "1"
    for place in ("/opt/seedmint", "/models", "/etc", "/root", "/var/tmp"):
        image.call("exec", container, "touch", f"{place}/x", fails=True)
    say(f"user {UID}, no capability, no new privileges, the root file system and /models read-only")


# The supervisor is process 1, and the worker its child that opens the service.
KILL_THE_WORKER = """
import os, psutil, signal
(worker,) = [one for one in psutil.Process(1).children() if "service" in " ".join(one.cmdline())]
os.kill(worker.pid, signal.SIGKILL)
"""


def wait_for_docker_health(image: Image, container: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while image.call("inspect", "--format", "{{.State.Health.Status}}", container) != "healthy":
        assert time.monotonic() < end
        time.sleep(0.5)


def check_images(client: httpx.Client) -> None:
    """Against the arrays that this repository's own code makes here."""
    expected = made_here("mnist", "0-999")
    answer = client.get("/v1/models/mnist/images/42.npy")
    assert "immutable" in answer.headers["cache-control"]
    assert np.array_equal(np.load(io.BytesIO(answer.content)), expected["images"][42])
    bulk = client.post("/v1/sample", json={"model": "mnist", "seeds": "0-999", "format": "npz"})
    with np.load(io.BytesIO(bulk.content)) as arrays:
        assert np.array_equal(arrays["images"], expected["images"])
        assert np.array_equal(arrays["labels"], expected["labels"])


def made_here(model: str, seeds: str) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "made.npz")
        command = [
            sys.executable,
            "-m",
            "seedmint",
            "sample",
            model,
            "--models",
            str(SHIPPED),
            "--seeds",
            seeds,
            "--out",
            str(out),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with np.load(out) as arrays:
            return dict(arrays)


def check_stop(image: Image) -> None:
    """SIGTERM while a large answer is under way: it is finished, and the container ends with status 0."""
    with image.started() as (container, client), ThreadPoolExecutor() as pool:
        seeds = 20_000
        answer = pool.submit(client.post, "/v1/sample", json={"model": "mnist-paper", "seeds": f"0-{seeds - 1}"})
        while 'seedmint_bulk_requests{model="mnist-paper"} 1.0' not in httpx.get(f"{client.base_url}/metrics").text:
            assert not answer.done()
            time.sleep(0.05)
        began = time.monotonic()
        image.call("stop", "--time", "30", container)
        took = time.monotonic() - began
        done = answer.result()
        assert done.status_code == 200
        with zipfile.ZipFile(io.BytesIO(done.content)) as archive:
            assert len(archive.namelist()) == seeds
            assert archive.testzip() is None
        code = json.loads(image.call("inspect", container))[0]["State"]["ExitCode"]
        assert code == 0, image.call("logs", container)
        say(f"stopped within {took:.1f} s, exit code {code}, the {seeds} images under way came whole")


def check_batch(image: Image, work: Path) -> None:
    """A job in the same image, with the same hardening: begun by one container, verified by another."""
    out = work / "out"
    out.mkdir()
    out.chmod(0o777)
    job = ("seedmint", "batch", "mnist", "--out", "/out/digits")
    make = ("--seeds", "0-999", "--shard-size", "250", "--format")
    for arguments in ((*make, "npz"), ("--verify",)):
        image.call("run", "--rm", *HARDENED, "--volume", f"{out}:/out", image.name, *job, *arguments)
    shards = sorted((out / "digits").rglob("*.npz"))
    assert len(shards) == 4, shards
    images = np.concatenate([np.load(shard)["images"] for shard in shards])
    assert np.array_equal(images, made_here("mnist", "0-999")["images"])
    image.call("run", "--rm", *HARDENED, "--volume", f"{out}:/out", image.name, *job[:-1], "/out/table", *make, "parquet")
    say("a batch job in the same image: the same images, verified; and Parquet")


def check_chart(image: Image, work: Path) -> None:
    """The pod that the Helm chart renders runs as it is written. (Podman takes no second replica on one machine.)"""
    repository, _, tag = image.name.partition(":")
    values = (f"image.repository=localhost/{repository}", f"image.tag={tag}", "serve.replicas=1")
    pod = work / "pod.yaml"
    render = [str(HELM), "template", "seedmint", "deploy/chart", "--show-only", "templates/deployment.yaml"]
    rendered = subprocess.run([*render, *(f"--set={one}" for one in values)], check=True, capture_output=True, text=True).stdout
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
    say("the pod of the Helm chart runs, as hardened as the container")


def say(text: str) -> None:
    print(f"container: {text}", flush=True)


if __name__ == "__main__":
    main()
