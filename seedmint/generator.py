"""Generators as Python objects: `seedmint.load("mnist").images(range(64))`."""

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seedmint.arguments import LabelsLike, SeedsLike, label_array, seed_array, slice_range, whole_number
from seedmint.models.card import ImageOutput, SampleOutput
from seedmint.models.errors import UserError, one_line
from seedmint.models.series import cut_series
from seedmint.models.table import is_table, table_columns
from seedmint.open_file import ProviderChoice
from seedmint.open_generator import OpenGenerator
from seedmint.sources import resolve_source

if TYPE_CHECKING:
    from PIL.Image import Image

_PREVIEW_SEEDS = range(16)


class Generator(OpenGenerator):
    """A generator file, opened with ONNX Runtime.

    The object can be pickled. It is safe to use from several threads and after `os.fork`: each process opens the file again and
    checks its digest. The class needs neither BentoML nor torch.

    Attributes:
        source: Path or URL of the generator file.
    """

    def images(self, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0) -> NDArray[np.uint8]:
        """Generate the images of seeds.

        Args:
            seeds: A seed, a range, a text such as "0-63,100", or any iterable or array of seeds, 0 <= seed < 2**63.
            labels: A class number or name for all seeds, or one for each; None for the label that each seed determines.
            truncation: Factor on z, 0.001 to 1. Smaller values give less variety.

        Returns:
            uint8[n, height, width, channels]. Each image depends only on its seed, its label and the truncation.

        Raises:
            UserError: The generator produces samples, not images, or a value is invalid.
        """
        self._require_kind("image")
        return self._generate(seeds, labels, truncation)

    def samples(self, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0) -> NDArray[np.float32]:
        """Generate the samples of seeds. For generators whose outputs are not images.

        Args:
            seeds: As for `images`.
            labels: As for `images`.
            truncation: As for `images`.

        Returns:
            float32[n, ...], with the output shape in the card. Of a table with typed columns, these are codes: see `table`. Of
            series of different lengths, values after the end are NaN: see `series`.

        Raises:
            UserError: The generator produces images, not samples, or a value is invalid.
        """
        self._require_kind("sample")
        return self._generate(seeds, labels, truncation)

    def table(self, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0) -> dict[str, list[Any]]:
        """Generate rows of a table in the schema of the data. `pandas.DataFrame` and `polars.DataFrame` accept the result.

        Args:
            seeds: As for `images`.
            labels: As for `images`; or values of columns of labels, such as `{"region": "north"}`: each seed then has one of
                the classes with these values, as in the noise rule.
            truncation: As for `images`.

        Returns:
            A list of n values for each column, by its name: int, float, bool, str, `datetime.date`, `time` or `datetime`; None
            for a missing value. The columns of labels are at their places, with their own values.

        Raises:
            UserError: The generator does not produce a table with typed columns, or a value is invalid.
        """
        if not is_table(self.card):
            message = f"generator {self.name!r} does not produce a table with typed columns"
            raise UserError(message, field="model", reason="wrong_output")
        array = seed_array(seeds)
        numbers = self.label_array(labels, array)
        return table_columns(self.card, self._run(self.noise(array), numbers, self._checked_truncation(truncation)), numbers)

    def texts(self, seeds: SeedsLike, truncation: float = 1.0) -> list[str]:
        """Generate the strings of seeds, for a generator of single strings, such as `words`.

        Args:
            seeds: As for `images`.
            truncation: As for `images`.

        Returns:
            n strings.

        Raises:
            UserError: The generator does not produce single strings, or a value is invalid.
        """
        output = self.card.output
        if not isinstance(output, SampleOutput) or not output.is_text:
            raise UserError(f"generator {self.name!r} does not produce strings", field="model", reason="wrong_output")
        (strings,) = self.table(seeds, None, truncation).values()
        return strings

    def series(self, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0) -> list[NDArray[np.float32]]:
        """Generate series, each of its own length.

        Args:
            seeds: As for `images`.
            labels: As for `images`.
            truncation: As for `images`.

        Returns:
            n arrays, float32[length, channels], with the channels in the order of `card.output.names`.

        Raises:
            UserError: The generator does not produce series, or a value is invalid.
        """
        output = self.card.output
        if isinstance(output, ImageOutput) or len(output.shape) != 2:
            message = f"generator {self.name!r} does not produce series"
            raise UserError(message, field="model", reason="wrong_output")
        return cut_series(output, self._generate(seeds, labels, truncation))

    def from_latents(self, z: ArrayLike, labels: LabelsLike = None, truncation: float = 1.0) -> NDArray[Any]:
        """Generate outputs of explicit latent vectors.

        Args:
            z: float32[n, z_dim], or float32[z_dim] for one output.
            labels: A class number or name for all outputs, or one for each. Required for a conditional generator.
            truncation: Factor on z, 0.001 to 1.

        Returns:
            uint8[n, height, width, channels] for a generator of images, float32[n, ...] for a generator of samples.

        Raises:
            UserError: The shape of `z`, a label or the truncation is invalid.
        """
        try:
            latents = np.atleast_2d(np.asarray(z, dtype=np.float32))
        except (TypeError, ValueError) as error:
            raise UserError(f"is no array of numbers: {one_line(error)}", field="z", reason="wrong_shape") from None
        z_dim = self.card.noise.z_dim
        if latents.ndim != 2 or latents.shape[1] != z_dim or not len(latents):
            raise UserError(f"the shape is {list(latents.shape)}, not [n, {z_dim}]", field="z", reason="wrong_shape")
        if not np.isfinite(latents).all():
            raise UserError("a value is not finite", field="z", reason="not_finite")
        numbers = label_array(labels, len(latents), self.classes)
        if numbers is None and self.classes:
            raise UserError("the generator is conditional: pass labels", field="labels", reason="missing")
        return self._run(latents, numbers, self._checked_truncation(truncation))

    def outputs(self, seeds: SeedsLike, labels: LabelsLike = None, truncation: float = 1.0) -> NDArray[Any]:
        """Generate the images or the samples of seeds, depending on the generator.

        Args:
            seeds: As for `images`.
            labels: As for `images`.
            truncation: As for `images`.
        """
        return self._generate(seeds, labels, truncation)

    def __getitem__(self, seeds: int | slice | SeedsLike) -> NDArray[Any]:
        """Generate one output for one seed, or an array of outputs for a slice or several seeds.

        Args:
            seeds: `g[42]` is one output without the batch axis; `g[0:64]` and `g[[3, 5]]` are batches. A slice needs an end.

        Raises:
            UserError: A seed is invalid, or the slice has no end.
        """
        if isinstance(seeds, slice):
            return self._generate(slice_range(seeds), None, 1.0)
        if isinstance(seeds, int | np.integer):
            return self._generate(seeds, None, 1.0)[0]  # type: ignore[no-any-return]
        return self._generate(seeds, None, 1.0)

    def interpolate(
        self, start: int, end: int, frames: int = 32, label: int | str | None = None, truncation: float = 1.0
    ) -> NDArray[Any]:
        """Generate a walk through latent space, from one seed to another.

        The path is a great circle for the normal prior and a straight line for the uniform prior, as in `walk.webp` of the HTTP
        API (White, "Sampling Generative Networks", 2016).

        Args:
            start: Seed of the first frame.
            end: Seed of the last frame.
            frames: Number of frames, at least 2.
            label: Class number or name of all frames; None for the label that `start` determines.
            truncation: Factor on z, 0.001 to 1.

        Returns:
            uint8[frames, height, width, channels], or float32[frames, ...].

        Raises:
            UserError: A value is invalid.
        """
        from seedmint.service.runtime.interpolation import walk

        frames = whole_number(frames, "frames", 2)
        first, last = self.noise([start, end])
        numbers = self.labels(start) if label is None else label_array(label, 1, self.classes)
        labels = None if numbers is None else np.full(frames, numbers[0], np.int64)
        z = walk(self.card.noise.rule, first, last, frames)
        return self._run(z, labels, self._checked_truncation(truncation))

    def grid(
        self,
        seeds: SeedsLike,
        columns: int | None = None,
        labels: LabelsLike = None,
        truncation: float = 1.0,
        scale: int = 1,
    ) -> "Image":
        """Draw a contact sheet of the images of seeds.

        Args:
            seeds: As for `images`.
            columns: Images in a row; None for an almost square sheet.
            labels: As for `images`.
            truncation: As for `images`.
            scale: Factor of the nearest-neighbor enlargement of each image.

        Returns:
            A Pillow image.

        Raises:
            UserError: A value is invalid.
        """
        from seedmint.models.grid import enlarge
        from seedmint.service.encoders.images import contact_sheet, picture

        images = self.images(seeds, labels, truncation)
        width = int(np.ceil(np.sqrt(len(images)))) if columns is None else whole_number(columns, "columns")
        return picture(contact_sheet(enlarge(images, whole_number(scale, "scale")), width))

    def __repr__(self) -> str:
        return f"<seedmint.Generator {self.name}@{self.digest[:12]}: {self.card.title}>"

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: the name, the title and, for images, a contact sheet of sixteen images."""
        head = f"<strong>{escape(self.name)}@{self.digest[:12]}</strong> {escape(self.card.title)}"
        if not isinstance(self.card.output, ImageOutput):
            return f"<p>{head}</p>"
        from io import BytesIO

        file = BytesIO()
        scale = max(1, 48 // max(self.card.output.width, self.card.output.height))
        self.grid(_PREVIEW_SEEDS, columns=8, scale=scale).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode("ascii")
        return f'<p>{head}</p><img alt="Images of seeds 0 to 15" src="data:image/png;base64,{data}">'

    def _require_kind(self, kind: Literal["image", "sample"]) -> None:
        actual = self.card.output.kind
        if actual != kind:
            raise UserError(
                f"generator {self.name!r} produces {actual}s: call `{actual}s`", field="model", reason="wrong_output"
            )


def load(
    model: str | Path,
    *,
    provider: ProviderChoice = "auto",
    threads: int | None = None,
    models: str | Path | None = None,
) -> Generator:
    """Open a generator.

    Args:
        model: A name ("mnist"), a name with a version ("mnist@97b749bd861e"), the path of a generator file, or a URL that
            fsspec can read ("s3://bucket/faces.onnx", "hf://user/repository/faces.onnx", "https://...").
        provider: Provider of ONNX Runtime; "auto" is CUDA if available, otherwise the CPU.
        threads: CPU threads of one run; None for all processors that this process may use.
        models: Directory of generator files; None for `SEEDMINT_MODELS`, or else the shipped generators.

    Raises:
        UserError: There is no such generator, the file is not a generator, or it has another version.
        OSError: The file cannot be read.
    """
    source, digest = resolve_source(model, models)
    return Generator(source, provider=provider, threads=threads, digest=digest)
