"""Emulators of Google Cloud Storage and of Azure Blob Storage, which `tests/support/fetch_emulators.sh` installs.

Programs that use them run in processes of their own, because the libraries of the stores are in a folder beside the
environment of the tests.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.batch_jobs import ROOT
from tests.support.servers import free_port, wait_until

_FOLDER = ROOT / "build" / "emulators"
_LIBRARIES = _FOLDER / "python"
_AZURITE = _FOLDER / "node_modules" / ".bin" / "azurite-blob"
_ACCOUNT, _KEY = "seedmint", base64.b64encode(b"key of the emulator").decode()
# Reads lines ["put", URL, path of a file] or ["remove", URL] or ["make", URL of a bucket].
_CHANGE = """
import json, pathlib, sys
import fsspec
for line in sys.stdin:
    action, url, *rest = json.loads(line)
    system, path = fsspec.core.url_to_fs(url)
    if action == "put":
        system.pipe_file(path, pathlib.Path(rest[0]).read_bytes())
    elif action == "remove":
        system.rm_file(path)
    else:
        system.mkdir(path)
"""


@dataclass(frozen=True)
class Store:
    """A running emulator with one empty bucket.

    Attributes:
        bucket: URL of the bucket.
        environment: Environment variables of programs that use the store.
    """

    bucket: str
    environment: dict[str, str]

    def change(self, *actions: tuple[object, ...]) -> None:
        """Change objects: `("put", url, path)`, `("remove", url)` or `("make", url of a bucket)`."""
        text = "\n".join(json.dumps([str(part) for part in action]) for action in actions)
        self._run("-c", _CHANGE, text=text).check_returncode()

    def seedmint(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command of Seedmint."""
        return self._run("-m", "seedmint", *map(str, arguments))

    def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | self.environment,
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )


def missing(kind: str) -> str | None:
    """Return why the emulator of gs or az cannot run; None if it can."""
    cure = "run tests/support/fetch_emulators.sh build/emulators"
    if not (_LIBRARIES / "gcp_storage_emulator").is_dir():
        return f"gcsfs, adlfs and gcp-storage-emulator are not installed: {cure}"
    if kind == "az" and not (_AZURITE.exists() and shutil.which("node")):
        return f"azurite is not installed: {cure}; it needs Node.js"
    return None


@contextmanager
def store(kind: str, directory: Path) -> Iterator[Store]:
    """Run the emulator of gs or az.

    Args:
        kind: Protocol of the URLs.
        directory: Receives the log.
    """
    port = free_port()
    found = os.environ.get("PYTHONPATH")
    environment = {"PYTHONPATH": os.pathsep.join([str(_LIBRARIES), *([found] if found else [])])}
    command: list[Any]
    if kind == "gs":
        command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", port, "--in-memory"]
        # gcsfs asks Google for the type of a bucket, which the emulator does not know.
        environment |= {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    else:
        command = [_AZURITE, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
        command += ["--blobHost", "127.0.0.1", "--blobPort", port]
        endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
        text = f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};BlobEndpoint={endpoint};"
        environment |= {"AZURE_STORAGE_CONNECTION_STRING": text, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}
    with (directory / "emulator.log").open("wb") as log:
        command = [str(part) for part in command]
        process = subprocess.Popen(command, env=os.environ | environment, cwd=directory, stdout=log, stderr=log)
    try:

        def listens() -> bool:
            assert process.poll() is None, (directory / "emulator.log").read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens)
        running = Store(f"{kind}://bucket", environment)
        running.change(("make", running.bucket))
        yield running
    finally:
        process.kill()
        process.wait()
