"""LitServe: FastAPI in front, a worker process behind, batches. POST /predict, JSON."""

from typing import Any

import litserve
from starlette.responses import Response

from benchmarks.peers.job import MAX_BATCH, PORT, WORKERS, Job


class Images(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self._job = Job()

    def decode_request(self, request: dict[str, Any]) -> int:
        return int(request["seed"])

    def predict(self, x: list[int]) -> list[bytes]:
        return self._job.pngs(x)

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    api = Images(max_batch_size=MAX_BATCH, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS, fast_queue=True)
    server.run(host="127.0.0.1", port=PORT, generate_client_file=False, log_level="error", access_log=False)
