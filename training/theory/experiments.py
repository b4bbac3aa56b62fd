"""The experiments in the order of docs/theory.md: their runs, figures, and numbers with the theory's predictions."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from seedmint.training.theory import (
    convergence,
    dirac,
    disjoint,
    figure1,
    figures,
    fits,
    game_figures,
    losses,
    optimum,
    ring,
    small_steps,
)

LOG_2 = math.log(2.0)


@dataclass(frozen=True)
class Number:
    """One number of an experiment.

    Attributes:
        name: Name of the quantity.
        value: The computed value.
        prediction: The prediction of the theory.
    """

    name: str
    value: float
    prediction: str


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        title: Title of the experiment's section.
        run: Returns the result for a seed.
        draw: Returns the figure of a result.
        numbers: Yields the numbers of a result.
    """

    title: str
    run: Callable[[int], Any]
    draw: Callable[[Any], Figure]
    numbers: Callable[[Any], Iterator[Number]]


def _figure1(result: figure1.Result) -> Iterator[Number]:
    first, last = result.all[0], result.last
    yield Number(f"JSD after iteration {first.iteration:,}, nats", first.jsd, "at most log 2 = 0.693")
    yield Number(f"JSD after {last.iteration:,} iterations, nats", last.jsd, "0")
    yield Number("(V + log 4) / 2 of D after training, nats", last.estimate, "at most the JSD")
    yield Number("root mean square of D - D* after training", last.distance, "0")
    yield Number("D at the mean of the data after training", result.d_at_mean, "1/2")


def _optimum(result: optimum.Result) -> Iterator[Number]:
    yield Number("largest |D - D*|, all shifts", result.largest, "0")
    yield Number("largest root mean square of D - D*, all shifts", max(trained.distance for trained in result.trained), "0")
    first = result.trained[0]
    yield Number(
        f"root mean square of D - D* of the best logistic regression at shift {first.shift:g}",
        first.logistic_distance,
        "above 0: the logit of D* is not linear",
    )
    yield Number("largest difference between the JSD and its estimate, nats", result.gap, "0, positive")
    for trained in result.trained:
        prediction = f"JSD {trained.jsd:.4f} by quadrature"
        yield Number(
            f"estimate from samples at shift {trained.shift:g}, ± {trained.error:.4f} nats", trained.sampled, prediction
        )


def _convergence(result: convergence.Result) -> Iterator[Number]:
    yield Number(
        f"JSD after {len(result.full_steps) - 1} steps with η = 1 in the space of densities, nats", result.full_steps[-1], "0"
    )
    yield Number("largest difference between a step and halving p_g - p_data", result.halving_error, "0")
    yield Number("JSD of the two-parameter generator at the end, nats", result.parametric[-1], "0")
    yield Number(
        "largest excess of C over its chord, random mixtures of densities", result.max_excess, "at most 0: convex in p_g"
    )
    yield Number(
        "largest excess of C over its chord, along the mean of a Gaussian", result.max_above_chord, "above 0: not convex in θ"
    )


def _small_steps(result: small_steps.Result) -> Iterator[Number]:
    truth, estimate = result.slopes
    yield Number("slope of the true JSD at step 0", truth, "equal to the next row")
    yield Number("slope of the estimate of the old D at step 0", estimate, "equal to the row above")
    for step, curvature in zip((0.1, 0.01, 0.001), result.curvature, strict=True):
        yield Number(f"(truth - estimate) / step² at step {step:g}", curvature, "a constant: the error is quadratic")
    for rate, divergences in zip(result.rates, result.divergences, strict=True):
        yield Number(
            f"JSD after {len(divergences) - 1} steps of G with rate {rate:g}, nats", divergences[-1], "0 for small rates"
        )


def _losses(result: losses.Result) -> Iterator[Number]:
    yield Number("largest relative difference between the ratio of the slopes and (1 - D) / D", result.ratio_error, "0")
    for distance in (2.0, 4.0, 8.0):
        for name in result.gradients:
            yield Number(
                f"negative gradient of the mean of G at distance {distance:g}, {name}",
                -result.gradient_at(name, distance),
                "minimax decreases, non-saturating increases",
            )
    yield Number("largest difference between the gradients of -log D* and KL - 2 JSD", result.non_saturating_error, "0")
    yield Number("largest difference between the gradients of log(1 - D*) and 2 JSD", result.minimax_error, "0")


