"""Draws the figures of the experiments from their results."""

import math

from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from seedmint.training.theory import convergence, disjoint, figure1, fits, losses, optimum, small_steps
from seedmint.training.theory.affine import density
from seedmint.training.theory.figure_style import (
    BLACK,
    BLUE,
    D_STAR,
    DATA,
    GREEN,
    GREY,
    MODEL,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    D,
    curve,
    panels,
)

_LOG_2 = math.log(2.0)
_NEGLIGIBLE = 5e-3  # of a density, per unit of x
_LOSS_STYLES = {
    "minimax": {"color": BLUE, "linestyle": "--", "linewidth": 2.0, "label": "minimax, log(1 - D)"},
    "non-saturating": {"color": RED, "linewidth": 2.0, "label": "non-saturating, -log D"},
}


def draw_figure1(result: figure1.Result) -> Figure:
    """Draw four snapshots as in the paper, and the JSD with its estimate over the training."""
    figure = Figure(figsize=(10.5, 6.8), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    axes = above.subplots(2, len(result.shown), sharex=True, sharey="row", height_ratios=[3, 1])
    x = figure1.GRID.x
    for column, snapshot in enumerate(result.shown):
        upper, lower = axes[0, column], axes[1, column]
        has_mass = result.p_data + snapshot.p_g > _NEGLIGIBLE  # elsewhere D* is a ratio of two negligible numbers
        curve(upper, x, result.p_data, label=r"$p_{data}$", **DATA)
        curve(upper, x, snapshot.p_g, label=r"$p_g$", **MODEL)
        curve(upper, x[has_mass], snapshot.d_star[has_mass], label=r"$D^*$", **D_STAR)
        curve(upper, x, snapshot.d, label=r"$D$", **D)
        upper.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
        upper.set(xlim=(-4.5, 3.5), ylim=(0.0, 1.05), title=f"({'abcd'[column]}) iteration {snapshot.iteration:,}")
        lower.set(ylim=(0.0, 1.0), yticks=[0.0, 1.0], yticklabels=["z", "x"])
        lower.grid(visible=False)
        for z, position in zip(snapshot.z, snapshot.x, strict=True):
            arrow = {"arrowstyle": "-|>", "mutation_scale": 5, "linewidth": 0.6, "color": GREEN, "alpha": 0.8}
            lower.add_artist(ConnectionPatch((float(z), 0.0), (float(position), 1.0), "data", "data", **arrow))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    above.legend(handles, labels, loc="outside upper center", ncols=4)
    left, right = below.subplots(1, 2)
    iterations = [snapshot.iteration for snapshot in result.all]
    curve(left, iterations, [s.jsd for s in result.all], color=GREEN, linewidth=2.2, label="JSD, by quadrature")
    curve(left, iterations, [s.estimate for s in result.all], **D, label="(V(D, G) + log 4) / 2, from the current D")
    left.set(xscale="log", xlabel="iteration", ylabel="nats", title="The JSD, and its lower bound from D")
    left.set_ylim(-0.02, 1.1 * max(s.jsd for s in result.all))
    left.legend(loc="upper right")
    curve(right, iterations, [s.distance for s in result.all], color=ORANGE, linewidth=2.0)
    right.set(xscale="log", xlabel="iteration", ylabel=r"root mean square of $D - D^*$", title="Distance of D from its optimum")
    right.set_ylim(bottom=0.0)
    return figure


def draw_optimum(result: optimum.Result) -> Figure:
    """Draw the trained D with D*, and the JSD with its estimates."""
    figure, (left, right) = panels(2, height=3.8)
    shown = [trained for trained in result.trained if trained.shift in (0.0, 2.0, 4.0)]
    x = optimum.GRID.x
    for trained, color in zip(shown, (BLUE, GREEN, PURPLE), strict=False):
        curve(left, x, trained.d_star, color=color, linewidth=5.0, alpha=0.35)
        curve(left, x[trained.inside], trained.d[trained.inside], color=color, linewidth=1.6, linestyle=(0, (5, 2)))
        left.plot([], [], color=color, linewidth=2.5, label=f"s = {trained.shift:g}")
    curve(left, x, shown[0].logistic, color=RED, linewidth=1.4, linestyle=(0, (1, 1.3)), label="s = 0, logistic regression")
    left.set(xlim=(-4.0, 6.0), ylim=(-0.02, 1.3), xlabel="x", ylabel="D(x)", title=r"Trained D (dashed) and $D^*$ (broad)")
    left.legend(loc="upper right", ncols=2)
    curve(right, result.shifts, result.curve, color=GREEN, linewidth=2.2, label=r"JSD($p_{data}$‖$p_g$), by quadrature")
    points = [[trained.shift for trained in result.trained], [trained.sampled for trained in result.trained]]
    right.plot(*points, "o", color=BLUE, markersize=6.5, label="(V + log 4) / 2, from trained D and samples")
    right.axhline(_LOG_2, color=GREY, linewidth=0.8, linestyle=":")
    right.text(0.0, _LOG_2 + 0.012, "log 2", color=GREY, fontsize=9)
    right.set(
        xlabel=r"shift s of $p_g$ = N(s, 1)", ylabel="nats", title="The value of D estimates the divergence", ylim=(-0.02, 0.78)
    )
    right.legend(loc="lower right")
    return figure


def draw_convergence(result: convergence.Result) -> Figure:
    """Draw p_g over the steps, the JSD over the steps, and the criterion on a segment of densities and of parameters."""
    figure, (left, middle, right) = panels(3)
    x = convergence.GRID.x
    for step, density_g in list(enumerate(result.densities))[4::-1]:
        style = {"color": GREEN, "alpha": 1.0 - 0.17 * (4 - step), "linewidth": 1.8}
        curve(left, x, density_g, label=f"{step}", **style)
    curve(left, x, result.p_data, **DATA)
    left.set(xlim=(-6.5, 5.0), xlabel="x", title=r"$p_g$ after 0 to 4 steps with η = 1")
    left.text(1.7, 0.215, r"$p_{data}$", color=BLACK)
    left.set_ylim(bottom=0.0)
    left.legend(title="steps", loc="upper right")
    marks = {"linewidth": 2.0, "markersize": 3.5}
    curve(middle, range(len(result.full_steps)), result.full_steps, color=GREEN, marker="o", label=r"$p_g$, η = 1", **marks)
    curve(
        middle,
        range(len(result.small_steps)),
        result.small_steps,
        color=SKY,
        marker="s",
        label=rf"$p_g$, η = {result.rate:g}",
        **marks,
    )
    shown = result.parametric[: len(result.full_steps)]
    curve(middle, range(len(shown)), shown, color=PURPLE, linestyle="--", label=r"G(z) = $\mu + \sigma z$", **marks)
    middle.set(yscale="log", ylim=(1e-11, 2.0), xlabel="steps", ylabel="JSD, nats", title="The JSD falls at every step")
    middle.legend(loc="lower left")
    curve(right, result.t, result.shifted, color=RED, linestyle="--", linewidth=2.0, label="N(6t, 1)")
    curve(right, result.t, result.mixed, color=GREEN, linewidth=2.0, label="(1 - t) N(0, 1) + t N(6, 1)")
    curve(right, result.t, result.t * result.mixed[-1], color=GREY, linewidth=1.0, linestyle=":", label="chord")
    right.set(xlabel="t", ylabel="JSD to N(0, 1), nats", title=r"Convex in $p_g$, not in θ", ylim=(-0.02, 0.95))
    right.legend(loc="upper left")
    return figure


def draw_small_steps(result: small_steps.Result) -> Figure:
    """Draw estimate and truth over the size of one step, and descents."""
    figure, (left, right) = panels(2, height=3.8)
    curve(left, result.steps, result.truth, color=GREEN, linewidth=2.2, label="true JSD")
    curve(left, result.steps, result.estimate, **D, label="estimate of the old D: (V + log 4) / 2")
    left.axhspan(-2.0, 0.0, color="#F3F3F3")
    left.text(2.1, -0.12, "a divergence is never negative", color=GREY, fontsize=9)
    left.axvline(-small_steps.START, color=GREY, linewidth=0.8, linestyle=":")
    left.text(-small_steps.START + 0.06, 0.42, r"$p_g = p_{data}$", color=GREY)
    left.set(
        ylim=(-1.5, 0.55), xlim=(0.0, 4.0), xlabel="size of the step of G", ylabel="nats", title="One step of G with a fixed D"
    )
    left.legend(loc="lower left")
    styles = ((GREEN, "o", "-"), (BLUE, "s", "--"), (RED, "^", "-"))
    for rate, path, (color, marker, line_style) in zip(result.rates, result.paths, styles, strict=True):
        style = {"color": color, "marker": marker, "linestyle": line_style, "markersize": 4, "linewidth": 1.4}
        curve(right, range(len(path)), path, label=f"rate {rate:g}", **style)
    right.axhline(0.0, color=GREY, linewidth=0.8, linestyle=":")
    right.set(xlim=(-0.5, 20.5), ylim=(-2.3, 2.3), xticks=range(0, 21, 5), xlabel="iteration; D is optimal before each step")
    right.set(ylabel=r"θ, the mean of $p_g$", title="Descents with three learning rates")
    right.legend(loc="upper right", ncols=3, columnspacing=1.0)
    return figure


def draw_losses(result: losses.Result) -> Figure:
    """Draw the losses over the logit of D(G(z)), their gradients over the distance, and the divergences that they descend."""
    figure, (left, middle, right) = panels(3, height=3.7)
    for name, style in _LOSS_STYLES.items():
        curve(left, result.logits, result.losses[name], **style)
        curve(middle, result.distances[1:], -result.gradients[name][1:], **style)
    left.set(xlim=(-8.0, 8.0), ylim=(-8.0, 8.0), xlabel="logit of D(G(z))", ylabel="loss, nats")
    left.set_title("Flat in the logit where D is near 0")
    left.annotate(
        "early in training:\nlog(1 - D) has slope -D,\n-log D has slope -(1 - D)",
        (-5.0, 0.0),
        (-7.6, -6.6),
        color=GREY,
        fontsize=9,
        arrowprops={"arrowstyle": "->", "color": GREY},
    )
    left.legend(loc="upper right")
    middle.set(
        yscale="log",
        ylim=(1e-4, 20.0),
        xlabel=r"distance of $p_g$ from $p_{data}$",
        ylabel="negative gradient of the mean of G",
    )
    middle.set_title("Minimax gradients vanish (D = D*)")
    middle.legend(loc="lower left")
    for slopes, gradients, color, divergence, loss in (
        (result.non_saturating_differences, result.non_saturating, RED, "KL - 2 JSD", "-log D*"),
        (result.minimax_differences, result.minimax, BLUE, "2 JSD", "log(1 - D*)"),
    ):
        curve(right, result.means, slopes[:, 0], color=color, linewidth=4.5, alpha=0.35, label=f"slope of {divergence}")
        curve(right, result.means, gradients[:, 0], color=color, marker=".", linestyle="", label=f"gradient of {loss}")
    right.set(xlabel=r"mean of $p_g$", title="Each loss and its divergence")
    right.legend(loc="upper left")
    return figure


def draw_disjoint(result: disjoint.Result) -> Figure:
    """Draw JSD and Wasserstein distance over the shift, and the gradients of G over the training of D."""
    figure, (left, right) = panels(2, height=3.8)
    curve(left, result.thetas, result.jsd, color=GREEN, linewidth=2.2, label="JSD, by quadrature")
    shifts = [trained.theta for trained in result.trained]
    left.plot(
        shifts, [trained.estimate for trained in result.trained], "o", color=BLUE, label="(V + log 4) / 2, from trained D"
    )
    curve(left, result.thetas, result.wasserstein, color=PURPLE, linewidth=2.0, linestyle="--", label="Wasserstein-1")
    left.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
    left.text(0.96, 1.9, "overlap", color=GREY, ha="right")
    left.text(1.05, 1.9, "disjoint", color=GREY)
    left.set(
        ylim=(-0.05, 2.3),
        xlabel=r"shift θ of $p_g$",
        ylabel="nats; Wasserstein: units of x",
        title="Disjoint supports: constant JSD",
    )
    left.legend(loc="lower right")
    apart = [trained for trained in result.trained if trained.theta > 1]
    for trained, width in zip(apart, (2.4, 1.7, 1.0), strict=False):
        for name, style in _LOSS_STYLES.items():
            label = style["label"] if trained is apart[0] else None
            gradients = [abs(gradient) for gradient in trained.gradients[name]]
            curve(right, trained.counts[1:], gradients[1:], **{**style, "linewidth": width, "label": label})
    right.set(xscale="log", yscale="log", ylim=(1e-6, 100.0), xlabel="updates of D", ylabel="|gradient of θ|")
    right.set_title("A better D gives smaller minimax gradients")
    shifts_apart = ", ".join(f"{trained.theta:g}" for trained in apart)
    right.legend(loc="lower left", title=f"θ = {shifts_apart}: broad to thin", alignment="left")
    return figure


def draw_fits(result: fits.Result) -> Figure:
    """Draw the best Gaussians for two separations of the modes, and their widths over the separation."""
    figure, (near, far, right) = panels(3, height=3.7)
    styles = [(BLUE, "--", 2.0), (GREEN, "-", 3.2), (RED, "-.", 2.0), (ORANGE, (0, (1, 1)), 2.0)]
    labels = [r"KL($p_{data}$‖$p_g$)", "JSD", r"KL($p_g$‖$p_{data}$)", r"KL($p_g$‖$p_{data}$) - 2 JSD"]
    for axes, separation in zip((near, far), result.shown, strict=True):
        x = fits.GRID.x
        axes.fill_between(x.tolist(), fits.p_data(separation).log_prob(x).exp().tolist(), color="#DDDDDD", label=r"$p_{data}$")
        for name, label, (color, style, width) in zip(fits.DIVERGENCES, labels, styles, strict=True):
            fit = result.at(name, separation)
            y = density(fit.theta).log_prob(x).exp()
            curve(axes, x, y, color=color, linestyle=style, linewidth=width, label=label, zorder=5 - width)
        axes.set(xlim=(-7.0, 7.0), ylim=(0.0, 0.62), xticks=range(-6, 7, 3), xlabel="x", title=f"Modes {separation:g} apart")
    near.legend(loc="upper right", fontsize=8.5)
    for name, (color, style, width) in zip(fits.DIVERGENCES, styles, strict=True):
        curve(
            right,
            result.separations,
            [fit.std for fit in result.fits[name]],
            color=color,
            linestyle=style,
            linewidth=width,
            zorder=5 - width,
        )
    right.set(
        xlabel="separation of the modes",
        ylabel="standard deviation of the fit",
        title="Where each fit drops a mode",
        ylim=(0.0, 3.2),
    )
    return figure
