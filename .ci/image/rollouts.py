"""Roll-outs under load: good and bad upgrades, a drain and a rollback lose no request, and no alert that pages is even pending.

python .ci/image/rollouts.py podman IMAGE

The pods are those of the Helm chart. A stand-in (cluster.py) takes the place of Kubernetes, because the build machine has no
API server. A real Prometheus scrapes the pods and evaluates deploy/watch/rules.yaml.
"""

import contextlib
import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml
from cluster import Deployment, Service, rendered
from image import Image, say

from tests.support.servers import free_port, kill, wait_until

REPLICAS = 2
_SLOW_CPUS = "0.4"


DIGEST = "97b749bd861e"


class Load:
    """Clients that request single images, half of them with one connection for each request.

    A client with a kept connection repeats a request once on a new connection, if the server has closed the old one (RFC 9112,
    9.3.1), or answers there with 503 and the reason "draining". A pod that leaves the Service gets no new connections.

    Attributes:
        answered: Number of images.
        repeated: Number of repeated requests.
        lost: The other outcomes.
    """

    def __init__(self, url: str) -> None:
        self.answered, self.repeated = 0, 0
        self.lost: list[str] = []
        self._address = urlsplit(url).netloc
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(6)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=20)
        while not self._stopped.wait(0.02):
            kept = keeps and connection.sock is not None
            outcome = self._outcome(connection)
            if kept and outcome in ("closed", "draining"):
                self.repeated += 1
                connection.close()
                outcome = self._outcome(connection)
            if outcome == "200":
                self.answered += 1
            else:
                self.lost.append(outcome)
            if not keeps or outcome != "200":
                connection.close()

    def _outcome(self, connection: http.client.HTTPConnection) -> str:
        try:
            connection.request("GET", f"/v1/models/mnist@{DIGEST}/images/{random.getrandbits(40)}.png")
            answer = connection.getresponse()
            body = answer.read()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            return "closed"
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        return json.loads(body)["reason"] if answer.status == 503 else str(answer.status)


