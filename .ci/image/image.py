"""Runs the image in a container engine; checks of every container."""

import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

from seedmint.models.directory import SHIPPED
from tests.support.servers import free_port

UID = "10001"
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--memory", "1g", "--pids-limit", "256"),
)
READY_SECONDS = 60
READ_ONLY = ("/opt/seedmint", "/models", "/etc", "/root")


class Image:
    """An image and its container engine."""

    def __init__(self, engine: str, name: str) -> None:
        """
        Args:
            engine: "docker" or "podman".
            name: Name of the image.
        """
        self.engine = engine
        self.name = name
        # By default, Podman makes /run and /var/tmp writable, and needs systemd to run health checks. The checks of the service
        # run the health check explicitly.
        self.options = ("--read-only-tmpfs=false", "--health-interval", "disable") if engine == "podman" else ()

    def call(self, *arguments: str, fails: bool = False) -> str:
        """Run a command of the engine.

        Args:
            arguments: The command.
            fails: The command must fail.

        Returns:
            Standard output, or standard error of a command that must fail.
        """
        done = subprocess.run([self.engine, *arguments], capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, (
            f"{self.engine} {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return (done.stderr if fails else done.stdout).strip()

    @contextlib.contextmanager
    def started(self, *options: str) -> Iterator[tuple[str, httpx.Client]]:
        """Start a hardened container, and wait until the service is ready. Yields the id of the container and a client."""
        port = free_port()
        container = self.call(
            "run", "--detach", "--publish", f"127.0.0.1:{port}:3000", *HARDENED, *self.options, *options, self.name
        )
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

    def new_key(self, name: str, lines: Path) -> str:
        """Create an API key, append its line to the file `lines`, and return the key."""
        command = [self.engine, "run", "--rm", self.name, "seedmint", "keys", "new", name]
        created = subprocess.run(command, capture_output=True, check=True, text=True)
        with lines.open("a") as file:
            file.write(created.stdout)
        return next(word for word in created.stderr.split() if word.startswith("sm_"))


def check_hardening(image: Image, container: str, read_only: tuple[str, ...] = (*READ_ONLY, "/var/tmp")) -> None:
    """Check the user, the capabilities and the read-only directories of a container."""
    status = dict(line.split(":", 1) for line in image.call("exec", container, "cat", "/proc/1/status").splitlines())
    assert status["Uid"].split() == status["Gid"].split() == [UID] * 4, status
    for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, status
    assert status["NoNewPrivs"].strip() == "1"
    for directory in read_only:
        image.call("exec", container, "touch", f"{directory}/x", fails=True)
    say(f"user {UID}, no capabilities, no new privileges, read-only root file system and /models")


def check_images(client: httpx.Client) -> None:
    """Compare the images of a service with the images that this source tree generates on this machine."""
    expected = local_samples("mnist", "0-999")
    answer = client.get("/v1/models/mnist/images/42.npy")
    assert "immutable" in answer.headers["cache-control"]
    assert np.array_equal(np.load(io.BytesIO(answer.content)), expected["images"][42])
    bulk = client.post("/v1/sample", json={"model": "mnist", "seeds": "0-999", "format": "npz"})
    with np.load(io.BytesIO(bulk.content)) as arrays:
        assert np.array_equal(arrays["images"], expected["images"])
        assert np.array_equal(arrays["labels"], expected["labels"])


def local_samples(model: str, seeds: str) -> dict[str, np.ndarray]:
    """Generate samples with this source tree, and return the arrays of the npz file."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "samples.npz")
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


def say(text: str) -> None:
    print(f"container: {text}", flush=True)
