"""The rule of a filter: which images of a data set are kept, by the probabilities that a classifier gives to their classes."""

import operator
import re
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from seedmint.models.card_part import Sha256
from seedmint.models.errors import UserError
from seedmint.models.seeds import quoted

Score = Literal["margin", "confidence", "label_confidence"]
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_RULE = re.compile(rf"\s*({'|'.join(get_args(Score))})\s*(>=|<=|>|<)\s*(0(?:\.[0-9]{{1,9}})?|1(?:\.0{{1,9}})?)\s*", re.ASCII)


class PlanFilter(BaseModel):
    """The filter of a plan.

    Attributes:
        rule: The rule, as `FilterRule` prints it.
        classifier: Name of the classifier.
        model: SHA-256 of the file of the classifier.
    """

    rule: str
    classifier: str
    model: Sha256

    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterRule:
    """A comparison of a score with a number, such as "margin > 0.9".

    Attributes:
        score: "margin": the largest probability minus the second largest. "confidence": the largest probability.
            "label_confidence": the probability of the image's own label.
    """

    def __init__(self, text: str) -> None:
        """
        Args:
            text: The rule: a score, one of > >= < <=, and a number from 0 to 1.

        Raises:
            UserError: The rule is malformed.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise UserError(
                f"{quoted(text)} is no rule: compare {', '.join(get_args(Score))} with a number from 0 to 1: margin > 0.9",
                field="filter",
                reason="malformed_filter",
            )
        self.score: Score = match[1]  # type: ignore[assignment]  # the expression has the values of `Score`
        self._operator = match[2]
        self._threshold = float(match[3])

    def __str__(self) -> str:
        return f"{self.score} {self._operator} {self._threshold:.9g}"

    def accepts(self, probabilities: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Return which images the rule keeps.

        Args:
            probabilities: float32[n, classes].
            labels: int64[n]; None for an unconditional generator, which has no `label_confidence`.

        Returns:
            bool[n].
        """
        kept: NDArray[np.bool_] = _OPERATORS[self._operator](self._scores(probabilities, labels), self._threshold)
        return kept

    def _scores(self, probabilities: NDArray[np.float32], labels: NDArray[np.int64] | None) -> NDArray[np.float64]:
        match self.score:
            case "confidence":
                scores = probabilities.max(axis=1)
            case "margin":
                highest = np.sort(probabilities, axis=1)
                scores = highest[:, -1] - highest[:, -2]
            case "label_confidence":
                assert labels is not None
                scores = probabilities[np.arange(len(labels)), labels]
        exact: NDArray[np.float64] = scores.astype(np.float64)  # so that the comparison is not rounded
        return exact
