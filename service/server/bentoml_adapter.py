"""Everything that relies on BentoML beyond its decorators. The rest of the service is independent of BentoML.

pyproject.toml pins BentoML to one version, because the service relies on the following items.
`tests/service/server/test_bentoml_adapter.py` checks each of them:

- `bentoml.Service.to_asgi` is called by the workers of `bentoml serve`. BentoML documents it for tests.
- Its application answers the lifespan events, /livez, /readyz and /schema.json.
- `bentoml.service` creates an instance of its undocumented argument `service_class`.
- The workers of `bentoml serve` start uvicorn with `http="auto"`, after `to_asgi`.
- They give the root logger a handler before they load the service.
- `Service.inject_config` puts the configuration of the service into `BentoMLContainer`.
- `BentoMLContainer` holds the trace exporter that BentoML's configuration names.
- `bentoml._internal.context.server_context.service_name` is the name of the service in traces. It is None or empty until set.
"""

import os
from collections.abc import Callable
from typing import Any

import bentoml
import uvicorn.config
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seedmint.service.server.http_protocol import BoundedProtocol
from seedmint.service.settings import SettingsError
from seedmint.service.telemetry import tracing

# Answered by BentoML's application: its clients read /schema.json, and the probes call `__is_ready__` of the service.
BENTOML_PATHS = frozenset({"/livez", "/readyz", "/schema.json"})
_UNTRACED = "livez$,readyz$,metrics$"


class BentoEndpoints:
    """ASGI middleware: BentoML's application answers lifespan events and its own paths, the service answers all others.

    No other request passes through BentoML's middleware. Its TimeoutMiddleware keeps a timer for each request until the timer
    expires, also after the response: tens of thousands of live objects, which slow down every garbage collection.
    """

    def __init__(self, app: ASGIApp, bentoml_app: ASGIApp) -> None:
        """
        Args:
            app: The application of the service.
            bentoml_app: The application that BentoML creates for the service.
        """
        self._app = app
        self._bentoml_app = bentoml_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in BENTOML_PATHS:
            await self._app(scope, receive, send)
        else:
            await self._bentoml_app(scope, receive, send)


def service_class(
    create_app: Callable[[ASGIApp], ASGIApp], protocol: type[BoundedProtocol], trusted_proxies: str
) -> type[bentoml.Service[Any]]:
    """Return a class of BentoML services that serve the application of `create_app`.

    Args:
        create_app: Receives BentoML's application and returns the application to serve.
        protocol: HTTP protocol for the connections.
        trusted_proxies: Addresses or networks whose X-Forwarded-For header uvicorn trusts, separated by commas.
    """

    class Service(bentoml.Service[Any]):  # type: ignore[misc]
        def to_asgi(self, is_main: bool = True) -> ASGIApp:
            # BentoML passes neither a protocol nor trusted proxies to uvicorn. `seedmint serve` passes both as parameters.
            uvicorn.config.HTTP_PROTOCOLS["auto"] = protocol  # type: ignore[assignment]
            os.environ["FORWARDED_ALLOW_IPS"] = trusted_proxies
            return create_app(super().to_asgi(is_main))

    return Service


def traced(app: ASGIApp, service_name: str) -> ASGIApp:
    """Return the application inside OpenTelemetry's middleware, with the exporter of BentoML's configuration.

    Args:
        app: The application.
        service_name: Name of the service in traces.
    """
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.context import server_context
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    server_context.service_name = server_context.service_name or service_name  # BentoML's own workers set it earlier
    provider = BentoMLContainer.tracer_provider.get()
    tracing.enable(provider)

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":  # after routing; the span ends with the response
                tracing.name_request(scope)
            await send(message)

        try:
            await app(scope, receive, send_named)
        except Exception:
            tracing.name_request(scope)
            raise

    middleware: ASGIApp = OpenTelemetryMiddleware(
        named,
        excluded_urls=_UNTRACED,
        default_span_details=_first_name,
        tracer_provider=provider,
        exclude_spans=["receive", "send"],  # one for each part of a body
    )
    return middleware


def _first_name(scope: Scope) -> tuple[str, dict[str, str]]:
    """Return the name of a span before routing: without the path, which contains the seed."""
    return str(scope.get("method", scope["type"])), {}


def check_tracing(service: Any) -> None:
    """Check that the trace exporter of BentoML's configuration can be created. Otherwise every new worker would fail.

    Args:
        service: The BentoML service.

    Raises:
        SettingsError: The configuration names no exporter, or the exporter is not installed.
    """
    from bentoml._internal.configuration.containers import BentoMLContainer

    service.inject_config()
    if BentoMLContainer.config.tracing.exporter_type.get() is None:
        message = "set services.tracing.exporter_type in BentoML's configuration, or switch tracing off"
        raise SettingsError(message, field="tracing", reason="no_exporter")
    try:
        BentoMLContainer.tracer_provider.get().shutdown()
    except ImportError as error:
        message = f"install the trace exporter, for example bentoml[tracing-otlp]: {error}"
        raise SettingsError(message, field="tracing", reason="not_installed") from None
