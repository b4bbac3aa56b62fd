"""One open generator file: the same session options and checks for serving, batch jobs, evaluation and export."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedmint.models.card import SampleOutput
from seedmint.models.columns import Column, split_codes
from seedmint.models.contract import check_contract, count_nodes
from seedmint.models.errors import UserError
from seedmint.models.runtime.generator_file import GeneratorError, parse_model
from seedmint.models.runtime.provider import Provider, open_session
from seedmint.models.series import is_valid

MAX_BATCH = 64
_MAX_OUTPUT_BYTES = 256 << 20  # of one batch; large images have smaller batches


class GeneratorSession:
    """Runs the graph of one generator file. Safe to use from several threads.

    Attributes:
        card: The card of the file.
        max_batch: Most images or samples in one batch: `max_batch` of the constructor, or less for large outputs or by the
            limit in the card.
        batch_bytes: Size in bytes of the output of one full batch.
        batch_sizes: Batch sizes in ascending order, to which inputs are padded; empty for no padding.
    """

    def __init__(self, content: bytes, provider: Provider = "cpu", threads: int = 1, max_batch: int = MAX_BATCH) -> None:
        """
        Args:
            content: The bytes of a generator file.
            provider: "cpu" or "cuda".
            threads: CPU threads for one run.
            max_batch: Most images or samples in one batch.

        Raises:
            UserError: The file violates the contract, or ONNX Runtime cannot load it.
        """
        model = parse_model(content)
        self.card = check_contract(model)
        self._dtype = np.dtype(self.card.output.dtype)
        self._columns = self.card.output.columns if isinstance(self.card.output, SampleOutput) else None
        item_bytes = math.prod(self.card.output.shape) * self._dtype.itemsize
        max_batch = min(max_batch, self.card.max_batch or max_batch)
        self.max_batch = max(1, min(max_batch, _MAX_OUTPUT_BYTES // item_bytes))
        self.batch_bytes = self.max_batch * item_bytes
        self.batch_sizes: tuple[int, ...] = ()
        nodes = count_nodes(model)
        del model  # it is as large as the file
        try:
            self._session = open_session(content, provider, threads, nodes)
        except UserError:
            raise
        except Exception as error:  # the exceptions of ONNX Runtime have no common base class
            raise _cannot_run(error) from None

    @property
    def num_graphs(self) -> int:
        """Number of batch sizes that run as CUDA graphs."""
        return self._session.num_graphs

    def run(
        self, z: NDArray[np.float32], labels: NDArray[np.int64] | None, truncation: NDArray[np.float32] | None = None
    ) -> NDArray[Any]:
        """Run one batch.

        Args:
            z: float32[n, z_dim].
            labels: int64[n]; None for an unconditional generator.
            truncation: float32[n], for a generator whose card has `truncation: input`; None for 1.

        Returns:
            uint8[n, height, width, channels] or float32[n, ...].

        Raises:
            TooSlowError: The run exceeded the time limit.
            TooLargeError: The run needs too much memory.
            GeneratorError: The run failed, or the output differs from the card, is not finite or is no code of its column.
        """
        n = len(z)
        size = next((size for size in self.batch_sizes if size >= n), n)
        inputs: dict[str, NDArray[Any]] = {"z": z}
        if labels is not None:
            inputs["label"] = labels
        if self.card.truncation == "input":
            inputs["truncation"] = np.ones(n, np.float32) if truncation is None else truncation
        if size > n:
            inputs = {name: np.concatenate([a, np.zeros((size - n, *a.shape[1:]), a.dtype)]) for name, a in inputs.items()}
        try:
            (outputs,) = self._session.run([self.card.output.kind], inputs)
        except UserError:
            raise
        except Exception as error:
            raise _cannot_run(error) from None
        if outputs.dtype != self._dtype or outputs.shape != (size, *self.card.output.shape):
            raise GeneratorError(
                f"the output is {outputs.dtype}{list(outputs.shape)}, which differs from the card", reason="wrong_output"
            )
        if isinstance(self.card.output, SampleOutput) and not is_valid(self.card.output, outputs[:n]):
            raise GeneratorError("the output has a value that is not finite", reason="not_finite")
        if self._columns is not None:
            _check_codes(outputs[:n], self._columns)
        result: NDArray[Any] = outputs[:n]
        return result


def _check_codes(codes: NDArray[np.float32], columns: tuple[Column, ...]) -> None:
    for column, part in split_codes(columns, codes):
        if not column.check_codes(part):
            raise GeneratorError(f"the output has a value that is no code of column {column.name!r}", reason="wrong_code")


def _cannot_run(error: Exception) -> GeneratorError:
    line = (str(error) or repr(error)).splitlines()[0][:300]
    return GeneratorError(f"ONNX Runtime cannot run the file: {line}", reason="cannot_run")
