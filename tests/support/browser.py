"""Chromium for the tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.servers import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without sandbox, because tests may run as root. Without connections that the browser opens by itself.
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
_MILLISECONDS = 1000 * PATIENCE
expect.set_options(timeout=_MILLISECONDS)  # the default of 5 s is too short for a busy machine

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian package chromium)")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split(), timeout=_MILLISECONDS)
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, **options: Any) -> Page:
    """Return a new page whose actions may take as long as a busy machine needs.

    Args:
        browser: The browser.
        **options: Options of the page, such as `viewport` or `color_scheme`.
    """
    page = browser.new_page(**options)
    page.set_default_timeout(_MILLISECONDS)
    return page


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page. Fail if the page logs a message to the console, or raises an error.

    Args:
        browser: The browser.
        url: The URL.
        **options: Arguments of `new_page`.
    """
    messages: list[str] = []
    page = new_page(browser, **options)
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(url)
    yield page
    page.close()
    assert messages == [], messages
