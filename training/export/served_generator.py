"""The generator as the service runs it: maps z (and labels) to final images or samples. Previews and exports use it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seedmint.models.card import lowest_terms
from seedmint.models.noise import LabelRule, noise
from seedmint.training.datasets import Dataset
from seedmint.training.datasets.dataset import Encoding
from seedmint.training.datasets.scaling import MAX_UNITS, Scaling
from seedmint.training.datasets.series_encoding import SeriesEncoding
from seedmint.training.datasets.table_encoding import TableEncoding
from seedmint.training.export.table_codes import ToCharacterCodes, ToCodes
from seedmint.training.networks import noise_length
from seedmint.training.recipes.schema import Recipe

_MAX_BATCH = 500


class ServedGenerator(nn.Module):
    """Adds the conversion of the output to a generator, so that the exported graph is complete.

    Args:
        generator: See `seedmint.training.networks`.
        scaling: Scaling of samples, or the encoding of a table or of series; None for images.
    """

    def __init__(self, generator: nn.Module, scaling: Scaling | Encoding | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.to_codes: ToCodes | ToCharacterCodes | None = None
        if isinstance(scaling, TableEncoding):
            self.to_codes = ToCharacterCodes(scaling) if scaling.is_text else ToCodes(scaling)
        if isinstance(scaling, SeriesEncoding):
            self.finish: nn.Module = _ToSeries(scaling)
        else:
            self.finish = _ToDataUnits(scaling) if isinstance(scaling, Scaling) else _ToGrayLevels()

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Generate images or samples.

        Args:
            z: float32[n, z_dim].
            label: int64[n]; None without labels.

        Returns:
            uint8[n, height, width, channels] gray levels; or, with a scaling, float32[n, ...] in the units of the data,
            multiples of the resolution; NaN after the ends of series of different lengths; or, with the encoding of a table,
            float32[n, codes].
        """
        outputs = self.generator(z) if label is None else self.generator(z, label)
        finished: Tensor = self.finish(outputs) if self.to_codes is None else self.to_codes(outputs, z)
        return finished


class _ToGrayLevels(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        levels = (images * 255).round().clamp(0, 255)
        return levels.permute(0, 2, 3, 1).to(torch.uint8)


class _ToDataUnits(nn.Module):
    gain: Tensor
    offset: Tensor
    resolution: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        mean, std, resolution = np.array([scaling.mean, scaling.std, scaling.resolution])
        for name, values in (("gain", std / resolution), ("offset", mean / resolution), ("resolution", resolution)):
            self.register_buffer(name, torch.from_numpy(values).float())
        self.is_limited = scaling.low is not None and scaling.high is not None
        if scaling.low is not None and scaling.high is not None:  # multiples of the resolution within the range of the data
            low, high = np.ceil(scaling.low / resolution), np.floor(scaling.high / resolution)
            self.register_buffer("low", torch.from_numpy(low).float())
            self.register_buffer("high", torch.from_numpy(np.maximum(low, high)).float())

    def forward(self, samples: Tensor) -> Tensor:
        units = (samples * self.gain + self.offset).round()
        units = units.clamp(self.low, self.high) if self.is_limited else units.clamp(-MAX_UNITS, MAX_UNITS)
        return units.to(torch.int32).to(torch.float32) * self.resolution  # the integers remove -0.0


class _ToSeries(nn.Module):
    def __init__(self, encoding: SeriesEncoding) -> None:
        super().__init__()
        self.to_data_units = _ToDataUnits(encoding.scaling)
        self.channels, self.has_lengths = encoding.channels, encoding.has_lengths

    def forward(self, encoded: Tensor) -> Tensor:
        values: Tensor = self.to_data_units(encoded[:, :, : self.channels])
        if not self.has_lengths:
            return values
        return torch.where(encoded[:, :, self.channels : self.channels + 1] > 0.5, values, torch.nan)


@dataclass(frozen=True)
class SeedSampler:
    """Computes the outputs of seeds with a torch generator, as the service returns them after the export.

    Attributes:
        scaling: Scaling of samples, or the encoding of a table or of series; None for images.
        noise_rule: Name of the rule that maps seeds to z.
        z_dim: Length of z.
        label_rule: Gives each seed its label; None without labels.
        device: Device of the generator.
    """

    scaling: Scaling | Encoding | None
    noise_rule: str
    z_dim: int
    label_rule: LabelRule | None
    device: torch.device

    @classmethod
    def of_recipe(cls, recipe: Recipe, dataset: Dataset, device: torch.device) -> "SeedSampler":
        """Return the sampler of a run.

        Args:
            recipe: The run's recipe.
            dataset: The training data.
            device: Device of the training.
        """
        counts = dataset.class_counts() if recipe.conditional else None
        label_rule = None if counts is None else LabelRule(len(counts), lowest_terms(counts))
        z_dim = noise_length(recipe.z_dim, dataset.encoding)
        return cls(dataset.scaling, recipe.noise_rule, z_dim, label_rule, device)

    @torch.no_grad()
    def sample(self, generator: nn.Module, seeds: NDArray[np.int64], labels: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Return the outputs of seeds.

        Args:
            generator: Put in evaluation mode during the call.
            seeds: int64[n].
            labels: int64[n]; None uses the labels that the seeds determine.

        Returns:
            uint8[n, height, width, channels] images, or float32[n, ...] samples.
        """
        z = torch.from_numpy(noise(self.noise_rule, self.z_dim, seeds)).to(self.device)
        if self.label_rule is not None and labels is None:
            labels = self.label_rule.labels(seeds)
        label = None if labels is None else torch.from_numpy(labels).to(self.device)
        was_training = generator.training
        generator.eval()
        try:
            served = ServedGenerator(generator, self.scaling).to(self.device)
            label_batches = [None] * len(z) if label is None else torch.split(label, _MAX_BATCH)
            batches = zip(torch.split(z, _MAX_BATCH), label_batches, strict=False)
            outputs: NDArray[Any] = np.concatenate([served(*batch).cpu().numpy() for batch in batches])
        finally:
            generator.train(was_training)
        return outputs
