"""The OpenAPI document: it is valid, has every route, and its bounds are the bounds of the code and of the generators."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from seedmint.models.card import ImageOutput
from seedmint.service.api.openapi.specification import specification, url_template
from seedmint.service.api.routing.routes import ENDPOINTS
from seedmint.service.api.routing.routes import operations as route_operations
from seedmint.service.runtime.generator import Generator
from seedmint.service.server import auth_middleware, request_middleware
from seedmint.service.server.bentoml_adapter import BENTOML_PATHS
from seedmint.service.settings import Settings
from tests.http.test_in_process import run
from tests.support.fixtures import CLASSES
from tests.support.servers import Server


@pytest.fixture(scope="module")
def document(grey: Generator, rgb: Generator, point: Generator) -> dict[str, Any]:
    return document_of([grey, rgb, point], Settings(jobs_url="made"))


def document_of(generators: list[Generator], settings: Settings) -> dict[str, Any]:
    return specification(generators, settings, route_operations(settings))


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method): item[method] for path, item in document["paths"].items() for method in item}


@pytest.mark.parametrize("settings", [Settings(), Settings(api_keys="alice:0", requests_per_second=5, jobs_url="made")])
@pytest.mark.parametrize("empty", [False, True])
def test_the_document_is_valid(grey: Generator, point: Generator, settings: Settings, empty: bool):
    OpenAPIV31SpecValidator(document_of([] if empty else [grey, point], settings)).validate()


def test_the_service_sends_the_document(server: Server, grey: Generator, rgb: Generator):
    answer = server.client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.json() == document_of([grey, rgb], Settings(port=server.client.base_url.port))


@pytest.mark.parametrize("jobs", [False, True])
def test_the_paths_and_methods_are_the_routes_of_the_application(tmp_path: Path, jobs: bool):
    """Without jobs, the routes that answer 404 are not in the document."""
    settings = Settings(jobs_url=str(tmp_path / "made")) if jobs else Settings()
    code = """
from seedmint.service.server.bentoml_adapter import BENTOML_PATHS
inner = application
while not hasattr(inner, "router"):
    inner = inner._app
found = [[path, ["GET", "HEAD"]] for path in BENTOML_PATHS]
found += [[route.path, sorted(route.methods)] for route in inner.router.routes if route.include_in_schema]
print(json.dumps(found))
"""
    environment = {"SEEDMINT_JOBS_URL": settings.jobs_url} if settings.jobs_url else {}
    found = run(code, tmp_path, **environment)
    routes = {url_template(path): {name.lower() for name in methods} for path, methods in found}
    assert {path: set(item) for path, item in document_of([], settings)["paths"].items()} == routes
    assert ("/v1/jobs" in routes) == jobs
    assert len(routes) >= 15


def test_every_response_has_an_id_and_every_problem_an_example(document: dict[str, Any]):
    responses = document["components"]["responses"]
    for (_, method), operation in operations(document).items():
        assert operation["summary"]
        assert {"405", "500"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            resolved = responses[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
            assert "X-Request-Id" in resolved["headers"]
            if int(status) >= 400 and method != "head":
                (content,) = resolved["content"].values()
                assert content["example"]["status"] == int(status)
                assert set(resolved["content"]) == {"application/problem+json"}
            assert method != "head" or "content" not in resolved
    assert "Retry-After" in responses["Problem429"]["headers"]
    assert "Location" in document["paths"]["/v1/models/{name}/images/{seed}.{format}"]["get"]["responses"]["307"]["headers"]
    assert {"ETag", "Cache-Control"} <= set(
        document["paths"]["/v1/models/{name}@{digest}/images/{seed}.{format}"]["get"]["responses"]["304"]["headers"]
    )


def keywords(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key of each object, with its value."""
    children: Any = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        yield from value.items()
    for child in children:
        yield from keywords(child)


def test_generators_of_clients_understand_the_document(document: dict[str, Any]):
    components = document["components"]
    assert document["servers"] == [{"url": "/"}]
    assert not any("default" in parameter["schema"] for parameter in components["parameters"].values())
    assert not {"const", "prefixItems"} & {key for key, _ in keywords(components["schemas"])}
    assert all(isinstance(value, str | int | float) for key, value in keywords(components["schemas"]) if key == "default")
    for name in ("ImageOutput", "SampleOutput"):
        assert "kind" in components["schemas"][name]["required"]
    for operation in operations(document).values():
        bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
        assert all("schema" in content for body in bodies for content in body.get("content", {}).values())


def test_a_prefix_is_the_server(grey: Generator):
    assert specification([grey], Settings(), route_operations(Settings()), "/gan")["servers"] == [{"url": "/gan"}]


def test_bounds_and_examples_come_from_the_generators(document: dict[str, Any], rgb: Generator, grey: Generator):
    parameters = document["components"]["parameters"]
    assert parameters["ImageName"]["example"] == "grey"
    assert parameters["ImageDigest"]["example"] == grey.digest12
    assert parameters["SampleName"]["example"] == "point"
    assert parameters["ImageLabel"]["schema"]["maximum"] == len(CLASSES) - 1
    assert parameters["SampleLabel"]["schema"]["type"] == "string"  # also "0,1" and names of classes
    assert parameters["Scale"]["schema"]["maximum"] == 512  # of 8x8 images
    assert isinstance(rgb.card.output, ImageOutput)
    only = document_of([rgb], Settings(max_seeds=77))["components"]
    assert only["parameters"]["Scale"]["schema"]["maximum"] == 256
    assert "example" not in only["parameters"]["SampleName"]
    assert only["schemas"]["SampleRequestSeeds"]["oneOf"][1]["maxItems"] == 77


@pytest.mark.parametrize(
    ("text", "is_valid"), [("0-63,100", True), (" 1 , 2 - 3", True), ("007", False), ("", False), ("1-", False)]
)
def test_the_pattern_of_seeds_matches_the_syntax(document: dict[str, Any], text: str, is_valid: bool):
    pattern = document["components"]["schemas"]["SampleRequestSeeds"]["oneOf"][0]["pattern"]
    assert bool(re.search(pattern, text)) == is_valid


def test_keys_and_limits_are_declared_where_they_are_set(document: dict[str, Any]):
    assert "security" not in document
    assert "401" not in document["paths"]["/v1/models"]["get"]["responses"]
    locked = document_of([], Settings(api_keys="alice:0", requests_per_second=5))
    assert locked["security"] == [{"bearer": []}, {"key": []}]
    assert locked["paths"]["/docs"]["get"]["security"] == []
    for path in ("/v1/models", "/metrics", "/openapi.json"):
        assert {"401", "429"} <= set(locked["paths"][path]["get"]["responses"])
    for path in ("/livez", "/readyz"):
        assert locked["paths"][path]["get"]["security"] == []
        assert not {"401", "429"} & set(locked["paths"][path]["get"]["responses"])


def test_the_servers_exceptions_are_those_of_the_route_table():
    """Which paths need no key, have no limit, or are answered during shutdown, is known to the server and to the document."""
    table = dict(route_operations(Settings()))
    assert {path for path, operation in table.items() if operation.is_public} == auth_middleware.PROBES
    assert {path for path, operation in table.items() if operation.is_page} == auth_middleware.PAGES
    draining = {path for path, operation in table.items() if operation.served_while_draining}
    assert draining == request_middleware.ANSWERED_WHILE_DRAINING
    assert {endpoint.path for endpoint in ENDPOINTS if endpoint.handler is None} == BENTOML_PATHS
