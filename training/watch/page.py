"""The page of runs: served while they train, or written to a file. Both have the same scripts."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seedmint.training.watch.run_view import RunView

_STATIC = Path(__file__).parent / "static"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{policy}<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
{head}
</head>
<body>
<header>
<h1>{title}</h1>
</header>
<main class="watch">
{body}</main>
</body>
</html>
"""
_LIVE_HEAD = """<link rel="stylesheet" href="uplot.css">
<link rel="stylesheet" href="page.css">
<link rel="stylesheet" href="watch.css">
<script src="uplot.js"></script>
<script type="module" src="watch.js"></script>"""
FILE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Content security policy of a page in a file: it loads nothing, and contains its scripts."""

Levels = Mapping[str, Sequence[tuple[str, float]]]
"""By metric: reference values with their labels, drawn as lines."""


def live_page() -> str:
    """Return the page of `seedmint watch`, which asks its server for the runs."""
    return _PAGE.format(policy="", title="Training", head=_LIVE_HEAD, body=_text("body.html"))


def recorded_page(runs: Sequence[RunView]) -> str:
    """Return a page that contains runs, and loads nothing.

    Args:
        runs: The runs.
    """
    policy = f'<meta http-equiv="Content-Security-Policy" content="{FILE_POLICY}">\n'
    title = html.escape("Training of " + ", ".join(run.description["name"] for run in runs))
    head = f"<style>\n{_text('page.css')}</style>"
    return _PAGE.format(policy=policy, title=title, head=head, body=recorded_parts(runs))


def recorded_parts(runs: Sequence[RunView], levels: Levels | None = None) -> str:
    """Return the contents of an element of class "watch" in a page whose policy is `FILE_POLICY`.

    Args:
        runs: The runs.
        levels: Reference values for the charts of the metrics.
    """
    shown = {name: [{"label": label, "value": value} for label, value in pairs] for name, pairs in (levels or {}).items()}
    document: dict[str, Any] = {"runs": [run.recording() | {"levels": shown} for run in runs]}
    data = json.dumps(document, ensure_ascii=False).replace("<", "\\u003c")  # no end of the script in a text
    module = _text("charts.js").replace("\nexport ", "\n") + "\n".join(
        line for line in _text("watch.js").splitlines() if not line.startswith("import ")
    )
    return (
        f"<style>\n{_text('uplot.css')}{_text('watch.css')}</style>\n{_text('body.html')}"
        f'<script type="application/json" id="recording">{data}</script>\n'
        f"<script>{_text('uplot.js')}</script>\n"
        f'<script type="module">\n{module}\n</script>\n'
    )


def _text(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")
