"""The page that plays two experiments, in a real browser."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from seedmint.training.theory import dirac, figure1
from seedmint.training.theory.interactive import render_page
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened


@pytest.fixture(scope="module")
def game() -> figure1.Result:
    return figure1.run(shown=(3, 20), others=6)


@pytest.fixture(scope="module")
def point() -> dirac.Result:
    return dirac.run(40)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, game: figure1.Result, point: dirac.Result) -> Path:
    path = tmp_path_factory.mktemp("page") / "interactive.html"
    path.write_text(render_page(game, point))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_equal_results_give_equal_pages(page_file: Path, game: figure1.Result, point: dirac.Result):
    assert page_file.read_text() == render_page(game, point)


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_the_sliders_show_the_numbers_of_the_experiments(
    browser: Browser, page_file: Path, game: figure1.Result, point: dirac.Result, width: int
):
    with opened(browser, page_file.as_uri(), viewport={"width": width, "height": 900}) as page:
        for row, snapshot in enumerate(game.all):
            page.locator("#figure1-at").fill(str(row))
            numbers = page.locator("#figure1-numbers")
            expect(numbers).to_contain_text(f"iteration {snapshot.iteration} ·")
            expect(numbers).to_contain_text(f"{round(snapshot.jsd, 4):.3f} nats")
        for objective, penalty in (("minimax", "none"), ("non-saturating", "R1"), ("wasserstein", "R2")):
            page.locator("#dirac-objective").select_option(objective)
            page.locator("#dirac-penalty").select_option(penalty)
            page.locator("#dirac-at").fill("40")
            theta = float(point.paths[objective, penalty][40, 0])
            text = page.locator("#dirac-numbers").inner_text()
            assert math.isclose(float(text.split("θ = ")[1].split()[0]), theta, abs_tol=1e-3)
            assert ("does not converge" in text) != point.converges(objective, penalty)
        page.locator("#dirac-at").fill("0")
        page.locator("#dirac-play").click()
        expect(page.locator("#dirac-numbers")).to_contain_text("iteration 40 ·")  # plays to the end
        expect(page.locator("#dirac-play")).to_have_text("Play")
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
