"""The image in its container engine, and the checks that every container must pass."""

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

    def new_key(self, name: str, lines: Path) -> str:
        """A fresh API key, whose line is added to a file."""
        command = [self.engine, "run", "--rm", self.name, "seedmint", "keys", "new", name]
        made = subprocess.run(command, capture_output=True, check=True, text=True)
        with lines.open("a") as file:
            file.write(made.stdout)
        return next(word for word in made.stderr.split() if word.startswith("sm_"))


def check_hardening(image: Image, container: str, places: tuple[str, ...] = (*READ_ONLY, "/var/tmp")) -> None:
    status = dict(line.split(":", 1) for line in image.call("exec", container, "cat", "/proc/1/status").splitlines())
    assert status["Uid"].split() == status["Gid"].split() == [UID] * 4, status
    for capabilities in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, status
    assert status["NoNewPrivs"].strip() == "1"
    for place in places:
        image.call("exec", container, "touch", f"{place}/x", fails=True)
    say(f"user {UID}, no capability, no new privileges, the root file system and /models read-only")


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


def say(text: str) -> None:
    print(f"container: {text}", flush=True)
