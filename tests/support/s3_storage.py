"""The fixture `s3`: moto's S3 server in its own process, with faults on request."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from s3fs import S3FileSystem

from tests.support.batch_jobs import ROOT
from tests.support.servers import free_port, wait_until_ok


class S3Server:
    """The S3 server and a client for it.

    Attributes:
        url: Its URL.
        client: A client of boto3.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = boto3.client("s3", endpoint_url=url)

    def set_faults(self, period: int) -> None:
        """Let every `period`-th request of each operation fail; 0 lets no request fail."""
        httpx.post(f"{self.url}/-/faults/{period}").raise_for_status()

    def counts(self) -> dict[str, int]:
        """Return the numbers of requests and of faults."""
        return dict(httpx.get(f"{self.url}/-/counts").json())

    def hashes(self, bucket: str, prefix: str) -> dict[str, str]:
        """Return the SHA-256 of each visible object by name, without the prefix."""
        digests = {}
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for entry in page.get("Contents", ()):
                body = self.client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
                digests[entry["Key"].removeprefix(f"{prefix}/")] = hashlib.sha256(body).hexdigest()
        return digests


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path_factory.mktemp("s3") / "log").open("wb") as log:
        command = [sys.executable, "-m", "tests.support.s3_server", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=url) as client:
                wait_until_ok(client, "/-/counts", process, Path(log.name).read_text)
            yield url
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with the environment variables of its clients and an empty bucket `bucket`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # Seedmint itself repeats failed requests
    S3FileSystem.clear_instance_cache()  # each package of tests has a server of its own
    server = S3Server(s3_server)
    server.set_faults(0)
    server.client.create_bucket(Bucket="bucket")
    for page in server.client.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
        for entry in page.get("Contents", ()):
            server.client.delete_object(Bucket="bucket", Key=entry["Key"])
    return server
