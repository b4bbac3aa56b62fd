"""Draws the figures of the experiments on objectives and penalties."""

from matplotlib.figure import Figure

from seedmint.training.datasets.generated import RING_MODES, RING_RADIUS
from seedmint.training.objectives import OBJECTIVES
from seedmint.training.theory import dirac, ring
from seedmint.training.theory.figure_style import BLACK, BLUE, GREEN, GREY, PURPLE, RED, SKY, curve, panels

_COLORS = dict(zip(OBJECTIVES, (BLUE, RED, GREEN, BLACK, PURPLE, SKY), strict=True))


def draw_dirac(result: dirac.Result) -> Figure:
    """Draw |theta| over the iterations, one panel for each penalty."""
    figure, axes = panels(len(dirac.PENALTIES), width=12.0, height=3.4)
    for panel, penalty in zip(axes, dirac.PENALTIES, strict=True):
        for objective, color in _COLORS.items():
            distance = result.paths[objective, penalty][:, 0].abs()
            curve(panel, range(len(distance)), distance, color=color, linewidth=1.6, label=objective)
        panel.set(title=penalty, xlabel="iteration", ylim=(-0.1, 4.1))
    axes[0].set_ylabel(r"$|\theta|$")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_COLORS))
    return figure


def draw_ring(result: ring.Result) -> Figure:
    """Draw the generated samples of each objective, without penalties above and with penalties below."""
    figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    axes = figure.subplots(len(ring.PENALTIES), len(OBJECTIVES), sharex=True, sharey=True, squeeze=False)
    limit = 1.6 * RING_RADIUS
    for row, penalty in zip(axes, ring.PENALTIES, strict=True):
        for panel, (objective, color) in zip(row, _COLORS.items(), strict=True):
            points, counts = result.samples[objective, penalty], result.counts[objective, penalty]
            panel.scatter(*RING_MODES.T, s=60, facecolors="none", edgecolors=GREY, linewidths=1.0)
            panel.scatter(*points.T.tolist(), s=1.5, color=color, linewidths=0)
            panel.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
            panel.set_title(f"{objective}: {counts.hit} modes, {counts.quality:.0%}", fontsize=8)
        row[0].set_ylabel(f"penalty: {penalty}", color=BLACK)
    return figure
