"""A minimal server of bulk responses: a loop over ONNX Runtime that writes each batch to a socket. POST, any path."""

from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
from numpy.lib import format as npy

from benchmarks.peers.job import MAX_BATCH, PORT, Job

SEEDS = 1024

_JOB = Job()
_SHAPE = _JOB.images([0]).shape[1:]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        npy.write_array_header_1_0(self.wfile, {"descr": "|u1", "fortran_order": False, "shape": (SEEDS, *_SHAPE)})
        for start in range(0, SEEDS, MAX_BATCH):
            self.wfile.write(np.ascontiguousarray(_JOB.images(list(range(start, start + MAX_BATCH)))).data)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", PORT), _Handler).serve_forever()
