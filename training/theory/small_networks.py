"""The small networks of the experiments, and the training of D alone while p_g stands still."""

from collections.abc import Iterator

from torch import Tensor, float64, nn, no_grad, optim, tensor
from torch.distributions import Distribution

from seedmint.training.objectives import value


class Curve(nn.Module):
    """A function from numbers to numbers with two hidden layers of SiLU, smooth, and straight far out, where logits grow too.

    G takes z to x; D takes x to its logit.

    Args:
        scale: enlarges the initial first layer: with 1 the function is nearly straight over a few units of its argument.
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
        """float64[m] to float64[m]. Algorithm 1 passes a label, of which there are none here."""
        y: Tensor = self.layers(x[:, None])
        return y[:, 0]


def new_discriminator() -> Curve:
    """D, untrained."""
    return Curve(3.0)


def new_generator(mean: float) -> Curve:
    """G, untrained: increasing, with G(0) = `mean` and G(1) - G(-1) = 2, so that z ~ N(0, 1) gives about N(mean, 1)."""
    generator = Curve(1.0)
    with no_grad():
        low, high = generator(tensor([-1.0, 1.0], dtype=float64))
        generator.output.weight.mul_(2 / (high - low))
        generator.output.bias.add_(mean - generator(tensor([0.0], dtype=float64)))
    return generator


def ascend(discriminator: nn.Module, p_data: Distribution, p_g: Distribution, steps: int, m: int) -> Iterator[int]:
    """Train D alone, by Adam on V over fresh minibatches, its learning rate falling from 0.01 to 0 as a cosine.

    Args:
        discriminator: trained in place.
        p_data, p_g: what both halves of a minibatch are drawn from, by torch's global generator.
        steps: D-steps.
        m: examples of each in a minibatch.

    Yields:
        The number of steps done, after each.
    """
    rule = optim.Adam(discriminator.parameters(), lr=0.01)
    schedule = optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    for step in range(1, steps + 1):
        v = value(discriminator(p_data.sample((m,))), discriminator(p_g.sample((m,))))
        rule.zero_grad()
        (-v).backward()  # type: ignore[no-untyped-call]
        rule.step()
        schedule.step()
        yield step
