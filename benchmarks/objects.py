"""Counts the requests of a batch job to an S3 server on this machine, and measures the CPU time of uploads.

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
from seedmint.service.batch.planning import CheckedGenerator, JobSpec, make_plan
from seedmint.service.batch.shard import make_shard
from seedmint.service.batch.storage.resolve import open_output
from tests.support.servers import free_port, wait_until

_SHARDS = 20
_IMAGES = 500  # in each shard
_LARGE_OBJECTS = 16
_LARGE_BYTES = 32 << 20  # four parts
_SMALL_OBJECTS = 1000


def requests(url: str) -> dict[str, int]:
    """Return the number of requests by operation."""
    return dict(httpx.get(f"{url}/-/counts").json())


def new_requests(url: str, before: dict[str, int]) -> str:
    """Return the number of requests since `before` by operation, as text."""
    counts = {operation: count - before.get(operation, 0) for operation, count in requests(url).items()}
    return ", ".join(f"{count} {operation}" for operation, count in sorted(counts.items()) if count) or "none"


def measure(url: str) -> None:
    """Print the requests of each step of a job, and the CPU time of uploads."""
    path = find_generator("mnist", SHIPPED)
    content = path.read_bytes()
    seeds = parse_seeds(f"0-{_SHARDS * _IMAGES - 1}")
    checked = CheckedGenerator(digest_of(content), checked_card(content))
    plan = make_plan(checked, JobSpec(seeds, format="webdataset", shard_size=_IMAGES))
    generator = open_plan_generator(path, plan)
    output = open_output("s3://bucket/job")
    before = requests(url)
    begin(output, plan)
    print(f"begin                     {new_requests(url, before)}")
    before = requests(url)
    missing = missing_shards(output, plan).tolist()
    print(f"list {_SHARDS} records           {new_requests(url, before)}")
    before = requests(url)
    for index in missing:
        make_shard(generator, plan, index, output)
    print(f"write {_SHARDS} shards           {new_requests(url, before)}")
    before = requests(url)
    finish(output, plan)
    print(f"finish, {_SHARDS} records        {new_requests(url, before)}")

    block = os.urandom(1 << 20)
    before, cpu, began = requests(url), _cpu_seconds(), time.perf_counter()
    for number in range(_LARGE_OBJECTS):
        with output.write(f"data/{number}") as file:
            for _ in range(_LARGE_BYTES >> 20):
                file.write(block)
    seconds, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
    print(f"upload {_LARGE_OBJECTS} x 32 MiB        {new_requests(url, before)}")
    megabytes = _LARGE_OBJECTS * _LARGE_BYTES / 1e6
    print(f"CPU time of uploads       {cpu / megabytes * 1e3:.1f} ms per MB, at {megabytes / seconds:,.0f} MB/s")
    cpu, began = _cpu_seconds(), time.perf_counter()
    with output.write_many() as add:
        for number in range(_SMALL_OBJECTS):
            add(f"data/small-{number}", block[:500])
    seconds, cpu = time.perf_counter() - began, _cpu_seconds() - cpu
    print(f"CPU time of a small file  {cpu / _SMALL_OBJECTS * 1e3:.1f} ms, at {_SMALL_OBJECTS / seconds:,.0f}/s")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
    print(f"mnist, webdataset; {platform.machine()}, {os.cpu_count()} cores, shared with the server\n")
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
