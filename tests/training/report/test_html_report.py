"""The HTML report: content, determinism, no external references, and display in a real browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import yaml
from playwright.sync_api import expect

from seedmint.cli import main
from seedmint.training.evaluation.metric_families import num_samples
from seedmint.training.recipes.schema import validate_recipe
from seedmint.training.report.svg_charts import Level, Line, bars, chart
from seedmint.training.runs.directory import create_run
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened
from tests.support.commandline import run_error
from tests.support.recipes import recipe_document

MEASURED = ("--samples", 100, "--metrics", "kid,prdc,labels,nearest")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with averaged weights and two measurements."""
    directory = tmp_path_factory.mktemp("report") / "run"
    recipe = recipe_document(conditional=True, metrics=["kid"], title="Digits <b>&</b> more", steps=10)
    recipe["every"] = {"log": 2, "preview": 5, "checkpoint": 5, "evaluate": 5}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            "seedmint.training.runs.metrics_hook.num_samples", lambda name, _, real: num_samples(name, 200, real)
        )
        create_run(directory, validate_recipe(recipe, "test"), torch.device("cpu")).fit()
    return directory


def report(*arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["report", *map(str, arguments)])
    assert ended.value.code == 0
    (out,) = [Path(after) for name, after in pairwise(arguments) if name == "--out"]
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(run):
    return report(run, "--out", run.parent / "one.html", *MEASURED)


class Outline(HTMLParser):
    """Counts the elements and collects their references and titles."""

    def __init__(self, text):
        super().__init__()
        self.counts, self.references, self.titles = {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.references += [value for key, value in attrs if key in ("src", "href", "xlink:href", "srcset", "action")]
        self.titles += [value for key, value in attrs if key == "aria-label"]


def test_sections_of_the_report(page, run):
    outline = Outline(page)
    assert any("Share of each class" in title for title in outline.titles)
    assert outline.counts["svg"] == 1
    assert outline.counts["img"] == 1 + 2  # a picture, pairs; scripts show the previews
    for text in ("density-cnn-v2-digits", "seeds 0-99"):
        assert text in page
    (shown,) = recording(page)
    assert [entry["step"] for entry in shown["entries"] if "V" in entry] == [2, 4, 6, 8, 10]
    assert shown["previews"] == list(shown["pictures"]) == ["step-000000005.png", "step-000000010.png"]
    recipe = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL).group(1)
    assert yaml.safe_load(recipe.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&#39;", "'")) == {
        **yaml.safe_load((run / "recipe.yaml").read_text())
    }


