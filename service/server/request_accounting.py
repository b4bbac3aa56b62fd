"""Counts and logs each request. The fast path and the request middleware share this module."""

import time

from seedmint.service.telemetry import metrics
from seedmint.service.telemetry.logs import log_request
from seedmint.service.telemetry.request_context import RequestContext

CLIENT_DISCONNECTED = 499  # counted and logged, never sent

_UNMATCHED = "unmatched"  # route label of a request that no route matches
_REFUSED = "refused"  # route label of a request that was rejected before routing


class RequestAccounting:
    """Counts requests, and writes the access log."""

    def __init__(self, access_log: bool) -> None:
        """
        Args:
            access_log: Whether each request is logged.
        """
        self._access_log = access_log

    def record(self, context: RequestContext, route: str | None, method: str, status: int, started: float) -> None:
        """Count one request, and log the request if the access log is on.

        Args:
            context: Context of the request.
            route: Route template; None if the request has not reached a route.
            method: HTTP method.
            status: HTTP status, or `CLIENT_DISCONNECTED`.
            started: Start of the request, in seconds of `time.perf_counter`.
        """
        route = route or (_REFUSED if context.rejected else _UNMATCHED)
        method = metrics.known_method(method)
        seconds = time.perf_counter() - started
        metrics.observe_request(route, method, status, seconds, context.rejected, context.generator)
        if self._access_log:
            log_request(context, route, method, status, seconds)
