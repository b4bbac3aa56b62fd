"""The tools of the serving benchmark: the open-loop client counts every request that was due, and the tables show p99.9."""

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import serving
from benchmarks.open_loop import open_loop


class Images(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(404 if self.path.endswith("3.png") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # the client opens 64 connections at once


@pytest.fixture(scope="module")
def port():
    server = Server(("127.0.0.1", 0), Images)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_open_loop_counts_each_request_once(port):
    latencies, failed = open_loop(port, lambda i: f"GET /{i}.png HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 200.0, 0.1)
    assert (len(latencies), failed) == (18, 2)  # 3 and 13 fail
    assert min(latencies) > 0


def test_scenarios_and_tables(tmp_path):
    scenarios = serving._scenarios(tmp_path)
    assert [scenarios[name].workers for name in ("paper", "workers", "colour")] == [1, 2, 1]
    figures = defaultdict(lambda: [2.0, 4.0])
    text = "\n".join(serving._tables(scenarios["colour"], {"seedmint": figures, "other": figures}))
    assert text.count("p99.9 ms") == 4  # three numbers of connections, and the open loop
    assert "1.00x" in text
