"""Responses that do not pass through the CORS middleware have the headers of the middleware."""

import asyncio

import httpx
import pytest
from starlette.responses import Response

from seedmint.service.server.cors import CorsMiddleware, headers_for

ORIGINS = [("*",), ("https://lab.example",), ("https://lab.example", "https://other.example"), ("https://lab.example", "*")]


@pytest.mark.parametrize("origins", ORIGINS)
@pytest.mark.parametrize("origin", [None, "https://lab.example", "https://evil.example"])
def test_headers_are_the_headers_of_the_middleware(origins: tuple[str, ...], origin: str | None):
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(CorsMiddleware(Response(), origins=origins))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/", headers={} if origin is None else {"Origin": origin})

    headers = {name.lower(): value for name, value in headers_for(origins, origin).items()}
    assert dict(asyncio.run(send()).headers) == {"content-length": "0"} | headers


def test_without_origins_there_are_no_headers():
    assert headers_for((), "https://lab.example") == {}
