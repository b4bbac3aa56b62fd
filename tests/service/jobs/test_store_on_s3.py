"""Jobs over HTTP in an object store: the server keeps no state, and another server resumes the jobs."""

from pathlib import Path

import httpx
import pytest

from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.runtime.generator import open_generator
from tests.http.test_jobs import submit, wait_for
from tests.support.batch_jobs import hashes, make_all, plan_for
from tests.support.s3_storage import S3Server
from tests.support.servers import serving


@pytest.mark.slow
def test_a_job_in_an_object_store(s3: S3Server, models: Path, tmp_path: Path):
    url = "s3://bucket/made/here"
    with serving(models, jobs_url=url, log_format="json") as server:
        job = submit(server, model="rgb", seeds="0-199", shard_size=50)
        done = wait_for(server, job, "done")
        assert (done["images_done"], done["shards_done"]) == (200, 4)
        answer = httpx.get(f"{server.url}/v1/jobs/{job}/files/data/shard-000002.tar")
        assert f'"{s3.hashes("bucket", f"made/here/{job}")["data/shard-000002.tar"]}"' == answer.headers["etag"]
        assert len(answer.content) == int(answer.headers["content-length"])
    with serving(models, jobs_url=url) as server:
        assert submit(server, 200, model="rgb", seeds="0-199", shard_size=50) == job
        assert [entry["state"] for entry in server.client.get("/v1/jobs").json()["jobs"]] == ["done"]
    generator = open_generator(models / "rgb.onnx")
    make_all(open_output(str(tmp_path / "out")), plan_for(generator, "0-199", shard_size=50), generator)
    made = s3.hashes("bucket", f"made/here/{job}")
    assert made == hashes(tmp_path / "out")