def recording(page):
    text = re.search(r'<script type="application/json" id="recording">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)["runs"]


def test_text_is_escaped(page):
    assert "<h1>Digits &lt;b&gt;&amp;&lt;/b&gt; more</h1>" in page
    assert "<b>&" not in page


def test_no_external_references(page):
    for reference in Outline(page).references:
        assert reference.startswith(("data:", "#")), reference
    assert not re.search(
        r"@import|url\((?!#)|<script src|^import |fetch\((?!`runs|\"runs)|<link rel=\"stylesheet", page, re.MULTILINE
    )
    assert "connect-src" not in page  # the policy forbids requests


def test_report_is_deterministic_and_writes_charts_as_svg_files(page, run, tmp_path):
    assert report(run, "--out", tmp_path / "r.html", "--charts", tmp_path / "charts", *MEASURED) == page
    names = {path.name for path in (tmp_path / "charts").iterdir()}
    assert names == {"value.svg", "jsd.svg", "d.svg", "kid-cnn-v2-digits.svg"}
    for path in (tmp_path / "charts").iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        used, defined = (set(re.findall(pattern, path.read_text())) for pattern in (r"var\((--\w+)\)", r"(--\w+):"))
        assert used <= defined


def test_generator_without_a_run_has_no_charts(tmp_path):
    text = report("digits", "--out", tmp_path / "pages" / "x.html", "--samples", 60, "--metrics", "prdc,nearest")
    outline = Outline(text)
    assert not {"svg", "script"} & outline.counts.keys()
    assert outline.counts["img"] == 3
    assert "coverage-cnn-v2-digits" in text
    assert "parzen" not in text.split("<pre")[0]


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_browser_shows_the_report_without_errors(page, run, browser, scheme, width):
    path = run.parent / "one.html"
    requests = []
    with opened(browser, path.as_uri(), color_scheme=scheme, viewport={"width": width, "height": 900}) as shown:
        shown.on("request", lambda request: requests.append(request.url))
        shown.reload()
        shown.locator("summary").click()
        expect(shown.locator("#runs li")).to_contain_text("step 10 of 10, done")
        expect(shown.get_by_role("img", name="V(G, D).")).to_have_attribute("aria-label", re.compile(r"V -?\d"))
        expect(shown.get_by_role("img", name="kid-cnn-v2-digits.")).to_have_attribute(
            "aria-label", re.compile("averaged weights")
        )
        expect(shown.get_by_alt_text(re.compile("at step 10"))).to_be_visible()
        shown.get_by_label(re.compile("Preview of")).press("ArrowLeft")
        expect(shown.get_by_alt_text(re.compile("at step 5"))).to_be_visible()
        expect(shown.locator("#notes li")).not_to_have_count(0)
        assert serious_violations(shown) == []
        loaded = shown.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        overflow = shown.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        ink, paper, drawn = shown.evaluate(
            """() => [document.body, document.body, document.querySelector('svg text')].map((element, i) =>
                getComputedStyle(element)[['color', 'backgroundColor', 'fill'][i]])"""
        )
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert loaded
    assert overflow <= 0
    assert drawn == ink  # charts use the colors of the page
    assert (brightness(ink) < brightness(paper)) == (scheme == "light")
    assert abs(brightness(ink) - brightness(paper)) > 150


def brightness(color: str) -> float:
    return sum(map(int, re.findall(r"\d+", color)[:3])) / 3


def test_parzen_chart_of_mnist_shows_table_1(mnist, tmp_path):
    data = {"source": "mnist", "first": 200}
    recipe = validate_recipe(
        recipe_document(data=data, steps=2, ema=0, every={"log": 1, "preview": 1, "checkpoint": 1}), "test"
    )
    create_run(tmp_path / "run", recipe, torch.device("cpu")).fit()
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        for step, value in ((1, -100.0), (2, 200.0)):
            entry = {"metric": "parzen-log-likelihood", "value": value, "standard_error": 2.0}
            log.write(json.dumps({"step": step, "metrics": [entry]}) + "\n")
    text = report(tmp_path / "run", "--out", tmp_path / "x.html", "--metrics", "nearest", "--samples", 20)
    levels = recording(text)[0]["levels"]["parzen-log-likelihood"]
    assert [level["label"] for level in levels[:4]] == [
        "DBN 138 ± 2",
        "stacked CAE 121 ± 1.6",
        "deep GSN 214 ± 1.1",
        "adversarial nets 225 ± 2",
    ]


def test_several_runs_are_compared_on_one_page(run, browser, tmp_path):
    shutil.copytree(run, tmp_path / "runs" / "a")
    shutil.copytree(run, tmp_path / "runs" / "b")
    text = report(tmp_path / "runs", "--out", tmp_path / "all.html")
    assert text == report(tmp_path / "runs" / "a", tmp_path / "runs" / "b", "--out", tmp_path / "both.html")
    assert str(tmp_path) not in text
    with opened(browser, (tmp_path / "all.html").as_uri(), viewport={"width": 390, "height": 800}) as shown:
        expect(shown.locator("#runs strong")).to_have_text(["a", "b"])
        latest = re.compile("a: V .*, b: V ")
        expect(shown.get_by_role("img", name="V(G, D).")).to_have_attribute("aria-label", latest)
        assert shown.evaluate("document.documentElement.scrollWidth") <= 390
        assert serious_violations(shown) == []


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["one", "two"], "model", "not_a_directory"),
        (["one", "two", "--samples", "50"], "samples", "several_runs"),
        (["empty"], "model", "no_run"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, monkeypatch, arguments, field, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    error = run_error("report", *arguments, "--out", "x.html")
    assert (error.field, error.reason) == (field, reason)


def points(svg: str, color: str) -> list[list[float]]:
    """Return the corners of the path in a color, in units of the SVG."""
    path = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none; stroke: var\(--{color}\)', svg)[0]  # the next is the legend's
    return [[float(number) for number in re.findall(r"-?[\d.]+", corner)] for corner in re.findall(r"[ML][^ML]*", path)]


def test_lines_go_through_their_points():
    svg = chart("T", "x", [Line("a", [0, 1, 3], [5.0, 7.0, 6.0]), Line("b", [0, 3], [5.0, 5.0])])
    (x0, y0), (x1, y1), (x2, y2) = points(svg, "first")
    assert (x1 - x0) / (x2 - x0) == pytest.approx(1 / 3, abs=1e-4)
    assert (y0 - y2) / (y0 - y1) == pytest.approx(1 / 2, abs=1e-4)  # y grows downward in SVG
    assert points(svg, "second")[0] == pytest.approx([x0, y0], abs=1e-4)


def test_labels_of_levels_do_not_overlap():
    levels = [Level(f"level {value}", value) for value in (225, 214, 138, 121, 214.5)]
    svg = chart("T", "x", [Line("a", [0, 1], [-150.0, 200.0])], levels, wide=True)
    heights = sorted(float(y) for y in re.findall(r' y="([\d.]+)"[^>]*>level', svg))
    assert len(heights) == 5
    assert min(high - low for low, high in pairwise(heights)) > 8  # points; the text is 8 high


def test_heights_of_bars():
    svg = bars("T", ["a", "b"], [("one", [0.25, 0.5]), ("two", [0.75, 0.125])])
    heights = {}
    for color in ("first", "second"):
        for path in re.findall(rf'<path d="([^"]*)"[^>]*style="fill: var\(--{color}\)', svg)[:2]:
            ys = [float(y) for _, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", path)]
            heights.setdefault(color, []).append(max(ys) - min(ys))
    (a1, b1), (a2, b2) = heights["first"], heights["second"]
    assert [b1 / a1, a2 / a1, b2 / a1] == pytest.approx([2, 3, 0.5], rel=1e-3)
