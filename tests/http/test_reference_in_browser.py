"""The reference page in a real browser."""

from typing import Literal

import pytest

from tests.support.browser import chromium, needs_chromium
from tests.support.servers import Server

pytestmark = needs_chromium


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_is_styled_in_either_scheme(server: Server, scheme: Literal["light", "dark"]):
    """Its policy lets in its own style, and nothing complains."""
    complaints: list[str] = []
    with chromium() as browser:
        page = browser.new_page(color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url) if not request.is_navigation_request() else None)
        page.goto(f"{server.url}/docs")
        assert page.locator("main section section").count() == len(server.client.get("/openapi.json").json()["paths"])
        body = page.locator("body")
        assert body.evaluate("body => getComputedStyle(body).maxWidth") == "1024px"
        light = body.evaluate("body => getComputedStyle(body).color") == "rgb(0, 0, 0)"
        assert light == (scheme == "light")
        page.locator("a[href='#Problem422']").first.click()
        assert page.locator("#Problem422 summary").is_visible()
    assert complaints == []
