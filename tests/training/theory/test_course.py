"""The course, opened in a browser: its functions and figures agree with Python's."""

import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from seedmint.cli import main
from seedmint.training.objectives import GENERATOR_LOSSES
from seedmint.training.theory import convergence, dirac, fits, losses
from seedmint.training.theory.course import render_course
from seedmint.training.theory.course.mathml import MathError, to_mathml
from seedmint.training.theory.densities import Grid, gaussian, mixture, uniform
from seedmint.training.theory.divergences import jsd, kl, optimal_logits, value_by_quadrature, wasserstein
from tests.support.axe import serious_violations
from tests.support.browser import chromium, needs_chromium, opened
from tests.training.theory.line_game import GRID as GAME_GRID
from tests.training.theory.line_game import CountedMinibatches, Settings, play

PAGE = Path(__file__).parents[3] / "docs" / "theory" / "course.html"
LINE = Grid(-14.0, 14.0, 1400)
BIMODAL = mixture([0.6, 0.4], [-1.5, 1.5], [0.5, 0.8])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with opened(browser, PAGE.as_uri(), viewport={"width": 1280, "height": 900}) as page:
        yield page


def test_the_published_page_is_that_of_the_sources():
    assert PAGE.read_text(encoding="utf-8") == render_course()


def test_the_page_links_only_to_its_own_sections_and_the_paper():
    html = render_course()
    ids = re.findall(r'\bid="([\w-]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([\w-]+)"', html)) <= set(ids)
    assert "src=" not in html
    assert set(re.findall(r'(?:href|url)[=(]"?(https?:[^")]+)', html)) == {"https://arxiv.org/abs/1406.2661"}


def test_formulas():
    assert to_mathml("a_{data}^2") == "<math><mrow><msubsup><mi>a</mi><mi>data</mi><mn>2</mn></msubsup></mrow></math>"
    assert "<mfrac><mn>1</mn><mrow><mi>x</mi><mo>&minus;</mo><mi>y</mi></mrow></mfrac>" in to_mathml(r"\frac{1}{x - y}")
    assert "<munder>" in to_mathml(r"\max_D V")
    for wrong in (r"\unknown", "{x", "x}", "x_"):
        with pytest.raises(MathError):
            to_mathml(wrong)


def expected_optimum(mean: float, std: float) -> dict[str, float]:
    log_data, log_g = BIMODAL.log_prob(LINE.x), gaussian(mean, std).log_prob(LINE.x)
    logits = optimal_logits(log_data, log_g)
    return {
        "value": float(value_by_quadrature(LINE, log_data, log_g, logits)),
        "jsd": float(jsd(LINE, log_data, log_g)),
        "kl": float(kl(LINE, log_data, log_g)),
        "reverseKl": float(kl(LINE, log_g, log_data)),
    }


