"""The reference page in a real browser: content, requests, and the API key."""

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from seedmint.service.server.api_keys import new_key
from tests.http.test_explorer_in_browser import APPEARANCES
from tests.support import generators
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, new_page
from tests.support.servers import Server, serving, wait_until

pytestmark = needs_chromium


def messages_of(page: Page) -> list[str]:
    """Collect errors of the page, and requests to other hosts."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "request",
        lambda request: None if "127.0.0.1" in request.url or request.url[:5] == "data:" else found.append(request.url),
    )
    return found


@pytest.mark.parametrize(("viewport", "scheme"), APPEARANCES)
def test_the_reference_shows_operations_and_code_samples(server: Server, scheme: Literal["light", "dark"], viewport: Any):
    with chromium() as browser:
        page = new_page(browser, color_scheme=scheme, viewport=viewport)
        found = messages_of(page)
        page.goto(f"{server.url}/docs")
        expect(page.locator("h1")).to_have_text("Seedmint")
        document = server.client.get("/openapi.json").json()
        page.goto(f"{server.url}/docs#tag/images/GET/v1/models/{{name}}@{{digest}}/images/{{seed}}.{{format}}")
        summary = document["paths"]["/v1/models/{name}@{digest}/images/{seed}.{format}"]["get"]["summary"]
        expect(page.get_by_role("heading", name=summary)).to_be_visible()
        expect(page.locator("code", has_text="curl").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize(("viewport", "scheme"), APPEARANCES)
def test_axe_finds_nothing_serious_in_the_reference(server: Server, scheme: Literal["light", "dark"], viewport: Any):
    """The page corrects the markup of Scalar after each change of the document, so it is checked until it is complete."""
    with chromium() as browser:
        page = new_page(browser, color_scheme=scheme, viewport=viewport)
        page.goto(f"{server.url}/docs")
        expect(page.locator("code", has_text="curl").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        wait_until(lambda: serious_violations(page) == [])


def test_pages_ask_for_the_api_key_once(tmp_path: Path):
    key, line = new_key("alice")
    models = tmp_path / "models"
    models.mkdir()
    generators.write(models, "secret-name")
    with serving(models, api_keys=line) as server, chromium() as browser:
        assert "secret-name" not in server.client.get("/").text
        page = new_page(browser)
        page.goto(server.url)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".card h2")).to_have_text(["secret-name"])
        wait_until(lambda: page.locator(".card img").first.evaluate("image => image.naturalWidth") > 0)
        page.goto(f"{server.url}/docs")
        expect(page.locator("h1")).to_have_text("Seedmint")
