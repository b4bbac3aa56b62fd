"""The live line of a training run: a bar on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from seedmint.models.card import Metric
from seedmint.training.objectives import LIMIT
from seedmint.training.runs.run import Report

_PLAIN_EVERY = 10.0  # seconds between lines where there is no terminal


class TrainingProgress:
    """Shows step, V(G, D) against its limit -log 4, the JSD estimate, D(x), D(G(z)), images/s and the time left.

    Args:
        done: steps already done.
        total: steps of the recipe.
        console: where to.
    """

    def __init__(self, done: int, total: int, console: Console) -> None:
        self._total, self._console = total, console
        self._began, self._first, self._shown = time.monotonic(), done, -_PLAIN_EVERY
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )
        self._task: TaskID = self._bar.add_task("", total=total, completed=done)

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, report: Report) -> None:
        """Show where the run stands."""
        for note in report.notes:
            text = f"Warning: {note.text}" if note.warning else note.text
            self._console.print(f"step {report.step:,}/{self._total:,}  {text}", soft_wrap=True, highlight=False)
        if report.metrics:
            text = "  ".join(show(metric) for metric in report.metrics)
            self._console.print(
                f"step {report.step:,}/{self._total:,}  {report.weights}: {text}", soft_wrap=True, highlight=False
            )
        if not report.statistics:
            return
        left = (time.monotonic() - self._began) / (report.step - self._first) * (self._total - report.step)
        text = f"{describe(report)}  {timedelta(seconds=round(left))} left"
        self._bar.update(self._task, completed=report.step, description=text)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._shown >= _PLAIN_EVERY or report.step == self._total):
            self._console.print(f"step {report.step:,}/{self._total:,}  {text}", soft_wrap=True, highlight=False)
            self._shown = now


def describe(report: Report) -> str:
    """The statistics of a report in one line; V and JSD in nats."""
    s = report.statistics
    return (
        f"V {s['V']:.3f} (-log 4 = {LIMIT:.3f})  JSD {max(0.0, s['JSD']):.3f}  "
        f"D(x) {s['D(x)']:.2f}  D(G(z)) {s['D(G(z))']:.2f}  {s['images/s']:,.0f} images/s"
    )


def show(metric: Metric) -> str:
    """A metric and its value, with the standard error where there is one."""
    error = "" if metric.standard_error is None else f" ± {metric.standard_error:.2g}"
    return f"{metric.metric} {metric.value:.4g}{error}"
