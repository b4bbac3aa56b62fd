"""mosec: a Rust front, a Python worker, batching as it comes. POST /inference, the seed as text."""

import sys

from mosec import Server, Worker

from benchmarks.peers.job import MAX_BATCH, PORT, WORKERS, Job


class Images(Worker):  # type: ignore[misc]
    def __init__(self) -> None:
        self._job = Job()

    def deserialize(self, data: bytes) -> int:
        return int(data)

    def serialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: list[int]) -> list[bytes]:
        return self._job.pngs(data)


if __name__ == "__main__":
    sys.argv += ["--port", str(PORT), "--address", "127.0.0.1", "--log-level", "error"]
    server = Server()
    server.append_worker(Images, num=WORKERS, max_batch_size=MAX_BATCH, max_wait_time=1)
    server.run()
