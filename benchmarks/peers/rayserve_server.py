"""Ray Serve: an HTTP proxy, a replica that batches. GET /SEED.png"""

import time

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.job import MAX_BATCH, PORT, WORKERS, Job


@serve.deployment(num_replicas=WORKERS, max_ongoing_requests=256, ray_actor_options={"num_cpus": 1})
class Images:
    def __init__(self) -> None:
        self._job = Job()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.001)  # type: ignore[untyped-decorator]
    async def images(self, seeds: list[int]) -> list[bytes]:
        return self._job.pngs(seeds)

    async def __call__(self, request: Request) -> Response:
        return Response(await self.images(int(request.url.path[1:-4])), media_type="image/png")


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT})
    serve.run(Images.bind())  # type: ignore[attr-defined]
    while True:
        time.sleep(60)
