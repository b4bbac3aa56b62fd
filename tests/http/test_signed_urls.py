"""Signed URLs on a real server: images, redirects, caches, files of jobs, and refusals."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from seedmint import sign_url
from seedmint.service.server.api_keys import new_key, new_signing_key
from tests.http.test_problems import check
from tests.support.fixtures import fill
from tests.support.servers import Server, serving, wait_until


@dataclass
class Signed:
    """A server with an API key and a signing key."""

    server: Server
    key: str
    line: str
    file: Path

    def get(self, path: str, seconds: int = 60, method: str = "GET", **headers: str) -> httpx.Response:
        """Send a request for a signed URL, without an API key."""
        return self.server.client.request(method, sign_url(path, self.line, seconds), headers=headers)

    @property
    def images(self) -> str:
        url = self.server.client.get("/v1/models/grey", headers={"X-API-Key": self.key}).json()["url"]
        return f"{url}/images"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    directory = tmp_path_factory.mktemp("signed")
    (key, line), signing = new_key("alice"), new_signing_key("web")
    (directory / "keys.txt").write_text(f"{line}\n{signing}\n")
    (directory / "models").mkdir()
    models = fill(directory / "models")
    with serving(models, api_keys_file=directory / "keys.txt", jobs_url=directory / "jobs", access_log=True) as server:
        yield Signed(server, key, signing, directory / "keys.txt")


def test_a_signed_image_needs_no_key_and_can_be_shared_by_caches(signed: Signed):
    path = f"{signed.images}/42.png"
    assert signed.server.client.get(path).status_code == 401
    answer = signed.get(path, 100)
    assert answer.status_code == 200
    cached = re.fullmatch(r"public, max-age=([0-9]+)", answer.headers["cache-control"])
    assert cached is not None
    assert 90 <= int(cached[1]) <= 100
    assert answer.content == signed.server.client.get(path, headers={"X-API-Key": signed.key}).content
    again = signed.get(path, 100, **{"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert "private" not in again.headers["cache-control"]
    assert signed.get(path, method="HEAD").status_code == 200
    signed.server.wait_for_log("key web")


@pytest.mark.parametrize("path", ["/v1/models/grey/images/42.png?scale=2", "{images}/42.png?scale=2&label=0"])
def test_redirects_lead_to_signed_urls(signed: Signed, path: str):
    path = path.format(images=signed.images).replace("&label=0", "&truncation=1")
    with httpx.Client(base_url=signed.server.url, follow_redirects=True) as client:
        answer = client.get(sign_url(path, signed.line, 60))
    assert answer.status_code == 200
    assert len(answer.history) == 1
    assert "immutable" not in answer.history[0].headers["cache-control"]
    assert answer.url.path == f"{signed.images}/42.png"


def test_refusals_have_a_reason(signed: Signed):
    path = f"{signed.images}/42.png"
    url = sign_url(path, signed.line, 60)
    client = signed.server.client
    refused = {
        "wrong_signature": client.get(url.replace("/42.png", "/43.png")),
        "malformed_signature": client.get(f"{path}?signature=1"),
        "expires_too_late": signed.get(path, 700_000),
        "signed_method": client.post(sign_url("/v1/sample", signed.line, 60), json={"model": "grey", "seeds": "0"}),
    }
    for reason, answer in refused.items():
        check(answer, 403, "signature")
        assert answer.json()["reason"] == reason
        assert answer.headers["cache-control"] == "no-store"
    metrics = client.get("/metrics", headers={"X-API-Key": signed.key}).text
    assert re.search(r'rejected_total\{reason="signature"\} 4\.0', metrics)
    check(signed.get(f"{signed.images}/x.png"), 400, "seed")  # a valid signature of a wrong address


def test_files_of_jobs_are_downloaded_by_signed_urls(signed: Signed):
    client = signed.server.client
    body = {"model": "grey", "seeds": "0-9", "format": "npy", "shard_size": 10}
    job = client.post("/v1/jobs", json=body, headers={"X-API-Key": signed.key})
    assert job.status_code == 201, job.text
    url = job.headers["location"]
    wait_until(lambda: client.get(url, headers={"X-API-Key": signed.key}).json()["state"] == "done")
    manifest = client.get(url, headers={"X-API-Key": signed.key}).json()["manifest_url"]
    assert client.get(manifest).status_code == 401
    answer = signed.get(manifest)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, no-cache"


def test_the_command_signs(signed: Signed):
    path = f"{signed.images}/42.png"
    command = [sys.executable, "-m", "seedmint", "keys", "sign"]
    done = subprocess.run(
        [*command, "--file", str(signed.file), "--for", "10m", signed.server.url + path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert httpx.get(done.stdout.strip()).status_code == 200
    for arguments in (["--for", "1 day"], ["--name", "other"]):
        refused = subprocess.run(
            [*command, "--file", str(signed.file), *arguments, path], capture_output=True, text=True, check=False
        )
        assert refused.returncode != 0
        assert len(refused.stderr.strip().splitlines()) == 1
