"""The command `theory`."""

import time
from pathlib import Path

import click
import torch

from seedmint.models.files import write_whole

NAMES = ("figure1", "optimum", "convergence", "small-steps", "losses", "disjoint", "fits")


@click.command()
@click.option(
    "--out",
    default="theory",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the pictures and of numbers.md.",
)
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Run this experiment alone; may be repeated.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, (1 << 32) - 1), help="Of weights and samples.")
def theory(out: Path, only: tuple[str, ...], seed: int) -> None:
    """Check the paper's theory on densities with known formulas, and draw it.

    \b
    figure1      D against D* = p_data / (p_data + p_g) while Algorithm 1 trains (figure 1)
    optimum      D trained to its optimum; V(G, D*) = -log 4 + 2 JSD (proposition 1, theorem 1)
    convergence  with D at its optimum the JSD falls to zero (proposition 2)
    small-steps  why G may move only a little before D is trained again
    losses       log(1 - D) and -log D, their gradients, and the KL - 2 JSD of the flip
    disjoint     supports that do not meet: JSD = log 2 and no gradient
    fits         KL against JSD: covering modes, and dropping them

    Writes NAME.png for each, and numbers.md: the pictures, and every number next to what the theory says. All of it takes about
    a minute on one core that has nothing else to do. docs/theory.md is the course that goes with the pictures.

    \b
    seedmint theory --out docs/theory
    seedmint theory --only losses --out /tmp/losses
    """
    from seedmint.training.theory.course import EXPERIMENTS, section
    from seedmint.training.theory.figure_style import png, styled

    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    sections = []
    for name in only or NAMES:
        experiment = EXPERIMENTS[name]
        click.echo(f"{experiment.title} …", err=True, nl=False)
        began = time.monotonic()
        result = experiment.run(seed)
        with styled():
            write_whole(out / f"{name}.png", png(experiment.draw(result)))
        sections.append(section(name, experiment.title, list(experiment.numbers(result))))
        click.echo(f" {time.monotonic() - began:.0f} s, {out / f'{name}.png'}", err=True)
    text = "\n".join(sections)
    write_whole(out / "numbers.md", f"# The theory in numbers\n\nWritten by `seedmint theory`, seed {seed}.\n\n{text}".encode())
    click.echo(text)