@contextlib.contextmanager
def prometheus(work: Path, targets: Path) -> Iterator[str]:
    """Run Prometheus with the rules of the repository. Yields its URL."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(work / "rules.yaml")],
        "scrape_configs": [{"job_name": "seedmint", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}],
    }
    rules = yaml.safe_load(Path("deploy/watch/rules.yaml").read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
    (work / "rules.yaml").write_text(yaml.safe_dump(rules))
    (work / "prometheus.yaml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prometheus", "--config.file", str(work / "prometheus.yaml"), "--storage.tsdb.path", str(work / "data")]
    process = subprocess.Popen([*command, "--web.listen-address", url.removeprefix("http://"), "--log.level", "error"])
    try:
        yield url
    finally:
        kill(process)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/-/ready", timeout=5).status_code == 200
    return False


def query(url: str, text: str) -> list[dict[str, object]]:
    answer = httpx.get(f"{url}/api/v1/query", params={"query": text}, timeout=30)
    return list(answer.json()["data"]["result"])


def package(image: Image, work: Path, tag: str, *files: Path) -> str:
    """Make an image of generators, and return its name."""
    name = f"localhost/drill:{tag}"
    archive = work / f"{tag}.tar"
    command = [sys.executable, "-m", "seedmint", "package", *map(str, files), "--tag", name, "--out", str(archive)]
    subprocess.run(command, check=True, capture_output=True)
    image.call("load", "--input", str(archive))
    return name


def main() -> None:
    image = Image(*sys.argv[1:])
    if image.engine != "podman" or shutil.which("prometheus") is None:
        say("skipped: roll-outs, which need Podman and Prometheus")
        return
    work = Path(tempfile.mkdtemp(prefix="seedmint-rollouts-"))
    service = Service()
    deployment = Deployment(image, service, work / "targets.json")
    names: list[str] = []
    try:
        drill(image, work, deployment, names)
    finally:
        deployment.delete()
        service.close()
        for name in names:
            image.call("image", "rm", "--force", name)
        shutil.rmtree(work)


def drill(image: Image, work: Path, deployment: Deployment, names: list[str]) -> None:
    """Run all upgrades under load.

    Args:
        image: The image under test.
        work: Temporary directory.
        deployment: Has no pods yet.
        names: Gets the names of the images of generators.
    """
    models = Path("models").resolve()
    names.append(good := package(image, work, "good", models / "mnist.onnx", models / "digits.onnx"))
    names.append(empty := bad_image(image, work, "empty", None))
    broken_file = work / "mnist.onnx"
    broken_file.write_bytes((models / "mnist.onnx").read_bytes()[:100_000])
    names.append(broken := bad_image(image, work, "broken", broken_file))
    names.append(deep := bad_image(image, work, "deep", models / "mnist.onnx", "models/models/"))
    repository, _, tag = image.name.partition(":")
    base = [f"image.repository=localhost/{repository}", f"image.tag={tag}", "models.source=image", "serve.preStopSeconds=1"]
    base += ["serve.startupSeconds=60", "serve.settings.required_models=mnist"]

    def pod_spec(generators_image: str, *values: str) -> dict[str, object]:
        document = rendered(*base, f"models.image.reference={generators_image}", *values)
        assert document["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        return dict(document["spec"]["template"]["spec"])

    began = time.monotonic()
    deployment.install(pod_spec(good), REPLICAS)
    patience = min(15.0, 1 + 2 * (time.monotonic() - began))  # a good replica is ready earlier
    test_release(image, deployment, base, good)
    say(f"roll-outs: installed with {REPLICAS} replicas; the pod of `helm test` succeeds")

    with prometheus(work, work / "targets.json") as url:
        wait_until(lambda: _answers(url) and len(query(url, 'up{job="seedmint"} == 1')) == REPLICAS, 30)
        load = Load(deployment.service.url)
        try:
            before = list(deployment.pods)
            for title, reference in (("a broken generator", broken), ("no generator", empty), ("a folder too deep", deep)):
                assert not deployment.update(pod_spec(reference), patience)
                assert deployment.pods == before
                say(f"roll-outs: an upgrade to {title} stops, and the old replicas serve")

            with contextlib.suppress(subprocess.CalledProcessError):
                pod_spec(good, "serve.settings.max_bach=8")
                raise AssertionError("the chart accepts a misspelt setting")
            misspelt = pod_spec(good, "extraEnv[0].name=SEEDMINT_API_KEY_FILE", "extraEnv[0].value=/keys")
            assert not deployment.update(misspelt, patience)
            assert deployment.pods == before
            say("roll-outs: the chart refuses a misspelt setting, and a replica with one does not start")

            assert deployment.update(pod_spec(good, "serve.settings.max_batch=32"), 120, _SLOW_CPUS)
            assert not set(before) & set(deployment.pods)
            say(f"roll-outs: an upgrade whose replicas start slowly ({_SLOW_CPUS} processors) replaces all replicas")

            assert deployment.update(pod_spec(good), 60)  # the rollback, and the drain of each replica under load
            say("roll-outs: a rollback replaces all replicas")
        finally:
            load.stop()
        assert deployment.exit_codes == [0] * 2 * REPLICAS, deployment.exit_codes
        assert load.answered > 500, load.answered
        assert load.lost == [], load.lost
        paged = query(url, 'last_over_time(ALERTS{severity="page"}[1h])')
        assert paged == [], paged
    say(f"roll-outs: {load.answered} requests answered, none lost ({load.repeated} repeated on a new connection)")
    say("roll-outs: exit status 0 of each drained replica; no alert that pages was pending")


def bad_image(image: Image, work: Path, tag: str, file: Path | None, folder: str = "") -> str:
    """Make an image as an operator does by hand, with a file that `seedmint package` would refuse, and return its name."""
    context = work / tag
    context.mkdir()
    (context / "note.txt").write_text("generators of the drill\n")
    lines = ["FROM scratch", "COPY note.txt /"]
    if file is not None:
        shutil.copy(file, context / "mnist.onnx")
        lines.append(f"COPY mnist.onnx /{folder}")
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    name = f"localhost/drill:{tag}"
    image.call("build", "--quiet", "--tag", name, str(context))
    return name


def test_release(image: Image, deployment: Deployment, base: list[str], reference: str) -> None:
    """Run the command of the pod of `helm test` in a container, with the address of the stand-in of the Service."""
    values = (*base, f"models.image.reference={reference}")
    pod = rendered(*values, name="templates/tests/ready.yaml")
    (container,) = pod["spec"]["containers"]
    *command, address = container["args"]
    assert address.endswith("/readyz")
    url = f"{deployment.service.url}/readyz"
    assert image.call("run", "--rm", "--network", "host", image.name, *command, url) == "200"


if __name__ == "__main__":
    main()