def _disjoint(result: disjoint.Result) -> Iterator[Number]:
    for trained in result.trained:
        prediction = "log 2 = 0.6931" if trained.theta >= 1 else f"θ log 2 = {trained.theta * LOG_2:.4f}"
        yield Number(f"JSD at θ = {trained.theta:g}, nats", trained.jsd, prediction)
        if trained.theta >= 1:
            yield Number(f"estimate from D at θ = {trained.theta:g}, nats", trained.estimate, "at most the JSD")
            yield Number(f"share that D classifies correctly at θ = {trained.theta:g}", trained.accuracy, "1")
            yield Number(f"gradient of G at θ = {trained.theta:g}, minimax", abs(trained.gradients["minimax"][-1]), "0")
        else:
            gradient, prediction = trained.gradients["minimax"][-1], "2 log 2 = 1.386, the slope of 2 JSD"
            yield Number(f"gradient of G at θ = {trained.theta:g}, minimax", gradient, prediction)
        yield Number(f"Wasserstein-1 at θ = {trained.theta:g}", trained.wasserstein, f"{trained.theta:g}")


def _fits(result: fits.Result) -> Iterator[Number]:
    for separation in result.shown:
        for name in fits.DIVERGENCES:
            fit = result.at(name, separation)
            yield Number(
                f"{name}, modes {separation:g} apart: mass of the fit on the side of the smaller mode",
                fit.right,
                "about 0.4 if the fit covers both modes, 0 if it drops one",
            )
    for name in fits.DIVERGENCES:
        prediction = "infinite: it never drops a mode" if name == "KL(p_data || p_g)" else "finite"
        yield Number(
            f"{name}: separation of the modes at which the best fit drops one", result.drop_separation(name), prediction
        )


def _dirac(result: dirac.Result) -> Iterator[Number]:
    for objective, penalty in result.paths:
        prediction = "0" if penalty in ("R1", "R2") else "does not converge"
        yield Number(f"|θ| at the end, {objective}, penalty {penalty}", result.distance(objective, penalty), prediction)


def _ring(result: ring.Result) -> Iterator[Number]:
    for (objective, penalty), counts in result.counts.items():
        yield Number(f"modes of 8, {objective}, penalty {penalty}", counts.hit, "8")
        yield Number(f"share of samples near a mode, {objective}, penalty {penalty}", counts.quality, "0.989")


def _without_seed(run: Callable[[], Any]) -> Callable[[int], Any]:
    """Return a run that ignores the seed, for an experiment without random numbers."""
    return lambda _: run()


EXPERIMENTS = {
    "figure1": Experiment("Figure 1: D, D* and p_g during training", figure1.run, figures.draw_figure1, _figure1),
    "optimum": Experiment(
        "Proposition 1, theorem 1: the optimal D, and the divergence that its value measures",
        optimum.run,
        figures.draw_optimum,
        _optimum,
    ),
    "convergence": Experiment(
        "Proposition 2: with D at its optimum, p_g converges to p_data", convergence.run, figures.draw_convergence, _convergence
    ),
    "small-steps": Experiment(
        "Why each step of G must be small", _without_seed(small_steps.run), figures.draw_small_steps, _small_steps
    ),
    "losses": Experiment("The generator's two losses", _without_seed(losses.run), figures.draw_losses, _losses),
    "disjoint": Experiment("Disjoint supports", disjoint.run, figures.draw_disjoint, _disjoint),
    "fits": Experiment("Covering and dropping modes", _without_seed(fits.run), figures.draw_fits, _fits),
    "dirac": Experiment(
        "The Dirac-GAN: which objectives and penalties converge", _without_seed(dirac.run), game_figures.draw_dirac, _dirac
    ),
    "ring": Experiment("Eight Gaussians with each objective", ring.run, game_figures.draw_ring, _ring),
}


def markdown_section(name: str, title: str, numbers: list[Number]) -> str:
    """Return the figure and the numbers of one experiment in Markdown.

    Args:
        name: Name of the experiment, and of its PNG.
        title: Title of the section.
        numbers: The numbers.
    """
    rows = [f"| {_escaped(number.name)} | {number.value:.4g} | {_escaped(number.prediction)} |" for number in numbers]
    heading = [f"## {_escaped(title)}", "", f"![{_escaped(title)}]({name}.png)", ""]
    return "\n".join([*heading, "| | value | theory |", "|---|---|---|", *rows, ""])


def _escaped(text: str) -> str:
    """Escape the characters that end a cell or start an emphasis."""
    return re.sub(r"[|*_]", r"\\\g<0>", text)
