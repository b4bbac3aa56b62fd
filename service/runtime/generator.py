"""A generator in service: an open file, warmed up, and checked against the reference of its card."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import Card, SampleOutput
from seedmint.models.errors import UserError
from seedmint.models.label_choice import ClassChoice
from seedmint.models.noise import noise
from seedmint.models.runtime.generator_file import DIGEST12, digest_of, read_content
from seedmint.models.runtime.generator_session import MAX_BATCH, GeneratorSession
from seedmint.models.runtime.provider import Provider, ProviderChoice, choose_provider
from seedmint.service.runtime.arrays import Labels, Latents, Outputs, Samples, SeedArray
from seedmint.service.runtime.noise_check import check_tables
from seedmint.service.runtime.output_check import Determinism, check_outputs

MIN_TRUNCATION = 0.001
_BACKGROUND_SEEDS = 512
_BACKGROUND_VALUES = 1 << 20  # most values in `background`, unless a single sample has more
_CUDA_BATCH = 8  # batches on CUDA are padded to 1, this size or `max_batch`

Truncation = float | NDArray[np.float32]


class Generator:
    """One generator, ready to run. Safe to use from several threads.

    Attributes:
        card: The card of the file.
        digest: SHA-256 of the file, in hexadecimal.
        id: Name and digest.
        digest12: The first twelve digits of the digest, as in URLs.
        output_values: Number of values of one image or sample.
        provider: "cpu" or "cuda".
        check: Outcome of the check on this machine.
        max_batch: Most images or samples in one batch: the setting, or less for large outputs.
        batch_bytes: Size in bytes of the output of one full batch.
        batch_seconds: Time of one full batch, measured once.
        background: Samples of the first seeds (at most 512), which plots draw in the background; None for images.
    """

    def __init__(self, content: bytes, provider: Provider, threads: int, max_batch: int) -> None:
        """
        Args:
            content: The bytes of a generator file. Digest, card and session all come from these bytes.
            provider: "cpu" or "cuda".
            threads: CPU threads for one batch.
            max_batch: Most images or samples in one batch.

        Raises:
            UserError: The file violates the contract, or does not run.
        """
        self._session = GeneratorSession(content, provider, threads, max_batch)
        self.card = self._session.card
        self._label_rule = self.card.label_rule()
        check_tables(self.card.noise.rule)
        self.digest = digest_of(content)
        self.digest12 = self.digest[:DIGEST12]
        self.id = (self.card.name, self.digest)
        self.output_values = math.prod(self.card.output.shape)
        self.provider: Provider = provider
        self.max_batch = self._session.max_batch
        self.batch_bytes = self._session.batch_bytes
        if provider == "cuda":  # the batch size selects the CUDA kernels, and different kernels can round differently
            self._session.batch_sizes = (1, _CUDA_BATCH, self.max_batch)
        self.check = check_outputs(self.generate, self.card, self.max_batch)
        if not self.check.is_batch_independent and provider == "cuda":
            self._session.batch_sizes = (self.max_batch,)
            self.check = check_outputs(self.generate, self.card, self.max_batch)
        self.background: Samples | None = None
        if isinstance(self.card.output, SampleOutput):
            count = max(1, min(_BACKGROUND_SEEDS, _BACKGROUND_VALUES // math.prod(self.card.output.shape)))
            self.background = self.generate(np.arange(count, dtype=np.int64))

        started = time.perf_counter()
        self.generate(np.arange(self.max_batch, dtype=np.int64))
        self.batch_seconds = time.perf_counter() - started

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card.name

    @property
    def num_graphs(self) -> int:
        """Number of batch sizes that run as CUDA graphs; 0 on the CPU."""
        return self._session.num_graphs

    @property
    def determinism(self) -> Determinism:
        """ "exact" if the outputs of this machine are the reference of the card, in every tested batch; else "approximate"."""
        return self.check.determinism

    def labels(self, seeds: SeedArray, choice: ClassChoice | None = None) -> Labels | None:
        """Return the label of each seed, int64[n], or None for an unconditional generator.

        Args:
            seeds: int64[n].
            choice: One class for all seeds, or several, of which each seed has one; None for the default labels.
        """
        if self._label_rule is None:
            return None
        if choice is None:
            return self._label_rule.labels(seeds)
        if isinstance(choice, int):
            return np.full(len(seeds), choice, np.int64)
        return self._label_rule.labels_among(seeds, choice)

    def generate(self, seeds: SeedArray, labels: Labels | None = None, truncation: Truncation = 1.0) -> Outputs:
        """Generate the images or samples of seeds.

        Args:
            seeds: int64[n], for any n.
            labels: int64[n]; None for the default labels of the seeds. Must be None for an unconditional generator.
            truncation: Factor on z, 0 < truncation <= 1: one for all seeds, or float32[n].

        Returns:
            uint8[n, height, width, channels] or float32[n, ...]. Row i depends only on seeds[i], labels[i] and truncation[i].

        Raises:
            UserError: A run failed.
        """
        return self.generate_from(self.noise(seeds), self.labels(seeds) if labels is None else labels, truncation)

    def noise(self, seeds: SeedArray) -> Latents:
        """Return z of each seed before truncation: float32[n, z_dim].

        Args:
            seeds: int64[n].
        """
        return noise(self.card.noise.rule, self.card.noise.z_dim, seeds)

    def generate_from(self, z: Latents, labels: Labels | None, truncation: Truncation = 1.0) -> Outputs:
        """Generate the images or samples of latent vectors.

        Args:
            z: float32[n, z_dim], for any n.
            labels: int64[n]; None for an unconditional generator only.
            truncation: Factor on z, 0 < truncation <= 1: one for all rows, or float32[n].

        Returns:
            uint8[n, height, width, channels] or float32[n, ...].

        Raises:
            UserError: A run failed.
        """
        factors: Latents | None = None
        if self.card.truncation == "input":
            factors = np.broadcast_to(np.asarray(truncation, dtype=np.float32), len(z))
        elif isinstance(truncation, np.ndarray) or truncation != 1.0:
            factor = np.asarray(truncation, dtype=np.float32)
            z = z * factor.reshape(-1, 1) if np.any(factor != 1.0) else z
        if len(z) <= self.max_batch:
            return self._session.run(z, labels, factors)
        batches = [slice(start, start + self.max_batch) for start in range(0, len(z), self.max_batch)]
        return np.concatenate([self._session.run(z[rows], _part(labels, rows), _part(factors, rows)) for rows in batches])


def _part(values: NDArray[Any] | None, rows: slice) -> NDArray[Any] | None:
    return None if values is None else values[rows]


def open_generator(
    file: Path | int, provider: ProviderChoice = "auto", threads: int = 1, max_batch: int = MAX_BATCH
) -> Generator:
    """Open a generator file.

    Args:
        file: The file, or the descriptor of an open file. It is read once: if it is replaced meanwhile, the generator is
            entirely the old or the new one.
        provider: "cpu", "cuda", or "auto" for CUDA if CUDA works.
        threads: CPU threads for one batch.
        max_batch: Most images or samples in one batch.

    Raises:
        UserError: The file violates the contract or does not run, or the provider does not work.
        OSError: The file cannot be read.
    """
    return Generator(read_content(file), choose_provider(provider), threads, max_batch)


def check_truncation(truncation: float, card: Card) -> float:
    """Return the shortest decimal number that is the same truncation in float32.

    Args:
        truncation: The truncation of a request.
        card: The card of the generator.

    Raises:
        UserError: The truncation is out of range, or is not 1 for a generator without truncation.
    """
    if card.truncation == "none" and truncation != 1:
        raise UserError(f"generator {card.name!r} has no truncation: omit it", field="truncation", reason="no_truncation")
    if not MIN_TRUNCATION <= truncation <= 1:
        raise UserError(f"must be {MIN_TRUNCATION:g} to 1", field="truncation", reason="out_of_range")
    return float(str(np.float32(truncation)))
