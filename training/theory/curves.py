"""The small networks of the experiments, and the training of D alone while p_g stands still."""

from collections.abc import Iterator

from torch import Tensor, nn, no_grad, optim
from torch.distributions import Distribution

from training.objectives import value


class Curve(nn.Module):
    """A function from numbers to numbers with two hidden layers. G takes z to x; D takes x to its logit.

    Args:
        activation: of the hidden layers.
        scale: enlarges the initial first layer: with 1 the function is nearly straight over a few units of its argument.
    """

    WIDTH = 32

    def __init__(self, activation: type[nn.Module], scale: float) -> None:
        super().__init__()
        first, last = nn.Linear(1, self.WIDTH), nn.Linear(self.WIDTH, 1)
        self.layers = nn.Sequential(first, activation(), nn.Linear(self.WIDTH, self.WIDTH), activation(), last).double()
        with no_grad():
            first.weight.mul_(scale)
            first.bias.mul_(scale)

    def forward(self, x: Tensor, label: None = None) -> Tensor:
        """float64[m] to float64[m]. Algorithm 1 passes a label, of which there are none here."""
        y: Tensor = self.layers(x[:, None])
        return y[:, 0]


def new_discriminator() -> Curve:
    """D, untrained. SiLU is smooth, and straight far out, where the logits of Gaussians grow too."""
    return Curve(nn.SiLU, 3.0)


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
