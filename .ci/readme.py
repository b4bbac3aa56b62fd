"""Run every command of the README and of the guides, in order, in a fresh clone with nothing installed.

    python .ci/readme.py

The block `make serve` runs in the background during the following blocks. The script stops at the first command that fails.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "docs/http.md", "docs/training.md", "docs/batch.md", "docs/generator-file.md")
READY_WITHIN = 900  # seconds, installation included, while `make test` runs


def main() -> None:
    work = Path(tempfile.mkdtemp(prefix="seedmint-readme-"))
    clone = work / "seedmint"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    port = free_port()
    cache = subprocess.run([sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SEEDMINT_", "VIRTUAL_ENV", "PYTHON"))},
        **{"SEEDMINT_PORT": str(port), "BENTOML_HOME": str(work / "bentoml"), "BENTOML_DO_NOT_TRACK": "true"},
        **{"XDG_CACHE_HOME": str(work / "cache")},
        # Beside `make test`, several threads of linear algebra would wait for each other without sleeping.
        **{"OMP_NUM_THREADS": "1"},
        **({"PIP_CACHE_DIR": cache.stdout.strip()} if cache.returncode == 0 else {}),  # downloads only
    }
    server = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service stops, too
    try:
        pages = "\n".join((clone / page).read_text(encoding="utf-8") for page in PAGES)
        for language, block in BLOCK.findall(pages):
            block = block.replace("localhost:3000", f"localhost:{port}")
            print(f"--- {language}\n{block}", end="", flush=True)
            if block.strip() == "make serve":
                began = time.monotonic()
                server = subprocess.Popen(["make", "serve"], cwd=clone, env=environment, start_new_session=True)
                wait_until_ready(server, port)
                print(f"ready after {time.monotonic() - began:.0f} s, installation included", flush=True)
                assert not list(clone.glob(".venv/lib/python*/site-packages/torch")), "serving must not install torch"
                continue
            command = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [str(clone / ".venv/bin/python"), "-c"]
            began = time.monotonic()
            subprocess.run([*command, block], cwd=clone, env=environment, check=True, timeout=2400)
            print(f"({time.monotonic() - began:.0f} s)", flush=True)
        assert server is not None
        names = [model["name"] for model in json.loads(get(port, "/v1/models"))["models"]]
        assert "mine" in names, f"the running service does not serve mine, only {names}"
        assert get(port, "/v1/models/mine/images/1.png").startswith(b"\x89PNG")
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(120)
        print(f"the service stopped; removing {clone}", flush=True)
    finally:
        if server is not None and server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        shutil.rmtree(work, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as response:
        content: bytes = response.read()
        return content


def wait_until_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"make serve exited with status {server.returncode}")
        try:
            get(port, "/readyz")
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    sys.exit(f"make serve was not ready within {READY_WITHIN} s")


if __name__ == "__main__":
    main()