@needs_chromium
def test_functions_of_the_page_agree_with_python(page: Page):
    def call(expression: str):
        return page.evaluate(f"() => {{ const e = course.experiments; return {expression}; }}")

    found = call("(({value, jsd, kl, reverseKl}) => ({value, jsd, kl, reverseKl}))(e.optimum(e.BIMODAL, 0.5, 1.2))")
    assert found == pytest.approx(expected_optimum(0.5, 1.2), abs=1e-9)

    log_data = gaussian(0.0, 1.0).log_prob(LINE.x)
    for candidate, values in zip((3.0, 0.5), call("e.candidateValues([3, 0.5], [0, 1, 1.5])"), strict=True):
        log_g = gaussian(candidate, 1.0).log_prob(LINE.x)
        logits = optimal_logits(log_data, log_g)
        assert values == pytest.approx(
            [float(value_by_quadrature(LINE, log_data, log_g, t * logits)) for t in (0, 1, 1.5)], abs=1e-9
        )

    result = convergence.run(steps=6, parametric_steps=1, segments=1)
    assert call("e.descent(1, 6).divergences") == pytest.approx(result.full_steps, rel=1e-9)
    assert call("e.descent(0.25, 6).divergences") == pytest.approx(result.small_steps, rel=1e-9)
    segments = call("e.segments(6, [0, 0.25, 0.5, 1])")
    assert segments["mixed"] == pytest.approx([float(result.mixed[i]) for i in (0, 25, 50, 100)], abs=1e-9)
    assert segments["shifted"] == pytest.approx([float(result.shifted[i]) for i in (0, 25, 50, 100)], abs=1e-9)

    cells = Grid(-2.0, 6.0, 800)
    for theta in (0.0, 0.5, 2.5):
        supports = call(f"(({{jsd, wasserstein, kl}}) => ({{jsd, wasserstein, kl: String(kl)}}))(e.supports({theta}))")
        p, q = uniform(0.0, 1.0).log_prob(cells.x), uniform(theta, theta + 1).log_prob(cells.x)
        assert supports["jsd"] == pytest.approx(min(theta, 1) * math.log(2), abs=1e-9)
        assert supports["wasserstein"] == pytest.approx(float(wasserstein(cells, p, q)), abs=1e-9)
        assert supports["kl"] == ("Infinity" if theta else "0")
    shift = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    logits = -4 * (shift + (torch.arange(256, dtype=torch.float64) + 0.5) / 256 - 1.25)
    pulls = {
        name: float(torch.autograd.grad(loss(logits), shift, retain_graph=True)[0]) for name, loss in GENERATOR_LOSSES.items()
    }
    assert call("e.pullBetweenSupports(1.5, 4)") == pytest.approx(pulls, rel=1e-9)

    gradients = losses.run(points=5)
    for name, distance in itertools.product(GENERATOR_LOSSES, (2.0, 8.0)):
        assert call(f"e.pull({distance}, '{name}')") == pytest.approx(-gradients.gradient_at(name, distance), rel=1e-6)

    games = dirac.run(8)
    for (objective, penalty), path in games.paths.items():
        found = call(f"e.dirac({{objective: '{objective}', penalty: '{penalty}', iterations: 8}})")
        np.testing.assert_allclose(found, path, atol=1e-9, err_msg=f"{objective} {penalty}")

    def value(q: float, a: float, b: float) -> float:
        return math.log(a * b) / 2 + q * math.log(1 - a) + (1 - q) * math.log(1 - b)

    assert call("e.twoPointValue(0.3, 0.4, 0.7)") == pytest.approx(value(0.3, 0.4, 0.7))
    levels = np.linspace(0.01, 0.99, 99)
    assert call("e.bestD(0.3).value") == pytest.approx(
        max(value(0.3, a, b) for a, b in itertools.product(levels, levels)), abs=1e-4
    )
    assert call("e.bestG(0.35, 0.65)") == pytest.approx({"q": 0, "value": min(value(q, 0.35, 0.65) for q in (0.0, 0.5, 1.0))})
    assert call("e.bestD(1).value") == pytest.approx(math.log(1 / 3) / 2 + math.log(2 / 3))

    neuron = torch.full((2,), 2.0, dtype=torch.float64, requires_grad=True)
    outputs = []
    for _ in range(30):
        y = neuron.sum().sigmoid()
        outputs.append(y.item())
        (slope,) = torch.autograd.grad(y.square() / 2, neuron)
        neuron = (neuron - 0.15 * slope).detach().requires_grad_()
    assert call("e.neuron(4, 0.15, 29).quadratic") == pytest.approx(outputs, rel=1e-9)

    for name in fits.DIVERGENCES:
        fit, expected = call(f"e.fit({json.dumps(name)}, 3.5)"), fits.fit(name, 3.5)
        assert (fit["mean"], fit["std"], fit["divergence"]) == pytest.approx(
            (expected.mean, expected.std, expected.divergence), abs=1e-4
        )


def drawn(page: Page, chart: str, name: str) -> np.ndarray:
    """Return the points (x, y) of a curve, from the pixels of its path."""
    path, box = page.evaluate(
        """([chart, name]) => {
        const svg = document.getElementById(chart);
        const path = [...svg.querySelectorAll("path[data-name]")].find((each) => each.dataset.name === name);
        return [path.getAttribute("d"), JSON.parse(svg.dataset.box)];
        }""",
        [chart, name],
    )
    pixels = np.array(re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path), dtype=float)
    x = box["x"][0] + (pixels[:, 0] - box["left"]) / (box["right"] - box["left"]) * (box["x"][1] - box["x"][0])
    y = box["y"][0] + (box["bottom"] - pixels[:, 1]) / (box["bottom"] - box["top"]) * (box["y"][1] - box["y"][0])
    return np.stack([x, y], axis=1)


