"""A batch job writes to an object store whose certificate a private authority signed, with the variables of `privateCA`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError

from tests.deploy.charts import CHART
from tests.support import generators
from tests.support.servers import free_port, wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An S3 server with TLS and the bucket `made`. Yields the environment of its clients, without its authority."""
    certificate, key, port = tmp_path / "ca.crt", tmp_path / "key", free_port()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=store"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.s3_server", str(port), str(certificate), str(key)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    access = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}"}
    client = boto3.client(
        "s3",
        endpoint_url=access["AWS_ENDPOINT_URL"],
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name="us-east-1",
        verify=str(certificate),
    )

    def has_bucket() -> bool:
        try:
            client.create_bucket(Bucket="made")
        except BotoCoreError:
            return False
        return True

    try:
        wait_until(has_bucket, 60)
        yield access
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_a_private_authority_signs_the_certificate_of_an_object_store(store: dict[str, str], tmp_path: Path):
    template = (CHART / "templates" / "_pods.tpl").read_text()
    assert 'range list "AWS_CA_BUNDLE" "SSL_CERT_FILE"' in template  # the same variables as below
    generators.write(tmp_path, "one")
    command = [sys.executable, "-m", "seedmint", "batch", "run", str(tmp_path / "one.onnx"), "--seeds", "0-9"]
    command += ["--format", "npz", "--workers", "1", "--out", "s3://made/one"]
    environment = os.environ | store
    with pytest.raises(subprocess.TimeoutExpired):  # it repeats requests that fail
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=8)
    authority = dict.fromkeys(("AWS_CA_BUNDLE", "SSL_CERT_FILE"), str(tmp_path / "ca.crt"))
    done = subprocess.run(command, env=environment | authority, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
