"""The small networks of the experiments, and the training of D with a fixed p_g."""

from collections.abc import Iterator

from torch import Tensor, float64, nn, no_grad, optim, tensor
from torch.distributions import Distribution

from seedmint.training.objectives import value


class Curve(nn.Module):
    """A smooth function of one number: two hidden layers with SiLU. It is linear for large arguments, as logits are.

    G maps z to x; D maps x to its logit.

    Args:
        scale: Factor of the initial first layer. With 1, the function is almost linear over a few units of its argument.
    """

    WIDTH = 32

    def __init__(self, scale: float) -> None:
        super().__init__()
        first, hidden, self.output = nn.Linear(1, self.WIDTH), nn.Linear(self.WIDTH, self.WIDTH), nn.Linear(self.WIDTH, 1)
        self.layers = nn.Sequential(first, nn.SiLU(), hidden, nn.SiLU(), self.output).double()
        with no_grad():
            first.weight.mul_(scale)
            first.bias.mul_(scale)

    def forward(self, x: Tensor, label: None = None) -> Tensor:
        """Map float64[m] to float64[m]. Algorithm 1 passes a label, which is None here."""
        y: Tensor = self.layers(x[:, None])
        return y[:, 0]


def new_discriminator() -> Curve:
    """Return an untrained D."""
    return Curve(3.0)


def new_generator(mean: float) -> Curve:
    """Return an untrained G with G(0) = `mean` and G(1) - G(-1) = 2, so that z ~ N(0, 1) gives about N(mean, 1).

    Args:
        mean: G(0).
    """
    generator = Curve(1.0)
    with no_grad():
        low, high = generator(tensor([-1.0, 1.0], dtype=float64))
        generator.output.weight.mul_(2 / (high - low))
        generator.output.bias.add_(mean - generator(tensor([0.0], dtype=float64)))
    return generator


def ascend(discriminator: nn.Module, p_data: Distribution, p_g: Distribution, steps: int, m: int) -> Iterator[int]:
    """Train D by ascending V with Adam on new minibatches. The learning rate falls from 0.01 to 0 along a half cosine.

    Args:
        discriminator: Trained in place.
        p_data: Density of the data; torch's global random generator draws the examples.
        p_g: Density of the generated examples.
        steps: Number of updates of D.
        m: Number of examples of each density in a minibatch.

    Yields:
        The number of finished updates, after each update.
    """
    optimizer = optim.Adam(discriminator.parameters(), lr=0.01)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(1, steps + 1):
        v = value(discriminator(p_data.sample((m,))), discriminator(p_g.sample((m,))))
        optimizer.zero_grad()
        (-v).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        yield step
