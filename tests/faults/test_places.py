"""Generators from an object store, with faults: no request is lost, and half a download is never served."""

import hashlib
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import Hold
from tests.faults.test_shared_state import WORKERS, _following
from tests.support import generators
from tests.support.s3_storage import S3Server, s3, s3_server
from tests.support.servers import serving, wait_until

__all__ = ["s3", "s3_server"]  # fixtures


@pytest.mark.slow
@pytest.mark.fault("an object store fails half the time, and generators change there")
def test_a_store_that_fails_half_the_time_loses_no_request(s3: S3Server, tmp_path: Path, hold: Hold):
    def put(weights: int) -> str:
        content = generators.content("one", weights)
        digest = hashlib.sha256(content).hexdigest()
        s3.client.put_object(Bucket="bucket", Key=f"models/one@{digest[:12]}.onnx", Body=content)
        return digest

    digests = [put(0)]
    cache = tmp_path / "cache"
    settings = {"workers": WORKERS, "models_cache": cache, "models_poll_seconds": 0.3}
    with serving("s3://bucket/models", **settings) as server:  # type: ignore[arg-type]
        first = server.pinned("one") + "/1.npy"
        with _following(server, "one") as answers:
            for weights in range(1, 4):
                s3.set_faults(0)  # for the client of the test
                second = int(time.time())
                wait_until(lambda second=second: int(time.time()) > second)  # times of S3 are whole seconds
                digests.append(put(weights))
                s3.set_faults(2)
                wait_until(lambda: server.digest("one") == digests[-1])
            s3.set_faults(0)
            assert server.client.get(first).status_code == 200  # the old version stays as long as its file
            s3.client.delete_object(Bucket="bucket", Key=f"models/one@{digests[-1][:12]}.onnx")
            wait_until(lambda: server.digest("one") == digests[-2])
        statuses = Counter(status for status, _ in answers)
        hold("requests", len(answers), 50, at_least=True)
        hold("answers 404", statuses[404], 0, exactly=True)
        assert set(statuses) == {200, 307}
        assert 'seedmint_models_place_up{place="s3://bucket/models"}' in server.client.get("/metrics").text
    digests.append(put(9))
    s3.set_faults(1)  # the store is down: the server starts with the files that it had
    with serving("s3://bucket/models", **settings) as server:  # type: ignore[arg-type]
        assert server.digest("one") == digests[-3]
        server.wait_for_log("[ERROR]", "s3://bucket/models")
        text = server.client.get("/metrics").text
        assert 'seedmint_models_place_up{place="s3://bucket/models"} 0' in text
        hold("log lines for a store that is down", sum("[ERROR]" in line for line in server.log), 1, exactly=True)
    s3.set_faults(0)