START = {
    "distance": 3,
    "objective": "minimax",
    "rule": "adam",
    "rateD": -2,
    "rateG": -2.75,
    "k": 5,
    "j": 1,
    "prior": "normal",
} | {
    "n": 0,
    "seed": 1,
}
GAME = {
    "objective": "hinge",
    "rule": "rmsprop",
    "rateD": -2.5,
    "rateG": -3,
    "k": 2,
    "j": 3,
    "prior": "uniform",
    "n": 4,
    "seed": 7,
}


def python_settings(settings: dict, **place: object) -> Settings:
    sizes = [0, 3, 5, 10, 20, 50, 100, 500]
    rates = 10.0 ** settings.pop("rateD", -2), 10.0 ** settings.pop("rateG")
    return Settings(rates=rates, n=sizes[settings.pop("n", 0)], **settings, **place)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [{}, {"distance": 6}, *({name: value} for name, value in GAME.items())]
    + [{"objective": name} for name in ("non-saturating", "relativistic", "least-squares", "wasserstein")]
    + [{"rule": name} for name in ("sgd", "momentum")],
    ids=lambda changed: "-".join(f"{key}={value}" for key, value in changed.items()) or "start",
)
def test_each_slider_of_the_game_gives_the_figure_of_algorithm_1(page: Page, changed: dict):
    page.evaluate("(values) => course.labs.game.set(values)", START)
    page.locator("#game-iterations").fill("20")
    for name, value in changed.items():
        control = page.locator(f"#game-{name}")
        if isinstance(value, str):
            control.select_option(value)
        else:
            control.fill(str(value))
    page.locator("#game .bar button").click()
    expect(page.locator("#game .status")).to_contain_text("Finished")
    settings = {"rateG": -2.75, **changed}
    distance = float(settings.pop("distance", 3))
    expected = play(python_settings(settings, start=-distance / 2, means=[distance / 2 + 0.42, distance / 2 - 0.78]), 20)
    check_game(page, "game", expected)


def check_game(page: Page, lab: str, expected: dict) -> None:
    result = page.evaluate(f"() => course.labs['{lab}'].result")
    for name in ("jsd", "estimate", "mean", "std"):
        assert result[name] == pytest.approx(expected[name], rel=1e-6, abs=1e-8), name
    for name, curve in (("p_g", expected["pG"]), ("D", expected["d"])):
        points = drawn(page, f"{lab}-chart0", name)
        np.testing.assert_allclose(points[:, 0], GAME_GRID.x, atol=0.02)
        inside = np.abs(curve.numpy()) < 5  # the chart clips what is far outside
        np.testing.assert_allclose(points[inside, 1], curve.numpy()[inside], atol=1e-3, err_msg=name)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"separation": 2},
        {"n": 3},
        {"rule": "momentum", "rateD": -1.5, "rateG": -2.5},
        {"n": 5, "seed": 3, "objective": "non-saturating", "k": 1},
    ],
    ids=str,
)
def test_likelihood_fit_beside_a_gan_fit(page: Page, changed: dict):
    values = {
        "separation": 4,
        "rateD": -2,
        "rateG": -2,
        "n": 0,
        "seed": 1,
        "objective": "minimax",
        "rule": "adam",
        "k": 5,
        "iterations": 20,
        **changed,
    }
    page.evaluate("(values) => { course.labs.likelihood.set(values); course.labs.likelihood.finish(); }", values)
    half = float(values.pop("separation")) / 2
    values.pop("iterations")
    place = {"weights": [0.6, 0.4], "means": [-half, half], "stds": [0.7, 0.7], "start": -1.0, "generator": "line"}
    settings = python_settings({"rateG": -2, **values}, **place)
    check_game(page, "likelihood", play(settings, 20))
    examples = CountedMinibatches(settings).examples
    mean = -0.2 * half
    mean, std = (
        (mean, math.sqrt(0.49 + half**2 - mean**2))
        if not settings.n
        else (float(examples.mean()), float(examples.std(correction=0)))
    )
    assert page.evaluate("() => course.labs.likelihood.result.likelihood") == pytest.approx({"mean": mean, "std": std})


