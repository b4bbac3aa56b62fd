"""The command `theory`."""

import time
from pathlib import Path

import click

from seedmint.models.files import write_whole

EXPERIMENT_NAMES = ("figure1", "optimum", "convergence", "small-steps", "losses", "disjoint", "fits", "dirac", "ring")


@click.command()
@click.option(
    "--out",
    default="theory",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the figures and of numbers.md.",
)
@click.option("--only", multiple=True, type=click.Choice(EXPERIMENT_NAMES), help="Run only this experiment; repeatable.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, (1 << 32) - 1), help="Seed of weights and samples."
)
@click.option("--interactive", is_flag=True, help="Write only course.html, the interactive course, at once.")
def theory(out: Path, only: tuple[str, ...], seed: int, interactive: bool) -> None:
    """Check the paper's theory numerically on densities with known formulas, and draw figures.

    \b
    Examples:
      seedmint theory --out docs/theory
      seedmint theory --only losses --out /tmp/losses
      seedmint theory --interactive --out /tmp/course

    \b
    Experiments:
      figure1      D and D* = p_data / (p_data + p_g) during Algorithm 1 (figure 1)
      optimum      D trained to its optimum; V(G, D*) = -log 4 + 2 JSD (proposition 1, theorem 1)
      convergence  with D at its optimum, the JSD converges to zero (proposition 2)
      small-steps  why each step of G must be small
      losses       log(1 - D) and -log D, their gradients, and the KL - 2 JSD of the second
      disjoint     disjoint supports: JSD = log 2 and no gradient
      fits         KL and JSD: covering modes and dropping modes
      dirac        a game of three numbers: which objectives and penalties converge
      ring         eight Gaussians with each objective, without and with penalties

    The command writes NAME.png for each experiment, and numbers.md with all numbers and the values that the theory predicts.
    All experiments take about three minutes on one idle core. docs/theory.md explains the figures.

    course.html is a course on the paper. It computes its experiments in the browser, and needs no network.
    """
    if interactive:
        _write_course(out, only)
        return

    import torch

    from seedmint.training.theory.experiments import EXPERIMENTS, markdown_section
    from seedmint.training.theory.figure_style import png, styled

    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    sections = []
    for name in only or EXPERIMENT_NAMES:
        experiment = EXPERIMENTS[name]
        click.echo(f"{experiment.title} …", err=True, nl=False)
        start_time = time.monotonic()
        result = experiment.run(seed)
        with styled():
            write_whole(out / f"{name}.png", png(experiment.draw(result)))
        sections.append(markdown_section(name, experiment.title, list(experiment.numbers(result))))
        click.echo(f" {time.monotonic() - start_time:.0f} s, {out / f'{name}.png'}", err=True)
    text = "\n".join(sections)
    header = f"# The theory in numbers\n\nWritten by `seedmint theory`, seed {seed}.\n\n"
    write_whole(out / "numbers.md", f"{header}{text}".encode())
    click.echo(text)


def _write_course(out: Path, only: tuple[str, ...]) -> None:
    from seedmint.training.theory.course import render_course

    if only:
        raise click.UsageError("--interactive runs no experiment here: leave out --only")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "course.html", render_course().encode())
    click.echo(f"open {out / 'course.html'}", err=True)
