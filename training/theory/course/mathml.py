"""Converts the TeX of the course's formulas to MathML.

Browsers draw MathML, and screen readers speak it, without a script, a font or a request. The course needs few commands, so
a small converter is enough; an unknown command is an error.
"""

import re
from collections.abc import Iterator

_IDENTIFIERS = {name: f"&{name};" for name in ("theta", "psi", "mu", "sigma", "eta", "ell", "nabla")} | {"E": "&Eopf;"}
_OPERATORS = {name: f"&{name};" for name in ("le", "ge", "ne", "lt", "gt", "times", "int", "sim", "mid")} | {
    "cdot": "&middot;",
    "to": "&rarr;",
    "in": "&isin;",
    "|": "&Vert;",
    "dots": "&hellip;",
    "Leftrightarrow": "&hArr;",
    "leftarrow": "&larr;",
}
_SIGNS = {"-": "&minus;", "*": "&lowast;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_LIMITS = {"max": "max", "min": "min", "sum": "&sum;", "prod": "&prod;", "argmin": "arg min", "argmax": "arg max"}
_FUNCTIONS = ("log", "exp")
_SPACES = {",": "0.17em", "quad": "1em", ";": "0.28em"}
_TOKEN = re.compile(r"\\([A-Za-z]+|.)|(\d+(?:\.\d+)?)|([A-Z]{2,}|[A-Za-z])|(\S)")


class MathError(ValueError):
    """A formula that the converter does not know."""


def to_mathml(tex: str, display: bool = False) -> str:
    """Return a math element.

    Args:
        tex: The formula, without dollar signs.
        display: Whether the formula stands on its own line.

    Raises:
        MathError: An unknown command, or braces that do not match.
    """
    tokens = _Tokens(tex)
    content = "".join(_row(tokens, end=None))
    block = ' display="block"' if display else ""
    return f"<math{block}><mrow>{content}</mrow></math>"


class _Tokens:
    """Tokens of a formula: (kind, text), kinds `command`, `number`, `letter` and `sign`."""

    def __init__(self, tex: str) -> None:
        kinds = ("command", "number", "letter", "sign")
        self.tex = tex
        self._all = [
            next((k, t) for k, t in zip(kinds, m.groups(), strict=True) if t is not None) for m in _TOKEN.finditer(tex)
        ]
        self._at = 0

    def peek(self) -> tuple[str, str] | None:
        return self._all[self._at] if self._at < len(self._all) else None

    def next(self) -> tuple[str, str]:
        token = self.peek()
        if token is None:
            raise MathError(f"the formula ends too early: {self.tex}")
        self._at += 1
        return token


def _row(tokens: _Tokens, end: tuple[str, str] | None) -> Iterator[str]:
    """Yield the elements up to a token, which is consumed; up to the end of the formula without one."""
    while True:
        if end is None and tokens.peek() is None:
            return
        if end is not None and tokens.peek() == end:
            tokens.next()
            return
        yield _scripted(tokens)


def _scripted(tokens: _Tokens) -> str:
    """Return one element with its subscript and superscript."""
    command = tokens.peek()
    base = _element(tokens)
    scripts = {}
    while (token := tokens.peek()) in (("sign", "_"), ("sign", "^")):
        assert token is not None
        tokens.next()
        scripts[token[1]] = _element(tokens)
    if not scripts:
        return base
    below_and_above = command is not None and command[0] == "command" and command[1] in _LIMITS
    names = (
        {"_": "munder", "^": "mover", "_^": "munderover"} if below_and_above else {"_": "msub", "^": "msup", "_^": "msubsup"}
    )
    name = names["".join(sorted(scripts, reverse=True))]
    return f"<{name}>{base}{scripts.get('_', '')}{scripts.get('^', '')}</{name}>"


def _element(tokens: _Tokens) -> str:
    kind, text = tokens.next()
    if kind == "number":
        return f"<mn>{text}</mn>"
    if kind == "letter":
        return f"<mi>{text}</mi>"
    if kind == "command":
        return _command(tokens, text)
    if text == "{":
        return _group(tokens)
    if text == "}":
        raise MathError(f"a brace is closed that is not open: {tokens.tex}")
    if text in "()[]|":
        return f'<mo stretchy="false">{text}</mo>'
    return f"<mo>{_SIGNS.get(text, text)}</mo>"


def _group(tokens: _Tokens) -> str:
    """Return the content of braces. Three and more letters are one word, such as the index `data`."""
    parts = list(_row(tokens, end=("sign", "}")))
    letters = [re.fullmatch(r"<mi>([A-Za-z])</mi>", part) for part in parts]
    if len(parts) > 2 and all(letters):
        return f"<mi>{''.join(letter[1] for letter in letters if letter)}</mi>"
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _command(tokens: _Tokens, name: str) -> str:
    if name in ("frac", "tfrac"):
        return f"<mfrac>{_element(tokens)}{_element(tokens)}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_element(tokens)}</msqrt>"
    if name == "dot":
        return f'<mover accent="true">{_element(tokens)}<mo>&dot;</mo></mover>'
    if name in ("left", "right"):
        return f'<mo stretchy="true">{tokens.next()[1]}</mo>'
    if name in _LIMITS:
        return f'<mo lspace="0em" rspace="0.17em" movablelimits="false">{_LIMITS[name]}</mo>'
    if name in _FUNCTIONS:
        return f'<mrow><mspace width="0.17em"></mspace><mi>{name}</mi><mspace width="0.12em"></mspace></mrow>'
    if name in _SPACES:
        return f'<mspace width="{_SPACES[name]}"></mspace>'
    if name in _IDENTIFIERS:
        return f"<mi>{_IDENTIFIERS[name]}</mi>"
    if name in _OPERATORS:
        return f"<mo>{_OPERATORS[name]}</mo>"
    raise MathError(f"\\{name} is unknown: {tokens.tex}")
