"""The experiments in the order of the course: how each is run and drawn, and its numbers next to what theory says."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from seedmint.training.theory import convergence, disjoint, figure1, figures, fits, losses, optimum, small_steps

LOG_2 = math.log(2.0)


@dataclass(frozen=True)
class Number:
    """One number of an experiment: `found`, and in words or figures what the theory `says` it must be."""

    what: str
    found: float
    says: str


@dataclass(frozen=True)
class Experiment:
    """`run` takes a seed and gives a result; `draw` and `numbers` only read that."""

    title: str
    run: Callable[[int], Any]
    draw: Callable[[Any], Figure]
    numbers: Callable[[Any], Iterator[Number]]


def _figure1(result: figure1.Result) -> Iterator[Number]:
    first, last = result.all[0], result.last
    yield Number(f"JSD after iteration {first.iteration:,}, nats", first.jsd, "at most log 2 = 0.693")
    yield Number(f"JSD after {last.iteration:,} iterations, nats", last.jsd, "0")
    yield Number("(V + log 4) / 2 of D then, nats", last.estimate, "at most the JSD")
    yield Number("root mean square of D - D* then", last.distance, "0")
    yield Number("D at the data's mean then", result.centre, "1/2")


def _optimum(result: optimum.Result) -> Iterator[Number]:
    yield Number("largest |D - D*|, all shifts", result.largest, "0")
    yield Number("most that an estimate falls short of the JSD, nats", result.gap, "0, from above")
    for trained in result.trained:
        says = f"JSD {trained.jsd:.4f} by quadrature"
        yield Number(f"estimate from samples at shift {trained.shift:g}, ± {trained.error:.4f} nats", trained.sampled, says)


def _convergence(result: convergence.Result) -> Iterator[Number]:
    yield Number(f"JSD after {len(result.whole) - 1} whole steps in the space of densities, nats", result.whole[-1], "0")
    yield Number("distance of each step from halving p_g - p_data", result.half, "0")
    yield Number("JSD of the two-parameter generator at the end, nats", result.parametric[-1], "0")
    yield Number("most that C rises above its chord, random mixtures of densities", result.worst, "at most 0: convex in p_g")
    yield Number("most that it rises above its chord, means in between", result.above, "above 0: not convex in θ")


def _small_steps(result: small_steps.Result) -> Iterator[Number]:
    truth, estimate = result.slopes
    yield Number("slope of the true JSD where G stands", truth, "equal to the next")
    yield Number("slope of what the old D says", estimate, "equal to the one before")
    for step, curvature in zip((0.1, 0.01, 0.001), result.curvature, strict=True):
        yield Number(f"(truth - estimate) / step² at step {step:g}", curvature, "a constant: the error is quadratic")
    for rate, divergences in zip(result.rates, result.divergences, strict=True):
        yield Number(
            f"JSD after {len(divergences) - 1} G-steps of rate {rate:g}, nats", divergences[-1], "0 while rates are small"
        )


def _losses(result: losses.Result) -> Iterator[Number]:
    yield Number("largest relative error of the slopes' ratio from (1 - D) / D", result.ratio_error, "0")
    for distance in (2.0, 4.0, 8.0):
        for name in result.pulls:
            yield Number(
                f"pull on G at distance {distance:g}, {name}", -result.pull(name, distance), "minimax fades, the flip grows"
            )
    yield Number("gradient of -log D* from that of KL - 2 JSD, at most", result.flipped_error, "0")
    yield Number("gradient of log(1 - D*) from that of 2 JSD, at most", result.printed_error, "0")


def _disjoint(result: disjoint.Result) -> Iterator[Number]:
    for trained in result.trained:
        says = "log 2 = 0.6931" if trained.theta >= 1 else f"θ log 2 = {trained.theta * LOG_2:.4f}"
        yield Number(f"JSD at θ = {trained.theta:g}, nats", trained.jsd, says)
        if trained.theta >= 1:
            yield Number(f"estimate from D at θ = {trained.theta:g}, nats", trained.estimate, "at most the JSD")
            yield Number(f"share that D sorts rightly at θ = {trained.theta:g}", trained.accuracy, "1")
            yield Number(f"gradient that reaches G at θ = {trained.theta:g}, minimax", abs(trained.pulls["minimax"][-1]), "0")
        else:
            pull, says = trained.pulls["minimax"][-1], "2 log 2 = 1.386, the slope of 2 JSD"
            yield Number(f"gradient that reaches G at θ = {trained.theta:g}, minimax", pull, says)
        yield Number(f"Wasserstein-1 at θ = {trained.theta:g}", trained.wasserstein, f"{trained.theta:g}")


def _fits(result: fits.Result) -> Iterator[Number]:
    for separation in result.shown:
        for name in fits.DIVERGENCES:
            found = result.at(name, separation)
            yield Number(
                f"{name}, modes {separation:g} apart: mass of the fit on the lesser mode's side",
                found.right,
                "about 0.4 if it covers both, 0 if it drops it",
            )
    for name in fits.DIVERGENCES:
        says = "infinite: it never does" if name == "KL(p_data || p_g)" else "finite"
        yield Number(f"{name}: separation of the modes at which the best fit leaves one", result.leaves_at(name), says)


def _without_seed(run: Callable[[], Any]) -> Callable[[int], Any]:
    """An experiment by quadrature alone: nothing in it is random."""
    return lambda _: run()


EXPERIMENTS = {
    "figure1": Experiment("Figure 1: D, D* and p_g while both train", figure1.run, figures.draw_figure1, _figure1),
    "optimum": Experiment(
        "Proposition 1, theorem 1: the best D, and what its value measures", optimum.run, figures.draw_optimum, _optimum
    ),
    "convergence": Experiment(
        "Proposition 2: with D at its optimum, p_g goes to p_data", convergence.run, figures.draw_convergence, _convergence
    ),
    "small-steps": Experiment(
        "Why a G-step must be small", _without_seed(small_steps.run), figures.draw_small_steps, _small_steps
    ),
    "losses": Experiment("The generator's two losses", _without_seed(losses.run), figures.draw_losses, _losses),
    "disjoint": Experiment("Disjoint supports", disjoint.run, figures.draw_disjoint, _disjoint),
    "fits": Experiment("Covering modes, and dropping them", _without_seed(fits.run), figures.draw_fits, _fits),
}


def markdown_section(name: str, title: str, numbers: list[Number]) -> str:
    """The picture and the numbers of one experiment in Markdown."""
    rows = [f"| {_escaped(number.what)} | {number.found:.4g} | {_escaped(number.says)} |" for number in numbers]
    heading = [f"## {_escaped(title)}", "", f"![{_escaped(title)}]({name}.png)", ""]
    return "\n".join([*heading, "| | found | theory says |", "|---|---|---|", *rows, ""])


def _escaped(text: str) -> str:
    """With the signs that would end a cell or begin an emphasis made plain."""
    return re.sub(r"[|*_]", r"\\\g<0>", text)
