"""Each item of BentoML on which `service/server/bentoml_adapter.py` relies. A failure names the item that changed."""

import ast
import asyncio
import inspect
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
import uvicorn.config
from starlette.types import Receive, Scope, Send

from seedmint.service.server.bentoml_adapter import BENTOML_PATHS, service_class, traced
from seedmint.service.server.connections import Connections
from seedmint.service.server.http_protocol import BoundedProtocol, bounded_protocol
from seedmint.service.telemetry import tracing

PINNED = "1.4.39"
CHANGED = f"BentoML {bentoml.__version__} differs from {PINNED}: check service/server/bentoml_adapter.py. "


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """`to_asgi` changes both."""
    monkeypatch.setitem(uvicorn.config.HTTP_PROTOCOLS, "auto", uvicorn.config.HTTP_PROTOCOLS["auto"])
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")


@pytest.fixture
def protocol() -> type[BoundedProtocol]:
    return bounded_protocol(Connections(1.0), ())


@pytest.fixture
def service(protocol: type[BoundedProtocol]) -> Any:
    """A small service of the adapter's class, which records its startup and shutdown."""
    events: list[str] = []

    @bentoml.service(service_class=service_class(lambda app: app, protocol, "10.0.0.0/8"))
    class Small:
        """A service."""

        @bentoml.on_startup
        async def start(self) -> None:
            events.append("startup")

        @bentoml.on_shutdown
        async def stop(self) -> None:
            events.append("shutdown")

        async def __is_ready__(self) -> bool:
            return bool(events)

        @bentoml.api
        async def double(self, number: int) -> int:
            return 2 * number

    Small.inject_config()
    Small.events = events
    return Small


def test_pinned_versions_are_installed():
    """A narrower pin than the tested versions would hide a change."""
    pins = [line.partition(";")[0].strip() for line in requires("seedmint") or ()]
    assert f"bentoml=={PINNED}" in pins or bentoml.__version__ == PINNED
    assert version("uvicorn").startswith("0.54."), "uvicorn changed: check http_protocol.py and response_cycle.py"


def test_bentomls_application_answers_lifespan_probes_and_schema(service: Any):
    async def run() -> dict[str, httpx.Response]:
        app = service.to_asgi()
        sent: list[Any] = []
        messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()

        async def send(message: Any) -> None:
            sent.append(message["type"])

        lifespan = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, messages.get, send))
        await messages.put({"type": "lifespan.startup"})
        while not sent:
            await asyncio.sleep(0.01)
        assert sent == ["lifespan.startup.complete"], CHANGED + "Its application does not start."
        assert service.events == ["startup"], CHANGED + "Its application does not call the startup hook."
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answers = {path: await client.get(path) for path in sorted(BENTOML_PATHS)}
        await messages.put({"type": "lifespan.shutdown"})
        await lifespan
        assert service.events == ["startup", "shutdown"], CHANGED + "Its application does not call the shutdown hook."
        return answers

    answers = asyncio.run(run())
    statuses = {path: answer.status_code for path, answer in answers.items()}
    assert statuses == dict.fromkeys(sorted(BENTOML_PATHS), 200), CHANGED + "Its application does not answer its paths."
    routes = {route["name"] for route in answers["/schema.json"].json()["routes"]}
    assert routes == {"double"}, CHANGED + "/schema.json does not describe the methods of the service."


def test_workers_of_bentoml_start_uvicorn_with_its_default_protocol(service: Any, protocol: type[BoundedProtocol]):
    """After `to_asgi`: the adapter replaces the default protocol and the trusted proxies there."""
    from _bentoml_impl.worker import service as worker  # type: ignore[import-untyped]
    from bentoml._internal.log import SERVER_LOGGING_CONFIG

    source = inspect.getsource(worker.main.callback)
    created = source.index("uvicorn.Config(")
    assert source.index(".to_asgi(") < created, CHANGED + "Its workers create uvicorn's configuration before `to_asgi`."
    for parameter in ("http=", "forwarded_allow_ips=", "proxy_headers="):
        assert parameter not in source[created:], CHANGED + f"Its workers pass {parameter[:-1]} to uvicorn."
    configured = source.find("configure_server_logging()\n")
    assert 0 <= configured < source.index(" load("), CHANGED + "Its workers configure the log after they load the service."
    assert SERVER_LOGGING_CONFIG["root"]["handlers"], CHANGED + "Its workers have no handler of the root logger."
    config = uvicorn.Config(service.to_asgi())
    config.load()
    assert config.http_protocol_class is protocol, "uvicorn ignores HTTP_PROTOCOLS['auto']: check bentoml_adapter.py"
    assert config.forwarded_allow_ips == "10.0.0.0/8", "uvicorn ignores FORWARDED_ALLOW_IPS: check bentoml_adapter.py"


def test_the_decorator_creates_an_instance_of_the_service_class(service: Any):
    assert type(service) is not bentoml.Service, CHANGED + "`bentoml.service` ignores service_class."
    assert isinstance(service, bentoml.Service), CHANGED + "`bentoml.service` ignores service_class."


def test_inject_config_puts_the_configuration_of_the_service_into_the_container(service: Any):
    from bentoml._internal.configuration.containers import BentoMLContainer

    service.config["workers"] = 7
    try:
        service.inject_config()
        workers = BentoMLContainer.config["services"]["Small"]["workers"].get()
        assert workers == 7, CHANGED + "`inject_config` does not fill the container."
    finally:
        del service.config["workers"]
        service.inject_config()


def test_traces_use_the_provider_and_the_service_name_of_bentoml(monkeypatch: pytest.MonkeyPatch):
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.context import server_context

    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    assert hasattr(BentoMLContainer.config.tracing, "exporter_type"), CHANGED + "Its configuration has no trace exporter."
    assert not type(server_context)().service_name, CHANGED + "`server_context` has a name before a worker sets it."
    monkeypatch.setattr(server_context, "service_name", None)
    monkeypatch.setattr(tracing, "_tracer", None)  # `traced` switches tracing on
    middleware: Any = traced(app, "test")
    assert middleware.tracer is not None, CHANGED + "It has no trace provider."
    assert server_context.service_name == "test"


def test_only_the_adapter_imports_internal_modules_of_bentoml():
    root = Path(__file__).parents[3] / "service"
    users = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if any(name.startswith(("bentoml._", "_bentoml")) for name in _imported_names(path))
    }
    assert users == {"server/bentoml_adapter.py"}


def _imported_names(path: Path) -> Iterator[str]:
    """Yield the absolute name of each module, class or function that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
