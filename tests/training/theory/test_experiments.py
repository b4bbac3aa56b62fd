"""The predictions of the theory, in small versions of the experiments."""

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from seedmint.cli import main
from seedmint.training.cli.theory import EXPERIMENT_NAMES
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.theory import convergence, dirac, disjoint, figure1, fits, losses, optimum, ring, small_steps
from seedmint.training.theory.experiments import EXPERIMENTS, Number, markdown_section
from seedmint.training.theory.figure_style import png, styled

LOG_2 = math.log(2)


def test_figure1():
    result = figure1.run(shown=(5, 150), others=10)
    first, last = result.all[0], result.last
    assert first.jsd > 0.4
    assert last.jsd < 0.03
    assert last.distance < 0.05
    assert result.d_at_mean == pytest.approx(0.5, abs=0.1)
    for snapshot in result.all:
        assert snapshot.estimate <= snapshot.jsd + 1e-9  # V(D, G) is at most V(D*, G)
        assert float(figure1.GRID.integral(snapshot.p_g)) == pytest.approx(1.0, abs=1e-9)


def test_optimum():
    result = optimum.run(shifts=(0.0, 1.0, 3.0), steps=500, m=256)
    assert result.largest < 0.25
    assert result.trained[0].logistic_distance > 0.2  # a logistic regression cannot express D*
    for trained in result.trained:
        assert trained.distance < 0.03
        assert trained.jsd - 0.005 < trained.estimate <= trained.jsd + 1e-12
        assert trained.sampled == pytest.approx(trained.estimate, abs=5 * trained.error + 1e-12)


def test_convergence():
    result = convergence.run(steps=12, parametric_steps=40, segments=50)
    for path in (result.full_steps, result.small_steps, result.parametric):
        above_rounding = [value for value in path if value > 1e-12]
        assert all(later < earlier for earlier, later in itertools.pairwise(above_rounding))
    assert result.full_steps[-1] < 2e-5  # halved twelve times, and quadratic
    assert result.halving_error < 1e-12
    assert result.parametric[-1] < 1e-9
    assert result.max_excess <= 1e-12
    assert result.max_above_chord > 0.1
    chord = result.t * result.mixed[-1]
    assert bool((result.mixed <= chord + 1e-12).all())


def test_small_steps():
    result = small_steps.run()
    truth, estimate = result.slopes
    assert estimate == pytest.approx(truth, rel=1e-3)
    assert result.curvature == pytest.approx([result.curvature[-1]] * 3, rel=0.1)
    assert result.curvature[-1] > 0.05
    assert bool((result.estimate <= result.truth + 1e-12).all())
    assert float(result.estimate[-1]) < -1 < 0 < float(result.truth[-1])
    slow, *_, fast = result.divergences
    assert slow[-1] < 1e-3
    assert fast[-1] > 0.1


def test_losses():
    result = losses.run(points=9)
    assert result.ratio_error < 1e-12
    np.testing.assert_allclose(result.slopes["minimax"], -result.logits.sigmoid(), rtol=1e-12)  # d/dl log(1 - sigmoid l)
    np.testing.assert_allclose(result.slopes["non-saturating"], -(-result.logits).sigmoid(), rtol=1e-12)
    assert result.non_saturating_error < 1e-6
    assert result.minimax_error < 1e-6
    assert abs(result.gradient_at("minimax", 8.0)) < 1e-2 * abs(result.gradient_at("minimax", 2.0))
    assert abs(result.gradient_at("non-saturating", 8.0)) > abs(result.gradient_at("non-saturating", 2.0))


@pytest.mark.parametrize("distance", [2.0, 8.0])
def test_pull_of_the_minimax_loss_includes_the_tail_of_p_g(distance):
    """The gradient is -E[D*(G(z))] distance. At distance 8, D* is near 0 except in the tail of p_g that faces the data."""

    def integrand(x):
        return stats.norm.pdf(x, -distance) * distance / (1 + math.exp(-distance * (x + distance / 2)))

    expected, _ = integrate.quad(integrand, -distance - 12, 12, points=[-distance / 2], epsabs=1e-14, limit=500)
    found = losses.run(points=5).gradient_at("minimax", distance)
    assert -found == pytest.approx(expected, rel=1e-6)
    assert distance != 8.0 or -found == pytest.approx(3.9287e-4, rel=1e-4)


def test_disjoint():
    result = disjoint.run(thetas=(0.5, 1.5, 4.0), steps=400, m=128)
    near, *apart = result.trained
    assert near.jsd == pytest.approx(LOG_2 / 2, abs=1e-12)
    assert near.estimate == pytest.approx(near.jsd, abs=0.03)
    assert near.gradients["minimax"][-1] == pytest.approx(2 * LOG_2, rel=0.25)  # the slope of 2 JSD = 2 θ log 2
    for trained in apart:
        assert trained.jsd == pytest.approx(LOG_2, abs=1e-12)
        assert trained.wasserstein == pytest.approx(trained.theta, abs=1e-12)
        assert trained.estimate == pytest.approx(LOG_2, abs=1e-2)
        assert trained.accuracy == 1.0
        assert abs(trained.gradients["minimax"][-1]) < 0.02 < 1 < abs(trained.gradients["non-saturating"][-1])


