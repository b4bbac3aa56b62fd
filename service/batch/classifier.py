"""Runs a shipped classifier for the filter of a data set, and checks its outputs on this machine, as generators are checked."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from seedmint.models.card import Card
from seedmint.models.classifier import CLASSIFIERS, METADATA_KEY, classifier_file, reference_digest, reference_images
from seedmint.models.errors import UserError
from seedmint.models.runtime.provider import open_session
from seedmint.service.batch.filter_rule import FilterRule, PlanFilter
from seedmint.service.runtime.arrays import Outputs
from seedmint.service.runtime.output_check import Determinism

_BATCHES = (1, 7)  # sizes of batches whose outputs are compared with those of the whole reference


class FilterError(UserError):
    """A filter cannot be used. The same command always fails."""

    reason = "no_classifier"
    status = 2


class Classifier:
    """A shipped classifier. Safe to use from several threads.

    Attributes:
        name: Its name, such as "cnn-v2-mnist".
        digest: SHA-256 of its file.
        shape: Height, width and channels of its images.
        num_classes: Number of its classes.
        determinism: "exact" if its outputs for the reference images, in batches of any size, are those of the file.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: The file of the classifier.

        Raises:
            OSError: The file is not readable.
        """
        content = path.read_bytes()
        model = onnx.load_model_from_string(content)
        properties = {entry.key: entry.value for entry in model.metadata_props}
        self.name = path.stem
        self.digest = hashlib.sha256(content).hexdigest()
        self.shape = tuple(axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim[1:])
        self.num_classes: int = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        self._session = open_session(content, "cpu", 1, len(model.graph.node))
        self.determinism = self._check(json.loads(properties[METADATA_KEY])["reference"])

    def probabilities(self, images: Outputs) -> NDArray[np.float32]:
        """Return the probabilities of the classes.

        Args:
            images: uint8[n, height, width, channels].

        Returns:
            float32[n, classes].
        """
        outputs: NDArray[np.float32] = self._session.run(None, {"images": images})[0]
        return outputs

    def _check(self, reference: str) -> Determinism:
        images = reference_images(self.shape)
        outputs = self.probabilities(images)
        is_exact = reference_digest(outputs) == reference
        for size in _BATCHES:
            is_exact &= np.array_equal(self.probabilities(images[:size]), outputs[:size])
        return "exact" if is_exact else "approximate"


@cache
def open_classifier(name: str) -> Classifier:
    """Open a shipped classifier, once in a process.

    Args:
        name: Its name.

    Raises:
        FilterError: There is no such classifier.
    """
    path = CLASSIFIERS / f"{name}.onnx"
    if not path.is_file():
        raise FilterError(f"this version of Seedmint has no classifier {name!r}", field="filter", reason="other_classifier")
    return Classifier(path)


def plan_filter(text: str | None, card: Card) -> PlanFilter | None:
    """Return the filter of a plan.

    Args:
        text: The rule; None for no filter.
        card: The card of the generator.

    Raises:
        UserError: The rule is malformed, or does not suit the generator.
    """
    if text is None:
        return None
    rule = FilterRule(text)
    path = classifier_file(card)
    classifier = None if path is None else open_classifier(path.stem)
    if classifier is None or classifier.shape != tuple(card.output.shape):
        names = ", ".join(sorted(path.stem for path in CLASSIFIERS.glob("*.onnx")))
        raise FilterError(
            f"no classifier is shipped for the training data of {card.name!r}: use a generator of the data of one of {names}",
            field="filter",
        )
    if rule.score == "label_confidence" and (card.classes is None or len(card.classes) != classifier.num_classes):
        raise FilterError(
            f"{card.name!r} does not have the labels of {classifier.name}: use margin or confidence",
            field="filter",
            reason="not_conditional",
        )
    return PlanFilter(rule=str(rule), classifier=classifier.name, model=classifier.digest)


def opened(plan_filter: PlanFilter) -> Classifier:
    """Open the classifier of a plan.

    Args:
        plan_filter: The filter of the plan.

    Raises:
        FilterError: This version of Seedmint has another file of that name.
    """
    classifier = open_classifier(plan_filter.classifier)
    if classifier.digest != plan_filter.model:
        raise FilterError(
            f"the job was started with another version of {plan_filter.classifier} ({plan_filter.model[:12]}, here: "
            f"{classifier.digest[:12]}): use that version of Seedmint, or another output",
            field="filter",
            reason="other_classifier",
        )
    return classifier


def combined(determinism: Determinism, job_filter: PlanFilter | None) -> Determinism:
    """Return the determinism of a job: "exact" if the generator and the classifier are.

    Args:
        determinism: Of the generator.
        job_filter: The filter of the job.
    """
    return determinism if job_filter is None or opened(job_filter).determinism == "exact" else "approximate"