@needs_chromium
@pytest.mark.slow
def test_comparison_plays_the_game_with_each_value(page: Page):
    page.evaluate("(values) => course.labs.game.set(values)", START)
    for varied, values in (("k, updates of D", {"1": {"k": 1}, "10": {"k": 10}}), ("prior", {"uniform": {"prior": "uniform"}})):
        page.evaluate(
            "(varied) => { course.labs.compare.set({varied, iterations: 20}); course.labs.compare.finish(); }", varied
        )
        for label, changed in values.items():
            found = page.evaluate("(label) => course.labs.compare.result[label]", label)
            assert found[-1] == pytest.approx([20, play(Settings(**changed), 20)["jsd"]], rel=1e-6)
            np.testing.assert_allclose(drawn(page, "compare-chart0", label)[-1], found[-1], atol=2e-3)


@needs_chromium
@pytest.mark.slow
def test_each_slider_of_the_exact_experiments_draws_the_figure_of_python(page: Page):
    def curve(lab: str, name: str, chart: int = 0):
        return drawn(page, f"{lab}-chart{chart}", name)

    for settings in ({"mean": -1.0}, {"std": 2.0}):
        for lab, shown in (("optimum", "p_g"), ("divergence", "p_g")):
            for name, value in {"mean": 0.5, "std": 1.0, **settings}.items():
                page.locator(f"#{lab}-{name}").fill(str(value))
            mean, std = settings.get("mean", 0.5), settings.get("std", 1.0)
            points = curve(lab, shown)
            np.testing.assert_allclose(
                points[:, 1], gaussian(mean, std).log_prob(torch.from_numpy(points[:, 0])).exp(), atol=4e-3
            )
            expected = expected_optimum(mean, std)
            result = page.evaluate(f"() => course.labs.{lab}.result")
            assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-9)
        points = curve("optimum", "D*")
        x = torch.from_numpy(points[:, 0])
        np.testing.assert_allclose(points[:, 1], (BIMODAL.log_prob(x) - gaussian(mean, std).log_prob(x)).sigmoid(), atol=1e-2)
    page.locator("#optimum-x").fill("1.5")
    ys = curve("optimum", "a log y + b log(1 \N{MINUS SIGN} y)", 1)
    a, b = (float(p.log_prob(torch.tensor(1.505)).exp()) for p in (BIMODAL, gaussian(0.5, 2.0)))
    assert ys[ys[:, 1].argmax(), 0] == pytest.approx(a / (a + b), abs=0.02)

    page.locator("#candidates-t").fill("1.5")
    assert page.evaluate("() => course.labs.candidates.result.now[2]") == pytest.approx(
        page.evaluate("() => course.experiments.candidateValues([0.5], [1.5])[0][0]")
    )
    page.locator("#convexity-far").fill("6")
    reference = convergence.run(steps=8, rate=0.5, parametric_steps=1, segments=1)
    np.testing.assert_allclose(curve("convexity", "shift N(far t, 1)")[:, 1], reference.shifted[::2], atol=2e-3)
    page.locator("#convexity-far").fill("3")
    np.testing.assert_allclose(curve("convexity", "shift N(far t, 1)")[:, 1], reference.shifted[:51], atol=2e-3)
    page.locator("#descent-eta").fill("1")
    page.locator("#descent-step").fill("3")
    points = curve("descent", "p_g")
    expected_p_g = np.interp(points[:, 0], convergence.GRID.x, reference.densities[3])
    np.testing.assert_allclose(points[:, 1], expected_p_g, atol=4e-3)
    page.locator("#descent-eta").fill("0.5")
    assert page.evaluate("() => course.labs.descent.result.divergences.slice(0, 9)") == pytest.approx(
        reference.small_steps, rel=1e-9
    )

    page.locator("#fits-separation").fill("6")
    fit = fits.fit("KL(p_g || p_data)", 6.0)
    points = curve("fits", "KL(p_g ‖ p_data)")
    np.testing.assert_allclose(
        points[:, 1], gaussian(fit.mean, fit.std).log_prob(torch.from_numpy(points[:, 0])).exp(), atol=4e-3
    )

    page.locator("#supports-theta").fill("2.5")
    np.testing.assert_allclose(
        curve("supports", "JSD", 1)[:, 1], [min(t, 1) * math.log(2) for t in np.linspace(0, 4, 17)], atol=5e-3
    )
    page.locator("#supports-sharpness").fill("10")
    points = curve("supports", "D")
    np.testing.assert_allclose(points[:, 1], 1 / (1 + np.exp(10 * (points[:, 0] - 1.75))), atol=5e-3)
    for x, answer in ((-1, "any value"), (0.5, "D* = 1"), (3, "D* = 0")):
        page.locator("#supports-x").fill(str(x))
        expect(page.locator("#supports .numbers")).to_contain_text(answer)

    page.locator("#losses-distance").fill("8")
    expected_pull = -losses.run(points=5).gradient_at("minimax", 8.0)
    assert page.evaluate("() => course.labs.losses.result.pulls.minimax") == pytest.approx(expected_pull, rel=1e-6)
    page.locator("#losses-logit").fill("2")
    expect(page.locator("#losses .numbers")).to_contain_text("0.881")  # D(G(z))
    points = curve("losses", "minimax")
    np.testing.assert_allclose(points[:, 1], -np.log1p(np.exp(points[:, 0])), atol=0.05)

    page.locator("#order-q").fill("0.5")
    page.locator("#order-a").fill("0.8")
    page.locator("#order-b").fill("0.2")
    assert page.evaluate("() => course.labs.order.result.bestG.q") == 1
    assert page.evaluate("() => course.labs.order.result.bestD.value") == pytest.approx(-math.log(4))
    assert page.evaluate("() => course.labs.order.result.value") == pytest.approx(
        math.log(0.8 * 0.2) / 2 + math.log(0.2 * 0.8) / 2
    )

    page.locator("#dirac-at").fill("40")
    page.locator("#dirac-rate").fill("-1")
    paths = dirac.run(40)
    for objective, penalty in (("minimax", "none"), ("wasserstein", "R1"), ("non-saturating", "WGAN-GP")):
        page.locator("#dirac-objective").select_option(objective)
        page.locator("#dirac-penalty").select_option(penalty)
        np.testing.assert_allclose(curve("dirac", "θ", 1)[:, 1], paths.paths[objective, penalty][:, 0], atol=2e-2)
    before = page.evaluate("() => course.labs.dirac.result.theta[40]")
    page.locator("#dirac-rule").select_option("momentum")
    assert page.evaluate("() => course.labs.dirac.result.theta[40]") != before

    for name, value in (("logit", "3"), ("rate", "0.5"), ("epochs", "100")):
        page.locator(f"#neuron-{name}").fill(value)
    logit = 3.0
    for _ in range(100):
        logit -= 2 * 0.5 / (1 + math.exp(-logit))
    assert curve("neuron", "cross-entropy", 1)[-1] == pytest.approx([100, 1 / (1 + math.exp(-logit))], abs=5e-3)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_page_is_readable_and_accessible(browser: Browser, width: int, scheme: str):
    with opened(browser, PAGE.as_uri(), viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert serious_violations(page) == []
        sliders = page.locator("input[type=range], select")
        names = sliders.evaluate_all("(nodes) => nodes.map((node) => node.labels[0].textContent)")
        assert all(names)
        first = page.locator("#optimum-mean")
        before = first.input_value()
        first.focus()
        page.keyboard.press("ArrowRight")
        assert first.input_value() != before
        assert page.locator("#optimum-chart0").get_attribute("aria-label")
        page.locator("#likelihood-iterations").fill("10")
        page.locator("button[data-lab=likelihood]").first.click()
        expect(page.locator("#likelihood .status")).to_contain_text("Finished")


def test_command_writes_the_course_and_runs_no_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments, code in (([], 0), (["--only", "losses"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(["theory", "--interactive", "--out", str(tmp_path / "out"), *arguments])
        assert ended.value.code == code
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["course.html"]
    assert (tmp_path / "out" / "course.html").read_text(encoding="utf-8") == render_course()