def test_fits_cover_or_drop_modes():
    separation = 6.0
    covering, dropping = fits.fit("KL(p_data || p_g)", separation), fits.fit("KL(p_g || p_data)", separation)
    mean = sum(w * sign * separation / 2 for w, sign in zip(fits.WEIGHTS, (-1, 1), strict=True))
    variance = fits.STDS[0] ** 2 + (separation / 2) ** 2 - mean**2
    assert (covering.mean, covering.std) == pytest.approx((mean, math.sqrt(variance)), abs=1e-5)  # the moments match
    assert (dropping.mean, dropping.std) == pytest.approx((-separation / 2, fits.STDS[0]), abs=0.02)
    assert dropping.divergence == pytest.approx(-math.log(fits.WEIGHTS[0]), abs=0.01)
    weight = fits.WEIGHTS[0]  # the fit equals one distant mode; the JSD is that of (w, 1 - w) and (1, 0)
    half = (1 + weight) / 2
    apart = (weight * math.log(weight / half) + (1 - weight) * math.log(2) - math.log(half)) / 2
    assert fits.fit("JSD", separation).divergence == pytest.approx(apart, abs=1e-3)


def test_order_in_which_the_divergences_drop_a_mode():
    result = fits.run(separations=(2.0, 2.75, 3.25, 3.75, 4.5, 5.0), shown=())
    order = ["KL(p_g || p_data) - 2 JSD", "KL(p_g || p_data)", "JSD", "KL(p_data || p_g)"]
    assert [result.drop_separation(name) for name in order] == [3.25, 3.75, 5.0, math.inf]


@pytest.mark.slow
def test_dirac_gan_converges_only_with_penalties_that_are_zero_at_the_data():
    """Mescheder et al., 2018: without a penalty and with WGAN-GP, the game cycles; with R1 or R2, it converges."""
    result = dirac.run(iterations=150)
    for objective, penalty in result.paths:
        assert result.converges(objective, penalty) == (penalty in ("R1", "R2")), (objective, penalty)


def test_ring_has_samples_of_each_objective():
    result = ring.run(steps=2)
    assert result.counts.keys() == set(itertools.product(OBJECTIVES, ring.PENALTIES))
    assert all(points.shape == (2000, 2) and bool(points.isfinite().all()) for points in result.samples.values())


def test_command_is_deterministic(tmp_path, capsys):
    digests = []
    for directory in (tmp_path / "one", tmp_path / "two"):
        with pytest.raises(SystemExit) as ended:
            main(["theory", "--only", "small-steps", "--out", str(directory)])
        assert ended.value.code == 0
        assert {path.name for path in directory.iterdir()} == {"small-steps.png", "numbers.md"}
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(directory.iterdir())])
    assert digests[0] == digests[1]
    assert "| -0.2248 |" in capsys.readouterr().out


def test_every_experiment_has_a_figure_and_numbers():
    assert tuple(EXPERIMENTS) == EXPERIMENT_NAMES
    small = {
        "figure1": lambda: figure1.run(shown=(1, 2, 3, 4), others=2),
        "optimum": lambda: optimum.run(shifts=(0.0, 1.0), steps=3, m=8),
        "convergence": lambda: convergence.run(steps=5, parametric_steps=5, segments=2),
        "disjoint": lambda: disjoint.run(thetas=(0.5, 1.5), steps=10, m=8),
        "fits": lambda: fits.run(separations=(2.0, 3.0), shown=(2.0, 3.0)),
        "dirac": lambda: dirac.run(iterations=3),
        "ring": lambda: ring.run(steps=1),
    }
    for name, run in small.items():
        result = run()
        with styled():
            assert png(EXPERIMENTS[name].draw(result)).startswith(b"\x89PNG")
        numbers = list(EXPERIMENTS[name].numbers(result))
        assert numbers
        assert not any(math.isnan(number.value) for number in numbers)


def test_docs_contain_every_experiment():
    docs = Path(__file__).parents[3] / "docs"
    page, numbers = ((docs / name).read_text(encoding="utf-8") for name in ("theory.md", "theory/numbers.md"))
    assert {path.stem for path in (docs / "theory").glob("*.png")} == set(EXPERIMENT_NAMES)
    for name, experiment in EXPERIMENTS.items():
        assert f"](theory/{name}.png)" in page
        assert markdown_section(name, experiment.title, []).strip() in numbers


def test_markdown_is_escaped():
    text = markdown_section("optimum", "D and D*", [Number("largest |D - D*|", 0.25, "0")])
    assert text.splitlines()[-1] == r"| largest \|D - D\*\| | 0.25 | 0 |"
    assert "![D and D\\*](optimum.png)" in text
