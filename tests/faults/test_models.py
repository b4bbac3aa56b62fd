"""The models directory under load and with hostile files: no request is lost, and memory is released."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from onnx import helper

from seedmint.service.runtime.generator import open_generator
from tests.faults.conftest import RUN_IMAGES, RUN_TRIPS, Hold
from tests.support import generators, hostile_models
from tests.support.load import closed_loop
from tests.support.memory import Memory
from tests.support.servers import PATIENCE, Server, serving, wait_until

# The other kinds run until their time limit.
QUICK = [kind for kind in hostile_models.KINDS if not kind.endswith("-loop") and kind != "many-constants"]
FLAT_MIB = 64
MANY = 4


def _names(server: Server) -> list[str]:
    return [str(model["name"]) for model in server.client.get("/v1/models").json()["models"]]


def _attack(directory: Path, hold: Hold, kinds: list[str], new: list[str]) -> None:
    """Put some kinds into the directory as new files before the start, then each kind as a replacement of a valid file."""
    generators.write(directory, "good", 1)
    for kind in new:
        generators.put(directory / f"{kind}.onnx", hostile_models.content(kind, kind))
    with serving(directory) as server, Memory(server) as memory:
        for kind in new:
            server.wait_for_log("[ERROR]", f"{kind}.onnx")
        assert _names(server) == ["good"]
        memory.begin()
        before = server.client.get(f"{server.pinned('good')}/1.png").content
        for kind in kinds:
            generators.put(directory / "good.onnx", hostile_models.content(kind, "good"))
            seen = len(server.log)
            server.wait_for_log("[ERROR]", "good.onnx", start=seen)
            assert server.client.get(f"{server.pinned('good')}/1.png").content == before
        _settle(lambda: memory.last() <= FLAT_MIB)
        hold(f"{len(kinds)} hostile files: memory grown by", memory.last(), FLAT_MIB, "MiB")
        lines = sum("[ERROR]" in line for line in server.log)
        hold(f"{len(kinds)} hostile files: log lines per fault", lines / (len(new) + len(kinds)), 1, exactly=True)
        assert not [line for line in server.log if "Traceback" in line]


@pytest.mark.slow
@pytest.mark.fault("hostile files, new and as replacements")
def test_hostile_files_are_refused_and_the_valid_version_stays_in_service(tmp_path: Path, hold: Hold):
    _attack(tmp_path, hold, QUICK, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("hostile files, new and as replacements")
def test_endless_generators_are_terminated(tmp_path: Path, hold: Hold):
    _attack(tmp_path, hold, ["endless-loop"], [])


@contextmanager
def _requesting(server: Server, send: Callable[[httpx.Client], httpx.Response], clients: int) -> Iterator[list[httpx.Response]]:
    answers: list[httpx.Response] = []
    stop = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=server.url, follow_redirects=True, timeout=PATIENCE) as client:
            while not stop.is_set():
                answers.append(send(client))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
@pytest.mark.fault("generators added, replaced and removed under load")
def test_no_request_is_lost_while_generators_change(tmp_path: Path, hold: Hold):
    """Four files: clients request three of them while each is replaced; the fourth is removed and added again."""
    names = [f"g{i}" for i in range(MANY)]
    images: dict[str, set[bytes]] = {name: set() for name in names}

    def write(name: str, version: int) -> str:
        generator = open_generator(generators.write(tmp_path, name, 10 * version + int(name[1:])))
        images[name].add(generator.generate(np.array([7])).tobytes())
        return generator.digest

    for name in names:
        write(name, 0)
    numbers = itertools.count()

    def send(client: httpx.Client) -> httpx.Response:
        number = next(numbers)
        name = names[number % (MANY - 1)]
        if number % 2:
            return client.post("/v1/sample", json={"model": name, "seeds": [7], "format": "npy"})
        return client.get(f"/v1/models/{name}/images/7.npy")

    with serving(tmp_path) as server, _requesting(server, send, 4) as answers:
        for version in range(1, 5):
            (tmp_path / f"{names[-1]}.onnx").unlink()
            for name in names[:-1]:
                digest = write(name, version)
                wait_until(lambda name=name, digest=digest: server.digest(name) == digest)
            wait_until(lambda: names[-1] not in _names(server))
            write(names[-1], version)
            wait_until(lambda: names[-1] in _names(server))
    assert len(answers) > 100
    hold("requests lost", sum(answer.status_code != 200 for answer in answers), 0, exactly=True)
    images_received = {bytes(answer.content[128:]) for answer in answers}
    hold("images that no version generates", len(images_received - set.union(*images.values())), 0, exactly=True)
    assert len(images_received) > 2 * (MANY - 1)


@pytest.mark.slow
@pytest.mark.parametrize("present", [True, False], ids=["loaded at the start", "loaded later"])
@pytest.mark.fault("a generator of 100 MB is removed")
def test_memory_is_released_when_a_generator_is_removed(tmp_path: Path, hold: Hold, present: bool):
    generators.write(tmp_path, "small", 1)
    big = tmp_path / "big.onnx"
    if present:
        generators.put(big, _heavy("big"))
    with serving(tmp_path) as server, Memory(server) as memory:
        if not present:
            time.sleep(1)
            memory.begin()
            generators.put(big, _heavy("big"))
        wait_until(lambda: "big" in _names(server))
        path = server.pinned("big")
        for seed in range(20):
            assert server.client.get(f"{path}/{seed}.png").status_code == 200
        if present:
            time.sleep(1)
            memory.begin()
        big.unlink()
        wait_until(lambda: "big" not in _names(server))
        assert server.client.get(f"{path}/99.png").status_code == 200  # for clients that were just redirected
        wait_until(lambda: server.client.get(f"{path}/99.png").status_code == 404)
        weights = 98 if present else 0
        _settle(lambda: weights + memory.last() <= 20)
        if present:
            hold("loaded at the start: memory kept of 98 MiB of weights", weights + memory.last(), 20, "MiB")
        else:
            hold("loaded later: memory more than before", memory.last(), 20, "MiB")


def _settle(is_released: Callable[[], bool]) -> None:
    """Wait until the server has returned memory to the system, which it does in the seconds after a change, or for a minute."""
    end = time.monotonic() + 60
    while not is_released() and time.monotonic() < end:
        time.sleep(0.1)


def _heavy(name: str) -> bytes:
    """Return a generator with 98 MiB of weights: two layers, 32 to 400,000 and back."""
    model = generators.model(generators.card(name), 1)
    tanh = next(node for node in model.graph.node if node.op_type == "Tanh")
    layer = tanh.input[0]
    tanh.input[0] = "narrow"
    index = list(model.graph.node).index(tanh)
    model.graph.node.insert(index, helper.make_node("MatMul", ["wide", "down"], ["narrow"]))
    model.graph.node.insert(index, helper.make_node("MatMul", [layer, "up"], ["wide"]))
    random = np.random.RandomState(0)
    for key, shape in {"up": (32, 400_000), "down": (400_000, 32)}.items():
        weights = (random.randn(*shape) / 1000).astype(np.float32)
        model.graph.initializer.append(helper.make_tensor(key, 1, shape, weights.tobytes(), raw=True))
    return bytes(model.SerializeToString())


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.fault("a slow generator beside a fast one")
def test_slow_generator_does_not_starve_others(tmp_path: Path, hold: Hold):
    """One client requests the fast generator: alone, and while 64 clients keep the slow generator busy."""
    generators.write(tmp_path, "slow", 1, idle_trips=8 * RUN_TRIPS)
    generators.write(tmp_path, "fast", 2)
    with serving(tmp_path, max_batch=RUN_IMAGES, max_wait_seconds=60) as server:
        slow, fast = (f"{server.url}{server.pinned(name)}" for name in ("slow", "fast"))
        with closed_loop(lambda n: f"{fast}/{n}.png", 1) as alone:
            time.sleep(3)
        with closed_loop(lambda n: f"{slow}/{n}.png", 64) as crowd, closed_loop(lambda n: f"{fast}/{n}.png", 1) as beside:
            time.sleep(8)
        assert set(beside.statuses()) == {200}
        assert crowd.statuses()[200] > 0
        hold("median of the fast generator, alone", 1000 * alone.quantile(0.5), 1000, "ms")
        hold(
            "median of the fast generator, beside the slow generator",
            1000 * beside.quantile(0.5),
            4000 * alone.quantile(0.5),
            "ms",
        )
        hold("99th percentile of the fast generator, beside the slow generator", 1000 * beside.quantile(0.99), 250, "ms")
