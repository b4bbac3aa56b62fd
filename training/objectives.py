"""The objectives: what D ascends and what G descends, computed from logits.

For a logit l with D = sigmoid(l): log D = -softplus(-l) and log(1 - D) = -softplus(l). Neither form overflows or loses
precision. Of a hinge or Wasserstein objective, the logit is the output of a critic; of least squares, it is D itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

EQUILIBRIUM_VALUE = -math.log(4.0)
"""V(D*, G) in nats at the equilibrium p_g = p_data (Goodfellow et al., 2014, theorem 1)."""


def value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return V(D, G) = E log D(x) + E log(1 - D(G(z))) over a minibatch (Goodfellow et al., 2014, equation 1).

    Args:
        real_logits: float32[m], logits of D on data.
        fake_logits: float32[m], logits of D on generated examples.

    Returns:
        float32[], in nats.
    """
    return -softplus(-real_logits).mean() - softplus(fake_logits).mean()


def minimax_loss(fake_logits: Tensor) -> Tensor:
    """Return E log(1 - D(G(z))), the generator's part of equation 1.

    Args:
        fake_logits: float32[m], logits of D on generated examples.

    Returns:
        float32[], in nats. G descends this loss.
    """
    return -softplus(fake_logits).mean()


def non_saturating_loss(fake_logits: Tensor) -> Tensor:
    """Return -E log D(G(z)): the same fixed point as equation 1, with strong gradients early in training (section 3).

    Args:
        fake_logits: float32[m], logits of D on generated examples.

    Returns:
        float32[], in nats. G descends this loss.
    """
    return softplus(-fake_logits).mean()


GENERATOR_LOSSES = {"minimax": minimax_loss, "non-saturating": non_saturating_loss}
"""The paper's losses of the generator by their names in a recipe."""


def relativistic_value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E log D(x, G(z)) for D(x, G(z)) = sigmoid(C(x) - C(G(z))), the probability that x is the real one of a pair.

    The objective of Jolicoeur-Martineau, 2019, and of R3GAN (Huang et al., 2024).

    Args:
        real_logits: float32[m], outputs C(x) on data.
        fake_logits: float32[m], outputs C(G(z)) on generated examples; row i forms a pair with x of row i.

    Returns:
        float32[], in nats.
    """
    return -softplus(fake_logits - real_logits).mean()


def hinge_value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -E max(0, 1 - C(x)) - E max(0, 1 + C(G(z))) (Lim & Ye, 2017)."""
    return -relu(1 - real_logits).mean() - relu(1 + fake_logits).mean()


def least_squares_value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -1/2 E (D(x) - 1)² - 1/2 E D(G(z))² (Mao et al., 2017, equation 9). D has no sigmoid."""
    return -(real_logits - 1).square().mean() / 2 - fake_logits.square().mean() / 2


def wasserstein_value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E C(x) - E C(G(z)): the Wasserstein-1 distance, if C is the best critic of slope 1 (Arjovsky et al., 2017)."""
    return real_logits.mean() - fake_logits.mean()


def pair_probabilities(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return sigmoid(C(x) - C(G(z))) and sigmoid(C(G(z)) - C(x)), float32[m] each. A shift of C changes neither."""
    return (real_logits - fake_logits).sigmoid(), (fake_logits - real_logits).sigmoid()


def _sigmoids(real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor]:
    return real_logits.sigmoid(), fake_logits.sigmoid()


@dataclass(frozen=True)
class Objective:
    """An objective. Its functions take real_logits: float32[m] and fake_logits: float32[m].

    Attributes:
        value: float32[], D ascends it.
        generator_loss: float32[], G descends it.
        probabilities: D(x) and D(G(z)), float32[m] each, for the log: 1/2 if D does not separate data from generated examples.
        equilibrium: The value at p_g = p_data with the best D.
        uses_pairs: Whether the generator's loss depends on real_logits.
        estimates_jsd: Whether (value - equilibrium) / 2 estimates the JSD of data and generated examples.
    """

    value: Callable[[Tensor, Tensor], Tensor]
    generator_loss: Callable[[Tensor, Tensor], Tensor]
    probabilities: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    equilibrium: float
    uses_pairs: bool = False
    estimates_jsd: bool = False


OBJECTIVES = {
    "minimax": Objective(value, lambda _, fake: minimax_loss(fake), _sigmoids, EQUILIBRIUM_VALUE, estimates_jsd=True),
    "non-saturating": Objective(
        value, lambda _, fake: non_saturating_loss(fake), _sigmoids, EQUILIBRIUM_VALUE, estimates_jsd=True
    ),
    "relativistic": Objective(
        relativistic_value,
        lambda real, fake: softplus(real - fake).mean(),
        pair_probabilities,
        -math.log(2.0),
        uses_pairs=True,
    ),
    "hinge": Objective(hinge_value, lambda _, fake: -fake.mean(), _sigmoids, -2.0),
    "least-squares": Objective(
        least_squares_value, lambda _, fake: (fake - 1).square().mean() / 2, lambda real, fake: (real, fake), -0.25
    ),
    "wasserstein": Objective(wasserstein_value, lambda _, fake: -fake.mean(), pair_probabilities, 0.0),
}
"""The objectives by their names in a recipe."""
