"""Shows the progress of a run: a bar on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from seedmint.models.provenance import Metric
from seedmint.training.objectives import Objective
from seedmint.training.runs.progress import HELD_OUT_JSD, HELD_OUT_JSD_ERROR, RATES, ProgressEvent

_MIN_BAR = 12  # columns
_PREVIEW_TEXTS = 8
_LINE_INTERVAL = 10.0  # seconds between lines without a terminal


class ProgressDisplay:
    """Shows step, V(D, G), the JSD estimate, D(x), D(G(z)), examples per second and the remaining time.

    Args:
        step: Number of finished steps.
        total: Number of steps of the recipe.
        objective: The run's objective.
        console: The console to print on.
    """

    def __init__(self, step: int, total: int, objective: Objective, console: Console) -> None:
        self._total, self._objective, self._console = total, objective, console
        self._start_time, self._start_step, self._last_line = time.monotonic(), step, -_LINE_INTERVAL
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )
        self._task: TaskID = self._bar.add_task("", total=total, completed=step)

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: ProgressEvent) -> None:
        """Show one event.

        Args:
            event: The event.
        """
        for diagnostic in event.diagnostics:
            self._print_line(event.step, f"Warning: {diagnostic.message}" if diagnostic.is_warning else diagnostic.message)
        if event.metrics:
            text = "  ".join(format_metric(metric) for metric in event.metrics)
            self._print_line(event.step, f"{event.weights}: {text}")
        if event.texts:
            self._print_line(event.step, f"preview: {', '.join(event.texts[:_PREVIEW_TEXTS])}")
        if not event.statistics:
            return
        now = time.monotonic()
        seconds_left = (now - self._start_time) / (event.step - self._start_step) * (self._total - event.step)
        left = f"{timedelta(seconds=round(seconds_left))} left"
        text = f"{format_statistics(event.statistics, self._objective)}  {left}"
        self._bar.update(self._task, completed=event.step, description=self._fitting(event.statistics, left))
        if not self._console.is_terminal and (now - self._last_line >= _LINE_INTERVAL or event.step == self._total):
            self._print_line(event.step, text)
            self._last_line = now

    def _fitting(self, statistics: dict[str, float], left: str) -> str:
        """Return the remaining time, and as many statistics as fit beside the step and the bar."""
        room = self._console.width - len("step ") - len(f"{self._total}/{self._total} ") - _MIN_BAR - 2
        text = left
        for part in _parts(statistics, self._objective):
            if len(text) + 2 + len(part) > room:
                break
            text = f"{text}  {part}"
        return text

    def _print_line(self, step: int, text: str) -> None:
        self._console.print(f"step {step:,}/{self._total:,}  {text}", soft_wrap=True, highlight=False, markup=False)


def format_statistics(statistics: dict[str, float], objective: Objective) -> str:
    """Format the statistics in one line; JSD is in nats.

    Args:
        statistics: See `ProgressEvent.statistics`.
        objective: The run's objective.
    """
    return "  ".join(_parts(statistics, objective))


def _parts(s: dict[str, float], objective: Objective) -> list[str]:
    limit = "-log 4 = " if objective.estimates_jsd else "equilibrium "
    return [
        f"V {s['V']:.3f} ({limit}{objective.equilibrium:.3f})",
        *([f"JSD {s['JSD']:.3f}" + _held_out(s)] if "JSD" in s else []),
        f"D(x) {s['D(x)']:.2f}",
        f"D(G(z)) {s['D(G(z))']:.2f}",
        *([f"p {s['p']:.2f}"] if "p" in s else []),
        *([f"memorized {s['memorized']:.2f}"] if "memorized" in s else []),
        *(f"{s[name]:,.0f} {name}" for name in RATES if name in s),
    ]


def _held_out(s: dict[str, float]) -> str:
    return f" (held out {s[HELD_OUT_JSD]:.3f} ± {s[HELD_OUT_JSD_ERROR]:.3f})" if HELD_OUT_JSD in s else ""


def format_metric(metric: Metric) -> str:
    """Format a metric's name, value and standard error.

    Args:
        metric: The metric.
    """
    error = "" if metric.standard_error is None else f" ± {metric.standard_error:.2g}"
    return f"{metric.metric} {metric.value:.4g}{error}"
