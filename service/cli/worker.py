"""A worker process of `seedmint serve`: `python -m seedmint.service.cli.worker FD PID RESTARTS LINK`, run by the supervisor.

FD is the file descriptor of the socket from which all workers accept connections. PID is the process id of the supervisor.
RESTARTS is the number of earlier processes of this worker. LINK is the file descriptor of the connection to the supervisor.
"""

import signal
import sys
from functools import partial

import uvicorn

from seedmint.service.server.listener import inherited_listener
from seedmint.service.server.parent_watch import end_with_parent
from seedmint.service.server.worker_link import adopt
from seedmint.service.telemetry.logs import log_to_stdout

_CLOSE_SECONDS = 2  # for open connections, after the requests in flight are finished


def main() -> None:
    """Serve until SIGTERM, or until the supervisor has exited."""
    descriptor, supervisor, restarts, link_descriptor = map(int, sys.argv[1:])
    end_with_parent()
    link = adopt(link_descriptor)
    listener = inherited_listener(descriptor)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor handles it
    log_to_stdout()
    from seedmint.service.app import HTTP_PROTOCOL, SETTINGS, SUPERVISOR, Seedmint  # reads the settings, and configures the log
    from seedmint.service.telemetry.metrics import count_worker_restart

    if supervisor != SUPERVISOR:
        sys.exit("the supervisor has exited")
    if restarts:
        count_worker_restart()

    config = uvicorn.Config(
        Seedmint.to_asgi(),  # type: ignore[attr-defined]  # the decorator makes it a bentoml.Service
        http=HTTP_PROTOCOL,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(SETTINGS.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in SETTINGS.trusted_proxies],
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )
    server = uvicorn.Server(config)
    link.before_stop = partial(_close_listeners, server)
    server.run(sockets=[listener])


def _close_listeners(server: uvicorn.Server) -> None:
    """Accept no more connections, so that the port is free for the next server."""
    for listening in getattr(server, "servers", ()):
        listening.close()


if __name__ == "__main__":
    main()
