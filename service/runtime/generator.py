"""A generator: one file of the contract, opened, checked, warmed up, and tested for giving the same bytes in every batch."""

import hashlib
import math
import os
import stat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from seedmint.models.card import Card, SampleOutput
from seedmint.models.contract import check_contract, count_nodes
from seedmint.models.errors import UserError
from seedmint.models.noise import labels_of, noise
from seedmint.models.runtime.provider import Provider, choose_provider, open_session
from seedmint.service.runtime.arrays import Outputs, Samples, SeedArray
from seedmint.service.runtime.noise_check import check_tables

DIGEST12 = 12
MAX_FILE_BYTES = (1 << 31) - 1  # of a protocol buffer, hence of an ONNX file
MIN_TRUNCATION = 0.001
_MAX_OUTPUT_BYTES = 256 << 20  # of one batch: large images go in small batches
_REFERENCE_SEEDS = 512
_REFERENCE_VALUES = 1 << 20  # at most, but for one sample


class GeneratorError(UserError):
    """The file is not a generator that can be run here. The message says why, without the file's path."""


class Generator:
    """One generator, ready to run. Safe to use from several threads.

    Attributes:
        card: what the file says about itself.
        digest: SHA-256 of the file, hexadecimal.
        provider: "cpu" or "cuda".
        determinism: "exact" if a seed gave the same bytes in batches of every size tried, else "approximate".
        max_batch: most images or samples in one run; at most the setting, less for very large ones.
        batch_bytes: of so many of them.
        reference: of a generator of samples: those of the first seeds, 512 or fewer, before which plots show one; else None.
    """

    def __init__(self, content: bytes, provider: Provider, threads: int, max_batch: int) -> None:
        """
        Args:
            content: the bytes of a generator file. Digest, card and session all come from them.

        Raises:
            UserError: the file does not keep the contract, or does not run.
        """
        model = parsed(content)
        self.card = check_contract(model)
        check_tables(self.card.noise.rule)
        self.digest = digest_of(content)
        self.provider: Provider = provider
        self._dtype = np.dtype(self.card.output.dtype)
        values = math.prod(self.card.output.shape)
        self.max_batch = max(1, min(max_batch, _MAX_OUTPUT_BYTES // (values * self._dtype.itemsize)))
        self.batch_bytes = self.max_batch * values * self._dtype.itemsize
        # On CUDA the batch size chooses the kernels. Batches are padded to few sizes, or to one if those differ.
        self._sizes: tuple[int, ...] = (1, 8, self.max_batch) if provider == "cuda" else ()
        try:
            self._session = open_session(content, provider, threads, count_nodes(model))
            del model
            self.determinism: Literal["exact", "approximate"] = self._determinism()
            if self.determinism == "approximate" and self._sizes:
                self._sizes = (self.max_batch,)
                self.determinism = self._determinism()
            self.reference: Samples | None = None
            if isinstance(self.card.output, SampleOutput):
                shown = max(1, min(_REFERENCE_SEEDS, _REFERENCE_VALUES // values))
                self.reference = self.generate(np.arange(shown, dtype=np.int64))
        except UserError:
            raise
        except Exception as error:
            raise GeneratorError(f"ONNX Runtime cannot run it: {(str(error) or repr(error)).splitlines()[0][:300]}") from None

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def digest12(self) -> str:
        """The first twelve digits of the digest, as addresses have them."""
        return self.digest[:DIGEST12]

    def labels(self, seeds: SeedArray) -> NDArray[np.int64] | None:
        """The label each seed names when none is asked for: int64[n], or None for an unconditional generator."""
        return None if self.card.classes is None else labels_of(seeds, len(self.card.classes))

    def generate(
        self, seeds: SeedArray, labels: NDArray[np.int64] | None = None, truncation: float | NDArray[np.float32] = 1.0
    ) -> Outputs:
        """The images or samples of seeds.

        Args:
            seeds: int64[n], any n.
            labels: int64[n]; None takes them from the seeds. Must be None for an unconditional generator.
            truncation: the factor on z, 0 < truncation <= 1, for all or for each: float32[n].

        Returns:
            uint8[n, height, width, channels] or float32[n, ...]. Row i depends on nothing but seeds[i], labels[i] and
            truncation[i].
        """
        return self.generate_from(self.noise(seeds), self.labels(seeds) if labels is None else labels, truncation)

    def noise(self, seeds: SeedArray) -> NDArray[np.float32]:
        """The z of seeds, before truncation: float32[n, z_dim]."""
        return noise(self.card.noise.rule, self.card.noise.z_dim, seeds)

    def generate_from(
        self, z: NDArray[np.float32], labels: NDArray[np.int64] | None, truncation: float | NDArray[np.float32] = 1.0
    ) -> Outputs:
        """The images or samples of any z, float32[n, z_dim]; labels, None only if unconditional, and the rest as for seeds."""
        factor = np.asarray(truncation, dtype=np.float32)
        if np.any(factor != 1.0):
            z = z * factor.reshape(-1, 1)
        if len(z) <= self.max_batch:
            return self._run(z, labels)
        cuts = range(0, len(z), self.max_batch)
        runs = [self._run(z[i : i + self.max_batch], None if labels is None else labels[i : i + self.max_batch]) for i in cuts]
        return np.concatenate(runs)

    def _run(self, z: NDArray[np.float32], labels: NDArray[np.int64] | None) -> Outputs:
        """One batch of at most `max_batch`."""
        n = len(z)
        size = next((s for s in self._sizes if s >= n), n)
        inputs: dict[str, NDArray[Any]] = {"z": z}
        if labels is not None:
            inputs["label"] = labels
        if size > n:
            inputs = {name: np.concatenate([a, np.zeros((size - n, *a.shape[1:]), a.dtype)]) for name, a in inputs.items()}
        (made,) = self._session.run([self.card.output.kind], inputs)
        if made.dtype != self._dtype or made.shape != (size, *self.card.output.shape):
            raise GeneratorError(f"it gives {made.dtype}{list(made.shape)}, not what its card says")
        if made.dtype == np.float32 and not np.isfinite(made[:n]).all():
            raise GeneratorError("it gives a number that is not finite")
        return made[:n]  # type: ignore[no-any-return]

    def _determinism(self) -> Literal["exact", "approximate"]:
        """Run batches of 1, 7, 64 and the largest, which also warms up, and compare."""
        largest = min(64, self.max_batch)
        seeds = np.arange(largest, dtype=np.int64)
        made = self.generate(seeds)
        batches = [seeds[i : i + 1] for i in sorted({*range(min(4, largest)), largest - 1})]
        batches += [seeds[:7], seeds[7:14], seeds[-7:]]
        same = all(self.generate(batch).tobytes() == made[batch].tobytes() for batch in batches if len(batch))
        if self.max_batch > largest:
            full = np.arange(self.max_batch, dtype=np.int64)
            same = same and self.generate(full)[:largest].tobytes() == made.tobytes()
        return "exact" if same else "approximate"


def open_generator(
    path: Path, provider: Literal["auto", "cpu", "cuda"] = "auto", threads: int = 1, max_batch: int = 64
) -> Generator:
    """Open a generator file.

    Args:
        path: the file. Read once, so that one replaced meanwhile is either the old or the new one.
        threads: threads of the processor for one run.
        max_batch: most images in one run.

    Raises:
        UserError: the file does not keep the contract, does not run, or the provider cannot be had.
        OSError: the file cannot be read.
    """
    return Generator(read_content(path), choose_provider(provider), threads, max_batch)


def checked_card(content: bytes) -> Card:
    """The card of a generator file, once the file is found to keep the contract.

    Raises:
        UserError: it does not, or is no ONNX file.
    """
    return check_contract(parsed(content))


def parsed(content: bytes) -> onnx.ModelProto:
    """
    Raises:
        GeneratorError: the bytes are no ONNX file.
    """
    try:
        # From bytes ONNX never follows external data; the contract refuses it before a session could.
        return onnx.load_model_from_string(content)
    except Exception:
        raise GeneratorError("not an ONNX file, or cut short") from None


def check_name(card: Card, path: Path, digest: str) -> None:
    """A generator's file has its name, so that the name in an address is the name in the card.

    Or it has its name and version, NAME@DIGEST12: then it is found at its pinned addresses alone, beside another of that name.

    Raises:
        GeneratorError: it has another.
    """
    if path.stem not in (card.name, f"{card.name}@{digest[:DIGEST12]}"):
        raise GeneratorError(f"its card's name is {card.name!r}: name the file {card.name}.onnx")


def check_truncation(truncation: float) -> float:
    """The shortest number that is the same factor, as float32.

    Raises:
        UserError: not a factor that z can be multiplied by.
    """
    if not MIN_TRUNCATION <= truncation <= 1:
        raise UserError(f"truncation is out of range: {MIN_TRUNCATION:g} to 1")
    return float(str(np.float32(truncation)))


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal: a generator's version."""
    return hashlib.sha256(content).hexdigest()


def read_content(path: Path) -> bytes:
    """The bytes of a generator file.

    Raises:
        GeneratorError: it is larger than an ONNX file can be, or no file: a pipe would be waited for without end.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise GeneratorError("not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(content) > MAX_FILE_BYTES:
        raise GeneratorError("larger than 2 GiB: not a generator file")
    return content
