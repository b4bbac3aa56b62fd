"""The course on the paper: one HTML file that computes its experiments in the browser.

The sources are plain ES modules and HTML. Browsers load no module from a file that was opened from disk, so `render_course`
puts the modules, in the order of their imports, into one inline module.
"""

import re
from pathlib import Path

import jinja2

from seedmint.training.theory.course.mathml import to_mathml

_HERE = Path(__file__).parent
_MODULES = (
    *("mathematics", "random", "objectives", "networks", "rules", "game", "experiments"),
    *("chart", "lab", "game_labs", "exact_labs", "page"),
)
_NAMESPACE = re.compile(r'^import \* as (\w+) from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:const|function) (\w+)", re.MULTILINE)


def render_course() -> str:
    """Return the HTML of the course: one file without external references. Equal sources give equal bytes."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    chapters = [
        _with_formulas(_with_heads(path.read_text(encoding="utf-8"))) for path in sorted((_HERE / "chapters").glob("*.html"))
    ]
    contents = [re.search(r'<section id="([\w-]+)"[^>]*>\s*<h2[^>]*>(.*?)</h2>', chapter, re.DOTALL) for chapter in chapters]
    return environment.from_string((_HERE / "page.html").read_text(encoding="utf-8")).render(
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        contents=[(match[1], match[2]) for match in contents if match],
        chapters="\n".join(chapters),
        script=_script(),
    )


def _with_heads(html: str) -> str:
    """Give each cell of a table the head of its column, which small screens show before the cell."""

    def table(match: re.Match[str]) -> str:
        heads = re.findall(r'<th scope="col">(.*?)</th>', match[0])
        return re.sub(r"<tr>(?!<th scope=\"col\").*?</tr>", lambda row: cells(row[0], heads), match[0], flags=re.DOTALL)

    def cells(row: str, heads: list[str]) -> str:
        head = iter(heads)
        return re.sub(r"<t[dh]\b", lambda start: f'{start[0]} data-head="{next(head)}"', row)

    return re.sub(r"<table>.*?</table>", table, html, flags=re.DOTALL)


def _with_formulas(html: str) -> str:
    """Replace $$...$$ and $...$ by MathML."""
    html = re.sub(r"\$\$(.+?)\$\$", lambda match: _block(match[1]), html, flags=re.DOTALL)
    return re.sub(r"\$([^$]+)\$", lambda match: to_mathml(match[1]), html)


def _block(tex: str) -> str:
    """Return a formula on its own line, which scrolls by itself on small screens."""
    return f'<span class="formula" role="group" aria-label="Formula">{to_mathml(tex, display=True)}</span>'


def _script() -> str:
    """Return all modules as one: without imports, each in its own scope with an object of its exports."""
    parts = []
    for name in _MODULES:
        source = (_HERE / "js" / f"{name}.js").read_text(encoding="utf-8")
        names = _EXPORT.findall(source)
        source = _NAMESPACE.sub(lambda match: f"const {match[1]} = modules.{match[2]};\n", source)
        source = re.sub(r'^import (\{[^}]*\}) from "\./(\w+)\.js";\n', r"const \1 = modules.\2;\n", source, flags=re.MULTILINE)
        source = re.sub(r"^export ", "", source, flags=re.MULTILINE)
        parts.append(f"modules.{name} = (() => {{\n{source}return {{ {', '.join(names)} }};\n}})();\n")
    return "const modules = {};\n" + "".join(parts)
