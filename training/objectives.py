"""The value function and the generator's losses, from logits.

With logits l = logit D, log D = -softplus(-l) and log(1 - D) = -softplus(l), which neither overflow nor lose precision.
"""

import math

from torch import Tensor
from torch.nn.functional import softplus

LIMIT = -math.log(4.0)
"""V(G, D*) at the equilibrium p_g = p_data (Goodfellow et al., 2014, theorem 1)."""


def value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E log D(x) + E log(1 - D(G(z))) over a minibatch (equation 1).

    Args:
        real: float32[m], logits of data.
        fake: float32[m], logits of generated images.

    Returns:
        float32[], in nats.
    """
    return -softplus(-real).mean() - softplus(fake).mean()


def minimax_loss(fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))), what G descends in equation 1 as printed. `fake`: float32[m] logits; float32[]."""
    return -softplus(fake).mean()


def non_saturating_loss(fake: Tensor) -> Tensor:
    """-E log D(G(z)): the same fixed point, but strong gradients early in learning (section 3). `fake` as above."""
    return softplus(-fake).mean()


GENERATOR_LOSSES = {"minimax": minimax_loss, "non-saturating": non_saturating_loss}
