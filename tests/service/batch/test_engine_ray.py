"""The Ray engine: a cluster of two nodes on this machine, one of which is killed; errors without Ray or a cluster."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from seedmint.models.directory import SHIPPED
from seedmint.models.errors import UserError
from seedmint.service.batch.progress import ignore_progress
from seedmint.service.runtime.generator import Generator, open_generator
from tests.support import generators
from tests.support.batch_jobs import (
    ROOT,
    batch_error,
    finished,
    hashes,
    num_generated,
    numbers_of_last_line,
    plan_for,
    start,
    whole,
)
from tests.support.servers import wait_until


def test_without_ray_the_error_names_the_engine(tmp_path: Path):
    program = "import sys; sys.modules['ray'] = None; from seedmint.cli import main; main(sys.argv[1:])"
    job = [
        sys.executable,
        "-c",
        program,
        "batch",
        "run",
        "digits",
        "--seeds",
        "0-9",
        "--engine",
        "ray",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: --engine: ")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_unreachable_cluster_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("RAY_ADDRESS", address)
    error = batch_error("run", "digits", "--seeds", "0-9", "--engine", "ray", "--out", tmp_path / "out")
    assert (error.reason, error.status) == ("cluster_unreachable", 1)
    assert address in str(error)


@pytest.mark.parametrize("kind", ["TimeoutError", "GetTimeoutError", "RaySystemError"])
@pytest.mark.parametrize("call", ["init", "put", "wait"])
def test_a_cluster_that_does_not_answer_is_an_error(
    tmp_path: Path, digits: Generator, kind: str, call: str, monkeypatch: pytest.MonkeyPatch
):
    import builtins

    import ray

    from seedmint.service.batch.engines import ray_cluster

    if kind == "TimeoutError" and call != "init":
        return
    error = getattr(ray.exceptions, kind, None) or getattr(builtins, kind)
    for name in ("init", "put", "wait", "shutdown"):
        monkeypatch.setattr(ray, name, lambda *_, **__: None)

    def fail(*_: object, **__: object) -> None:
        raise error("no answer")

    monkeypatch.setattr(ray, call, fail)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 1})
    monkeypatch.setattr(ray, "cancel", lambda _: None)
    monkeypatch.setattr(ray_cluster, "_make_shard_task", SimpleNamespace(remote=lambda *_: "task"))
    with pytest.raises(UserError) as found:
        ray_cluster.run([SHIPPED / "digits.onnx"], str(tmp_path), plan_for(digits), [0], 1, ignore_progress)
    assert found.value.reason == "cluster_unreachable"


@pytest.fixture(scope="module")
def digits() -> Generator:
    return open_generator(SHIPPED / "digits.onnx")


class TwoNodes:
    """A cluster of two nodes with one processor each; the first is the head. Tests kill their processes by pid."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._options = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=self._options)
        self.address = self.cluster.address
        self.second = self.cluster.add_node(**self._options)

    def complete(self) -> None:
        """Replace the second node if a test has killed it."""
        (raylet,) = self.second.all_processes["raylet"]
        if raylet.process.poll() is not None:
            self.cluster.remove_node(self.second)
            self.second = self.cluster.add_node(**self._options)

    def working(self, node: Any) -> list[psutil.Process]:
        """Return the processes of a node that make a shard."""
        (raylet,) = node.all_processes["raylet"]
        found = []
        for child in psutil.Process(raylet.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # the process has just ended
                if child.cmdline()[:1] == ["ray::_make_shard"]:
                    found.append(child)
        return found

    def kill(self, node: Any) -> None:
        """Kill all processes of a node with SIGKILL."""
        (raylet,) = node.all_processes["raylet"]
        processes = [*psutil.Process(raylet.process.pid).children(recursive=True), psutil.Process(raylet.process.pid)]
        for process in processes:
            process.kill()
        raylet.process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))  # Seedmint must be importable on the nodes
        nodes = TwoNodes()
    try:
        yield nodes
    finally:
        nodes.cluster.shutdown()


@pytest.fixture
def nodes(cluster: TwoNodes, monkeypatch: pytest.MonkeyPatch) -> TwoNodes:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    cluster.complete()
    return cluster


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_another_engine_resumes_a_job_that_was_stopped_or_failed(tmp_path: Path, nodes: TwoNodes):
    """A shard takes more than a second, so that no worker finishes a shard before it is stopped."""
    slow = generators.put(tmp_path / "slow.onnx", generators.content("slow", 5, idle_trips=50_000))
    expected = whole(tmp_path, open_generator(slow), "0-5999", "npz", 2000)
    out = tmp_path / "out"
    job = [slow, "--seeds", "0-5999", "--shard-size", "2000", "--format", "npz", "--out", out, "--engine"]
    process = start(*job, "ray")
    wait_until(lambda: nodes.working(nodes.second), 120)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert numbers_of_last_line(stderr) == [len(list((out / "records").glob("[0-9]*"))), 3]
    wait_until(lambda: not nodes.working(nodes.second))
    assert not [name for name in hashes(out) if Path(name).name.startswith(".")]

    stop = threading.Event()

    def kill_workers() -> None:
        while not stop.wait(0.02):
            for node in (nodes.cluster.head_node, nodes.second):
                for worker in nodes.working(node):
                    with suppress(psutil.NoSuchProcess):
                        worker.kill()

    killer = threading.Thread(target=kill_workers)
    killer.start()
    code, _, stderr = finished(*job, "ray", "--workers", "1")
    stop.set()
    killer.join()
    assert (code, stderr.count("\n")) == (1, 1), stderr
    assert re.match(r"Error: .*shard \d", stderr)

    assert finished(*job, "local", "--workers", "1")[0] == 0
    assert hashes(out) == expected


@pytest.mark.slow
def test_splits_weights_and_a_filter_give_the_same_bytes_on_ray(tmp_path: Path, nodes: TwoNodes):
    job = ["digits", "--split", "train=0-299", "--split", "test=400-499", "--labels", "3:2,7:1", "--filter", "margin > 0.5"]
    job += ["--shard-size", "80", "--format", "parquet"]
    for engine in ("local", "ray"):
        code, _, stderr = finished(*job, "--engine", engine, "--out", tmp_path / engine)
        assert code == 0, stderr
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "local")


@pytest.mark.slow
def test_a_killed_node_loses_no_shard(tmp_path: Path, slow: Path, nodes: TwoNodes):
    expected = whole(tmp_path, open_generator(slow), "0-14999", "webdataset", 1500)
    out = tmp_path / "out"
    job = [slow, "--seeds", "0-14999", "--shard-size", "1500", "--engine", "ray", "--out", out]
    process = start(*job)
    wait_until(lambda: len(list(out.glob("records/*.json"))) >= 2 and nodes.working(nodes.second), 120)
    nodes.kill(nodes.second)
    stdout, stderr = process.communicate(timeout=200)
    assert process.returncode == 0, stderr
    assert num_generated(stdout) == 15_000
    assert hashes(out) == expected
