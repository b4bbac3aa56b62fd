"""A stand-in for the parts of Kubernetes in a roll-out, on one machine with Podman: pods, probes, a Deployment, a Service.

It runs the pods that the Helm chart renders, and follows Kubernetes in the order of events: a pod gets requests after its
readiness probe succeeds; a new pod replaces an old one only then; a deleted pod leaves the Service first, then runs preStop,
then gets SIGTERM, and SIGKILL after its grace period. A pod that exits, or that is not ready in time, is restarted.
"""

import contextlib
import json
import random
import select
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import yaml
from image import Image

from tests.support.servers import free_port

HELM = shutil.which("helm") or "build/tools/helm"


def rendered(*values: str, name: str = "templates/deployment.yaml") -> dict[str, Any]:
    """Return the object of one template of the chart.

    Args:
        values: Arguments of `--set`.
        name: The template.

    Raises:
        subprocess.CalledProcessError: The chart refuses the values; `stderr` has the reason.
    """
    command = [HELM, "template", "drill", "deploy/chart", "--show-only", name, *(f"--set={value}" for value in values)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (document,) = [one for one in yaml.safe_load_all(done.stdout) if one is not None]
    return dict(document)


class Pod:
    """A pod of one container."""

    def __init__(self, image: Image, spec: dict[str, Any], cpus: str = "1") -> None:
        """Start the container.

        Args:
            image: Its image and the container engine.
            spec: Specification of the pod.
            cpus: The processors that the container may use.
        """
        self.image = image
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.restarts = 0
        (container,) = spec["containers"]
        self.startup = int(container["startupProbe"]["failureThreshold"])
        self.grace = int(spec["terminationGracePeriodSeconds"])
        self.pre_stop = list(container["lifecycle"]["preStop"]["exec"]["command"])
        self._began = time.monotonic()
        self.id = image.call("run", "--detach", *self._options(spec, container, cpus), container["image"], *container["args"])

    def _options(self, spec: dict[str, Any], container: dict[str, Any], cpus: str) -> list[str]:
        user = spec["securityContext"]
        options = [*self.image.options, "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
        options += ["--user", f"{user['runAsUser']}:{user['runAsGroup']}", "--memory", "1g", "--cpus", cpus]
        options += ["--publish", f"127.0.0.1:{self.port}:{container['ports'][0]['containerPort']}"]
        for entry in container["env"]:
            options += ["--env", f"{entry['name']}={entry['value']}"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            if "emptyDir" in volume:
                options += ["--tmpfs", f"{mount['mountPath']}:mode=1777"]
            else:
                options += ["--mount", f"type=image,source={volume['image']['reference']},destination={mount['mountPath']}"]
        return options

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.image.call("inspect", self.id))[0]["State"])

    def get(self, path: str) -> int:
        """Return the status of a request, or 0 without a response."""
        try:
            return httpx.get(f"{self.url}{path}", timeout=2).status_code
        except httpx.TransportError:
            return 0

    def check(self) -> bool:
        """Return whether the pod is ready. Restart it as the kubelet does."""
        if self.get("/readyz") == 200:
            return True
        if self.state()["Status"] == "exited" or time.monotonic() - self._began > self.startup:
            self.restarts += 1
            self._began = time.monotonic()
            self.image.call("restart", "--time", "0", self.id)
        return False

    def delete(self) -> int:
        """Run preStop, stop the container, and return its exit status."""
        self.image.call("exec", self.id, *self.pre_stop)
        self.image.call("stop", "--time", str(self.grace), self.id)
        status = int(self.state()["ExitCode"])
        self.remove()
        return status

    def remove(self) -> None:
        self.image.call("rm", "--force", "--time", "0", self.id)


class Service:
    """A TCP proxy to the ready pods, for new connections. Open connections stay where they are, as with kube-proxy."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", random.choice(self.ports))) as pod:
            other = {client: pod, pod: client}
            while True:
                readable, _, _ = select.select([client, pod], [], [], 120)
                for end in readable:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    other[end].sendall(data)


class Deployment:
    """Pods of one specification, updated one by one: one more than the replicas, and never fewer ready pods."""

    def __init__(self, image: Image, service: Service, targets: Path) -> None:
        """
        Args:
            image: The image of the pods and the container engine.
            service: Gets the ready pods.
            targets: File of scrape targets of Prometheus, with all pods.
        """
        self.image, self.service, self._targets = image, service, targets
        self.pods: list[Pod] = []
        self.exit_codes: list[int] = []

    def publish(self, *pods: Pod) -> None:
        """Set the pods that get requests, and the scrape targets."""
        self.service.ports = [pod.port for pod in pods]
        addresses = [f"127.0.0.1:{pod.port}" for pod in self.pods]
        labels = {"namespace": "drill", "service": "drill-seedmint"}
        text = json.dumps([{"targets": addresses, "labels": labels}])
        temporary = self._targets.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self._targets)

    def install(self, spec: dict[str, Any], replicas: int) -> None:
        self.pods = [Pod(self.image, spec) for _ in range(replicas)]
        self._wait_for(self.pods, 90)
        self.publish(*self.pods)

    def update(self, spec: dict[str, Any], seconds: float, cpus: str = "1") -> bool:
        """Replace all pods.

        Args:
            spec: Specification of the new pods.
            seconds: Maximum time until a new pod is ready (progressDeadlineSeconds).
            cpus: Processors of each new pod.

        Returns:
            Whether all pods were replaced. If not, the old pods run, and the new pod is removed, as by a rollback.
        """
        for old in list(self.pods):
            new = Pod(self.image, spec, cpus)
            self.pods.append(new)
            serving = [pod for pod in self.pods if pod is not new]
            self.publish(*serving)
            if not self._wait_for([new], seconds):
                self.pods.remove(new)
                self.publish(*self.pods)
                new.remove()
                return False
            self.pods.remove(old)
            self.publish(*self.pods)
            self.exit_codes.append(old.delete())
        return True

    def _wait_for(self, pods: list[Pod], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while [pod for pod in pods if not pod.check()]:
            if time.monotonic() > end or any(pod.restarts > 2 for pod in pods):
                return False
            time.sleep(0.3)
        return True

    def delete(self) -> None:
        for pod in self.pods:
            pod.remove()
