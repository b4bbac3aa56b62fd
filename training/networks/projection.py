"""The part that both convolutional discriminators share: strided layers, the logit, and the projection on the label."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

_NEGATIVE_SLOPE = 0.2


class ProjectionDiscriminator(nn.Module):
    """Strided convolutions, then a logit plus the projection of the features on the label's embedding.

    Projection: Miyato & Koyama, 2018, equation 3. Spectral normalization: Miyato et al., 2018.

    Args:
        convolutions: The strided layers, `nn.Conv1d` or `nn.Conv2d`.
        features: Number of features after the last convolution.
        classes: Number of classes; 0 without labels.
        use_spectral_norm: Whether to normalize the weights of all layers.
    """

    def __init__(
        self, convolutions: Iterable[nn.Conv1d | nn.Conv2d], features: int, classes: int, use_spectral_norm: bool
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(convolutions)
        self.output = nn.Linear(features, 1)
        self.embedding = nn.Embedding(classes, features) if classes else None
        for step in self.steps:
            assert isinstance(step, nn.Conv1d | nn.Conv2d)
            nn.init.orthogonal_(step.weight)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, features**-0.5)
        if use_spectral_norm:
            for layer in (*self.steps, self.output, *([self.embedding] if self.embedding is not None else [])):
                spectral_norm(layer)

    def logits(self, h: Tensor, label: Tensor | None) -> Tensor:
        """Return float32[m] logits.

        Args:
            h: float32[m, channels, ...], the padded input of the first convolution.
            label: int64[m]; None without labels.
        """
        for step in self.steps:
            h = functional.leaky_relu(step(h), _NEGATIVE_SLOPE)
        h = h.flatten(1)
        logits: Tensor = self.output(h)[:, 0]
        if self.embedding is not None:
            logits = logits + (h * self.embedding(label)).sum(dim=1)
        return logits
