"""No command connects to a foreign host, and none writes below $HOME."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from seedmint.service.server.api_keys import new_signing_key
from tests.support import generators
from tests.support.batch_jobs import ROOT
from tests.support.servers import free_port, kill, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]

# System calls that reach another host. A name lookup is one too: it connects to a name server, or sends to it.
_ADDRESS = re.compile(r'(?:connect|sendto|sendmsg|sendmmsg)\(.*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")')
_LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.|0\.0\.0\.0$|::$")
# The font list of Matplotlib, which training and evaluation draw plots with; and packed images in SEEDMINT_CACHE.
_ALLOWED = (".cache/matplotlib/", ".cache/seedmint/packs/")
_SERVE_SECONDS = 15.0  # ONNX Runtime's telemetry begins within seconds of the first session
_LIMIT_SECONDS = 250


def traced(home: Path, trace: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment of a command below strace."""
    hidden = ("XDG_", "SEEDMINT_", "BENTOML_", "PROMETHEUS_", "ORT_", "MPL", "DO_NOT_TRACK")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {"HOME": str(home)}
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    # With a seccomp filter, only the traced calls stop the process.
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", calls, "-s", "100", "-o", str(trace)]
    return [*strace, sys.executable, "-m", "seedmint", *arguments], environment


def foreign_hosts(trace: Path) -> set[str]:
    found = {ipv4 or ipv6 for ipv4, ipv6 in _ADDRESS.findall(trace.read_text(errors="replace"))}
    return {host for host in found if not _LOOPBACK.match(host)}


def written(home: Path) -> list[str]:
    files = (str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return [file for file in files if not file.startswith(_ALLOWED)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    return directory


def check_command(place: Path, home: Path, *arguments: str) -> None:
    """Run a command in a folder, and check that it is silent."""
    command, environment = traced(home, place / "trace", *arguments)
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, timeout=_LIMIT_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert foreign_hosts(place / "trace") == set()
    assert written(home) == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command `train`, which was silent."""
    place = tmp_path_factory.mktemp("train")
    check_command(place, tmp_path_factory.mktemp("home"), "train", "digits", "--set", "steps=20", "--out", str(place / "run"))
    return place / "run"


def foreign_graph(directory: Path) -> str:
    """An ONNX file of another exporter, for `models add`."""
    import onnx
    from onnx import TensorProto, helper

    z = helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", 4])
    image = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, 2, 2])
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [-1, 1, 2, 2])
    nodes = [helper.make_node("Tanh", ["noise"], ["t"]), helper.make_node("Reshape", ["t", "shape"], ["out"])]
    graph = helper.make_graph(nodes, "g", [z], [image], [shape])
    path = directory / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return str(path)


def digits_folder(directory: Path) -> str:
    """A folder of small pictures, for the commands about data."""
    import numpy as np
    from PIL import Image

    folder = directory / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(np.random.RandomState(0).randint(0, 256, (40, 8, 8), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return str(folder)


def signing_keys(directory: Path) -> str:
    path = directory / "keys.txt"
    path.write_text(new_signing_key("web") + "\n")
    return str(path)


def folder(directory: Path, name: str) -> str:
    (directory / name).mkdir()
    return str(directory / name)


_URL = "https://images.example/v1/models/mnist/images/42.png"
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "sample": lambda place: ["sample", "mnist", "--seeds", "0-3", "--out", str(place / "a.png")],
    "batch": lambda place: ["batch", "run", "mnist", "--seeds", "0-99", "--shard-size", "50", "--out", str(place / "out")],
    "batch estimate": lambda place: ["batch", "estimate", "mnist", "--seeds", "0-99", "--out", str(place / "out")],
    "models list": lambda _: ["models", "list"],
    "models show": lambda _: ["models", "show", "mnist"],
    "models verify": lambda _: ["models", "verify", "gaussian-1d"],
    "models push": lambda place: ["models", "push", "gaussian-1d", folder(place, "pushed")],
    "models pull": lambda place: ["models", "pull", str(ROOT / "models"), "gaussian-1d", "--models", folder(place, "pulled")],
    "models add": lambda place: ["models", "add", foreign_graph(place), "--name", "mine", "--models", str(place)],
    "package": lambda place: ["package", "gaussian-1d", "--tag", "generators:1", "--out", str(place / "image.tar")],
    "keys new": lambda _: ["keys", "new", "alice"],
    "keys sign": lambda place: ["keys", "sign", "--file", signing_keys(place), _URL],
    "completion": lambda _: ["completion", "bash"],
    "doctor": lambda _: ["doctor"],
    "data inspect": lambda place: ["data", "inspect", digits_folder(place)],
    "new": lambda place: ["new", digits_folder(place), "--out", str(place / "recipe.yaml")],
    "evaluate": lambda _: ["evaluate", "ring-2d"],
    "report": lambda place: ["report", "gaussian-1d", "--out", str(place / "report.html")],
    "theory": lambda place: ["theory", "--only", "losses", "--out", str(place / "theory")],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_silent(name: str, tmp_path: Path, home: Path):
    check_command(tmp_path, home, *COMMANDS[name](tmp_path))


def test_train_and_export_are_silent(trained: Path, tmp_path: Path, home: Path):
    check_command(tmp_path, home, "export", str(trained), "--name", "mine", "--models", folder(tmp_path, "models"))


def test_the_server_is_silent(tmp_path: Path, home: Path):
    models = tmp_path / "models"
    models.mkdir()
    generators.write(models, "grey", 1)
    port = free_port()
    arguments = ["serve", "--models", str(models), "--port", str(port), "--workers", "2"]
    command, environment = traced(home, tmp_path / "trace", *arguments)
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True) as client:

            def answers() -> bool:
                assert process.poll() is None
                try:
                    return client.get("/v1/models/grey/images/1.png").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(answers, 120)
            time.sleep(_SERVE_SECONDS)
            assert answers()
        subprocess.run(["pkill", "-TERM", "-P", str(process.pid)], check=True)  # the command below strace
        assert process.wait(60) == 0
    finally:
        kill(process)
    assert foreign_hosts(tmp_path / "trace") == set()
    assert written(home) == []


def test_the_page_of_runs_is_silent(trained: Path, tmp_path: Path, home: Path):
    port = free_port()
    command, environment = traced(home, tmp_path / "trace", "watch", str(trained), "--port", str(port))
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, 120)
    finally:
        kill(process)
    assert foreign_hosts(tmp_path / "trace") == set()
    assert written(home) == []


def test_a_foreign_connection_would_be_found(tmp_path: Path):
    """The pattern finds what strace writes of IPv4 and IPv6 connections, and of a name lookup."""
    trace = tmp_path / "trace"
    trace.write_text(
        '7 connect(3, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("203.0.113.7")}, 16) = 0\n'
        "7 connect(4, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0\n'
        '7 sendto(5, "..", 30, 0, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.53")}, 16) = 30\n'
        '7 connect(6, {sa_family=AF_INET, sin_port=htons(3000), sin_addr=inet_addr("127.0.0.1")}, 16) = 0\n'
    )
    assert foreign_hosts(trace) == {"203.0.113.7", "2001:db8::1", "192.0.2.53"}
