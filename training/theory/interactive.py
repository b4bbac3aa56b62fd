"""A page that plays two experiments: figure 1 of the paper and the Dirac-GAN, with a slider over the iterations."""

import json
from pathlib import Path
from typing import Any

import jinja2
from torch import Tensor

from seedmint.training.theory import dirac, figure1

_SHOWN = (-4.5, 3.5)  # of the horizontal axis of figure 1
_EVERY = 2  # of the cells of figure 1


def render_page(game: figure1.Result, point: dirac.Result) -> str:
    """Return the HTML of the page: one file without external references. Equal results give equal bytes.

    Args:
        game: Result of the experiment `figure1`.
        point: Result of the experiment `dirac`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    script = (Path(__file__).parent / "interactive.js").read_text(encoding="utf-8")
    return environment.get_template("interactive.html").render(data=_json(_data(game, point)), script=script)


def _data(game: figure1.Result, point: dirac.Result) -> dict[str, Any]:
    x = figure1.GRID.x
    window = ((x >= _SHOWN[0]) & (x <= _SHOWN[1])).nonzero()[::_EVERY, 0]
    snapshots = [
        {
            "iteration": each.iteration,
            "p_g": _rounded(each.p_g[window]),
            "d": _rounded(each.d[window]),
            "d_star": _rounded(each.d_star[window]),
            "arrows": _rounded(each.x, 2),
            "jsd": round(each.jsd, 4),
            "estimate": round(each.estimate, 4),
            "distance": round(each.distance, 4),
        }
        for each in game.all
    ]
    paths = [
        {
            "objective": objective,
            "penalty": penalty,
            "theta": _rounded(path[:, 0]),
            "psi": _rounded(path[:, 1]),
            "converges": point.converges(objective, penalty),
        }
        for (objective, penalty), path in point.paths.items()
    ]
    first = {"x": _rounded(x[window]), "p_data": _rounded(game.p_data[window]), "z": _rounded(game.last.z, 2)}
    return {"figure1": {**first, "snapshots": snapshots}, "dirac": paths}


def _rounded(values: Tensor, digits: int = 3) -> list[float]:
    return [round(float(value), digits) for value in values]


def _json(data: dict[str, Any]) -> str:
    """Return JSON that can stand in a script element."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
