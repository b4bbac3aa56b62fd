"""Measures the requests of a batch job to an S3 server on this machine, and the processor time of uploads.

python -m benchmarks.objects
"""

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3  # type: ignore[import-untyped]
import httpx

from seedmint.models.directory import SHIPPED, find_generator
from seedmint.models.runtime.generator_file import checked_card, digest_of
from seedmint.models.seeds import parse_seeds
from seedmint.service.batch.completeness import missing_shards
from seedmint.service.batch.job import begin, finish, open_plan_generator
from seedmint.service.batch.planning import make_plan
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from tests.support.servers import free_port, wait_until

_SHARDS = 20
_IMAGES = 500  # in each shard
_SENT = 16  # objects
_BYTES = 32 << 20  # in each: four parts
_SMALL = 1000  # objects


def requests(url: str) -> dict[str, int]:
    """Return the number of requests by operation."""
    return dict(httpx.get(f"{url}/-/counts").json())


def since(url: str, before: dict[str, int]) -> str:
    now = requests(url)
    found = {kind: times - before.get(kind, 0) for kind, times in now.items()}
    return ", ".join(f"{times} {kind}" for kind, times in sorted(found.items()) if times) or "none"


def measure(url: str) -> None:
    path = find_generator("mnist", SHIPPED)
    content = path.read_bytes()
    seeds = parse_seeds(f"0-{_SHARDS * _IMAGES - 1}")
    plan = make_plan(digest_of(content), checked_card(content), "cpu", seeds, None, 1.0, "webdataset", _IMAGES)
    generator = open_plan_generator(path, plan)
    output = open_output("s3://bucket/job")
    before = requests(url)
    begin(output, plan)
    print(f"to begin                    {since(url, before)}")
    before = requests(url)
    left = missing_shards(output, plan).tolist()
    print(f"to list {_SHARDS} records          {since(url, before)}")
    before = requests(url)
    for index in left:
        make_shard(generator, plan, index, output)
    print(f"to write {_SHARDS} shards          {since(url, before)}")
    before = requests(url)
    finish(output, plan)
    print(f"to end, with {_SHARDS} records     {since(url, before)}")

    block = os.urandom(1 << 20)
    before, cpu, began = requests(url), _processor(), time.perf_counter()
    for number in range(_SENT):
        with output.write(f"data/{number}") as file:
            for _ in range(_BYTES >> 20):
                file.write(block)
    seconds, cpu = time.perf_counter() - began, _processor() - cpu
    print(f"to send {_SENT} of 32 MiB         {since(url, before)}")
    sent = _SENT * _BYTES / 1e6
    print(f"processor to send           {cpu / sent * 1e3:.1f} ms a MB, at {sent / seconds:,.0f} MB/s beside the server")
    cpu, began = _processor(), time.perf_counter()
    with output.write_many() as add:
        for number in range(_SMALL):
            add(f"data/small-{number}", block[:500])
    seconds, cpu = time.perf_counter() - began, _processor() - cpu
    print(f"processor of a small object {cpu / _SMALL * 1e3:.1f} ms, at {_SMALL / seconds:,.0f}/s beside the server")


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
    print(f"mnist, webdataset; {platform.machine()}, {os.cpu_count()} cores\n")
    with TemporaryDirectory() as folder:
        log = (Path(folder) / "log").open("wb")
        command = [sys.executable, "-m", "tests.support.s3_server", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(url), 60)
            boto3.client("s3").create_bucket(Bucket="bucket")
            measure(url)
        finally:
            server.kill()
            server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/counts").is_success
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
