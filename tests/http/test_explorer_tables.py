"""The explorer shows the values of tables, not the codes of their generators."""

import io
import re

import numpy as np
from playwright.sync_api import Route, expect

from seedmint.models.columns import NULL, Column, json_value
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.servers import Server

pytestmark = needs_chromium

DAY = 86_400_000_000  # microseconds
COLUMNS = (
    Column(name="region", type="text", categories=("north", "<b>south</b>"), count=2, nullable=True),
    Column(name="member", type="boolean", count=2),
    Column(name="price", type="number", unit="EUR", first=-105, step=5, count=1000, decimals=2, nullable=True),
    Column(name="large", type="number", first=3, count=50, decimals=-3),
    Column(name="age", type="integer", first=18, count=80),
    Column(name="since", type="date", first=-400, count=40_000),
    Column(name="hour", type="time", first=1, step=60_250_001, count=1400),
    Column(name="moment", type="datetime", first=-5 * DAY + 7, step=977_000_001, count=60_000, nullable=True),
    Column(name="utc", type="datetime", first=0, step=3_600_000_000, count=60_000, timezone="Europe/Paris"),
)


def codes(n: int) -> np.ndarray:
    random = np.random.default_rng(0)
    lowest = [NULL if column.nullable else 0 for column in COLUMNS]
    return random.integers(lowest, [column.count for column in COLUMNS], (n, len(COLUMNS))).astype(np.float32)


def shown(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(json_value(value))


def test_a_table_has_its_values_names_units_and_missing_values(sample_server: Server):
    rows = codes(500)
    entry = sample_server.client.get("/v1/models/point", follow_redirects=True).json()
    output = entry["output"] | {
        "shape": [len(COLUMNS)],
        "names": [column.name for column in COLUMNS],
        "columns": [column.model_dump(mode="json") for column in COLUMNS],
        "label": {"name": "kind", "type": "text", "position": 0},
    }
    array = io.BytesIO()
    np.save(array, rows)

    def model(route: Route) -> None:
        route.fulfill(json=entry | {"output": output})

    def values(route: Route) -> None:
        route.fulfill(body=array.getvalue(), content_type="application/octet-stream")

    with chromium() as browser, opened(browser, "about:blank", viewport={"width": 1280, "height": 800}) as page:
        page.route(re.compile(r"/v1/models/point$"), model)
        page.route(re.compile(r"/samples\.npy"), values)
        page.goto(f"{sample_server.url}/#/models/point")
        expect(page.locator("tbody tr")).to_have_count(len(rows))
        assert page.locator("thead th").all_inner_texts() == [
            "seed",
            "kind",
            "region",
            "member",
            "price (EUR)",
            *output["names"][3:],
        ]
        found = page.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].slice(2).map(cell => cell.textContent))"
        )
        for i, column in enumerate(COLUMNS):
            expected = column.values(rows[:, i])
            if column.type == "number":
                assert [float(text) if text else None for text in (row[i] for row in found)] == expected
            else:
                assert [row[i] for row in found] == [shown(value) for value in expected]
        charts = page.get_by_role("img", name="Histogram of")
        expect(charts).to_have_count(len(COLUMNS))
        for i, column in enumerate(COLUMNS):
            known = (rows[:, i] != NULL).sum()
            expect(charts.nth(i)).to_have_attribute(
                "aria-label", re.compile(rf"^Histogram of {column.name}: .*, {known} of 500 from")
            )
        expect(page.locator("canvas.plot")).to_have_attribute("aria-label", re.compile(r"price \(EUR\) from .*, large from"))
        price = page.locator("thead th").nth(4)
        for order, sign in (("ascending", 1), ("descending", -1)):
            price.get_by_role("button").click()
            expect(price).to_have_attribute("aria-sort", order)
            texts = page.locator("tbody td:nth-child(5)").all_inner_texts()
            missing = sum(not text for text in texts)
            assert missing == (rows[:, 2] == NULL).sum() > 0
            assert texts[-missing:] == [""] * missing
            assert (sign * np.diff([float(text) for text in texts[:-missing]]) >= 0).all()


def test_strings_are_text_with_links_to_their_seeds(sample_server: Server):
    column = Column(name="word", type="string", alphabet=("a", "<", "é"), length=4, count=4)
    random = np.random.default_rng(0)
    rows = random.integers(0, 4, (500, 4)).astype(np.float32)
    rows[0] = [1, 2, 3, 0]
    entry = sample_server.client.get("/v1/models/wave", follow_redirects=True).json()
    output = {
        "kind": "sample",
        "shape": [4],
        "names": ["word"],
        "columns": [column.model_dump(mode="json")],
        "resolution": None,
    }
    array = io.BytesIO()
    np.save(array, rows)

    def model(route: Route) -> None:
        route.fulfill(json=entry | {"output": output})

    urls: list[str] = []

    def values(route: Route) -> None:
        urls.append(route.request.url)
        route.fulfill(body=array.getvalue(), content_type="application/octet-stream")

    with chromium() as browser, opened(browser, "about:blank", viewport={"width": 1280, "height": 800}) as page:
        page.route(re.compile(r"/v1/models/wave(@[0-9a-f]{12})?$"), model)
        page.route(re.compile(r"/samples\.npy"), values)
        page.goto(f"{sample_server.url}/#/models/wave")
        links = page.locator("ul.strings a")
        expect(links).to_have_count(len(rows))
        assert links.evaluate_all("links => links.map(link => link.textContent)") == [
            text or "(empty)" for text in column.values(rows)
        ]
        expect(page.locator("canvas.plot")).to_have_count(0)
        links.first.click()
        expect(page.locator("p.string")).to_have_text("a<é")
        assert len([url for url in urls if "seeds=0-499" in url]) == 1  # the page of one string shows no others
