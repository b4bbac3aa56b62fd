"""An open generator file: its card, the noise of seeds, and the outputs of noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seedmint.arguments import LabelsLike, SeedsLike, label_array, seed_array, whole_number
from seedmint.models.card import Card
from seedmint.models.errors import UserError
from seedmint.models.label_choice import chosen_classes
from seedmint.models.places import is_url
from seedmint.open_file import OpenFile, ProviderChoice


class OpenGenerator:
    """A generator file, opened with ONNX Runtime: the part of `Generator` that does not depend on the kind of outputs.

    Attributes:
        source: Path or URL of the generator file.
    """

    def __init__(
        self,
        source: str | Path,
        *,
        provider: ProviderChoice = "auto",
        threads: int | None = None,
        digest: str | None = None,
    ) -> None:
        """
        Args:
            source: Path or URL of the generator file.
            provider: Provider of ONNX Runtime; "auto" is CUDA if available, otherwise the CPU.
            threads: CPU threads of one run; None for all processors that this process may use.
            digest: Expected SHA-256 of the file, or its first digits; None accepts any file.

        Raises:
            UserError: The file is not a generator, cannot be run, or has another digest.
            OSError: The file cannot be read.
        """
        self.source = str(source) if is_url(str(source)) else str(Path(source).absolute())  # a worker may have another folder
        if provider not in get_args(ProviderChoice):
            raise UserError(f"{provider!r:.40} is none of auto, cpu and cuda", field="provider", reason="unknown_provider")
        threads = None if threads is None else whole_number(threads, "threads")
        self._file = OpenFile(self.source, provider, threads, digest)

    @property
    def card(self) -> Card:
        """The card of the file: title, classes, output, provenance, evaluation, licences."""
        return self._file.runtime().card

    @property
    def name(self) -> str:
        """Name of the generator."""
        return self.card.name

    @property
    def digest(self) -> str:
        """SHA-256 of the file in hexadecimal: the version of the generator."""
        return self._file.runtime().digest

    @property
    def determinism(self) -> Literal["exact", "approximate"]:
        """ "exact" if this machine computes the outputs of the card's reference, in every tested batch; else "approximate"."""
        return self._file.runtime().determinism

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for an unconditional generator."""
        return tuple(self.card.classes or ())

    def noise(self, seeds: SeedsLike) -> NDArray[np.float32]:
        """Return the latent vectors of seeds by the generator's noise rule, before truncation: float32[n, z_dim].

        Args:
            seeds: As for `images`.
        """
        return self._file.runtime().noise(seed_array(seeds))

    def labels(self, seeds: SeedsLike) -> NDArray[np.int64] | None:
        """Return the label that each seed determines: int64[n], or None for an unconditional generator.

        Args:
            seeds: As for `images`.
        """
        return self._file.runtime().labels(seed_array(seeds))

    def label_array(self, labels: LabelsLike, seeds: SeedsLike) -> NDArray[np.int64] | None:
        """Return the labels of seeds as numbers.

        Args:
            labels: A class number or name for all seeds, or one for each; values of columns of labels; None for the label that
                each seed determines.
            seeds: As for `images`.

        Returns:
            int64[n], or None for an unconditional generator.

        Raises:
            UserError: A label is invalid.
        """
        array = seed_array(seeds)
        if isinstance(labels, Mapping):
            if not labels:
                raise UserError("name at least one column and its value", field="labels", reason="wrong_length")
            return self._file.runtime().labels(array, chosen_classes(self.card, labels, "labels"))
        numbers = label_array(labels, len(array), self.classes)
        return self._file.runtime().labels(array) if numbers is None else numbers

    def use_threads(self, threads: int) -> None:
        """Set the number of CPU threads of one run.

        Args:
            threads: At least 1.
        """
        self._file.use_threads(whole_number(threads, "threads"))

    def _generate(self, seeds: SeedsLike, labels: LabelsLike, truncation: float) -> NDArray[Any]:
        runtime, array = self._file.runtime(), seed_array(seeds)
        return self._run(runtime.noise(array), self.label_array(labels, array), self._checked_truncation(truncation))

    def _run(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None, truncation: float) -> NDArray[Any]:
        runtime = self._file.runtime()
        if len(z) <= runtime.max_batch:
            return runtime.generate_from(z, labels, truncation)
        output = self.card.output
        outputs = np.empty((len(z), *output.shape), output.dtype)
        for start in range(0, len(z), runtime.max_batch):
            rows = slice(start, start + runtime.max_batch)
            outputs[rows] = runtime.generate_from(z[rows], None if labels is None else labels[rows], truncation)
        return outputs

    def _checked_truncation(self, truncation: float) -> float:
        if truncation == 1.0:  # of every generator
            return 1.0
        from seedmint.service.runtime.generator import check_truncation

        if not isinstance(truncation, int | float | np.integer | np.floating):
            raise UserError(f"{truncation!r:.40} is no number", field="truncation", reason="out_of_range")
        return check_truncation(truncation, self.card)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (type(self), self.source, self._file.provider, self._file.threads, self._file.digest)


def _reopen(
    kind: type[OpenGenerator], source: str, provider: ProviderChoice, threads: int | None, digest: str
) -> OpenGenerator:
    return kind(source, provider=provider, threads=threads, digest=digest)
