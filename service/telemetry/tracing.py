"""Spans of the parts of a request: its time in the queue, its batch, and the encoding. Costs nothing while tracing is off."""

import time
from typing import Any

_State = Any  # an OpenTelemetry context; the package is imported only if tracing is on

_tracer: Any = None


def enable(provider: Any) -> None:
    """Record spans from now on.

    Args:
        provider: OpenTelemetry's provider of tracers.
    """
    global _tracer
    _tracer = provider.get_tracer("seedmint")


def current() -> _State | None:
    """Return the trace of the current request, for `record` in another thread; None while tracing is off."""
    if _tracer is None:
        return None
    from opentelemetry.context import get_current

    return get_current()


def record(parent: _State | None, name: str, started: float, ended: float, **attributes: str | int) -> None:
    """Record a span that has ended.

    Args:
        parent: The trace, as returned by `current`; None records nothing.
        name: Name of the span.
        started: Start of the span, in seconds of `time.perf_counter`.
        ended: End of the span, in the same unit.
        attributes: Attributes of the span; each name gets the prefix `seedmint.`.
    """
    if parent is None:
        return
    offset = time.time_ns() - time.perf_counter_ns()
    values = {f"seedmint.{key}": value for key, value in attributes.items()}
    span = _tracer.start_span(name, parent, attributes=values, start_time=int(started * 1e9) + offset)
    span.end(int(ended * 1e9) + offset)


def name_request(scope: Any) -> None:
    """Name the span of the current request after the method and the path template of its route.

    Args:
        scope: The ASGI scope of the request, after routing.
    """
    from opentelemetry.trace import get_current_span

    template = getattr(scope.get("route"), "path", None)
    if template is not None:
        span = get_current_span()
        span.update_name(f"{scope['method']} {template}")
        span.set_attribute("http.route", template)
