"""The value function V(D, G) and the generator's losses, computed from logits.

For a logit l with D = sigmoid(l): log D = -softplus(-l) and log(1 - D) = -softplus(l). Neither form overflows or loses
precision.
"""

import math

from torch import Tensor
from torch.nn.functional import softplus

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
"""The generator's losses by their names in a recipe."""
