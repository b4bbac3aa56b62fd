"""Accessibility checks of pages."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def serious_violations(page: Page) -> list[Any]:
    """Return what axe-core finds of impact serious or critical."""
    return [each for each in Axe().run(page).response["violations"] if each["impact"] in ("serious", "critical")]
