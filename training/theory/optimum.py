"""Proposition 1 and theorem 1: the optimal D is p_data / (p_data + p_g), and its V measures the divergence.

p_data has two modes of different widths, so the logit of D* is not linear in x: a logistic regression cannot express D*.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, optim
from torch.distributions import Distribution

from seedmint.training.objectives import value
from seedmint.training.optimization.minibatches import stream_seed
from seedmint.training.theory.densities import Grid, gaussian, mixture
from seedmint.training.theory.divergences import jsd, optimal_logits, value_by_quadrature
from seedmint.training.theory.small_networks import ascend, new_discriminator

GRID = Grid(-14.0, 14.0, 2800)
P_DATA = mixture([0.6, 0.4], [-1.5, 1.5], [0.5, 0.8])
_TAIL = 0.001  # mass of (p_data + p_g) / 2 on each side where D is not compared
_NUM_SAMPLES = 1 << 17  # new examples of each density for the estimate


@dataclass(frozen=True)
class Trained:
    """D trained for p_g = N(shift, 1).

    Attributes:
        shift: Mean of p_g.
        d: float64[cells] on `GRID`, the trained D.
        d_star: float64[cells], the optimal D.
        inside: bool[cells], where (p_data + p_g) / 2 has 99.8% of its mass.
        jsd: JSD by quadrature, in nats.
        estimate: (V + log 4) / 2 of the trained D, by quadrature.
        sampled: (V + log 4) / 2 from new samples, as in practice.
        error: Standard error of `sampled`.
        largest: Largest |D - D*| inside.
        distance: Root mean square of D - D* under (p_data + p_g) / 2.
        logistic: float64[cells], the best D whose logit is linear in x.
        logistic_distance: Root mean square of its difference from D*.
    """

    shift: float
    d: Tensor
    d_star: Tensor
    inside: Tensor
    jsd: float
    estimate: float
    sampled: float
    error: float
    largest: float
    distance: float
    logistic: Tensor
    logistic_distance: float


@dataclass(frozen=True)
class Result:
    """Result of the experiment.

    Attributes:
        shifts: float64[n].
        curve: float64[n], JSD at `shifts` by quadrature.
        trained: D trained at some shifts.
    """

    shifts: Tensor
    curve: Tensor
    trained: list[Trained]

    @property
    def largest(self) -> float:
        """Largest |D - D*| over all trained D."""
        return max(trained.largest for trained in self.trained)

    @property
    def gap(self) -> float:
        """Largest difference between the JSD and its estimate."""
        return max(trained.jsd - trained.estimate for trained in self.trained)


def run(
    seed: int = 0, shifts: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0), steps: int = 2000, m: int = 512
) -> Result:
    """Train a new D for each shift of p_g.

    Args:
        seed: Seed of weights and samples.
        shifts: Means of p_g.
        steps: Number of updates of D.
        m: Number of examples of each density in a minibatch.
    """
    log_data = P_DATA.log_prob(GRID.x)
    line = torch.linspace(0.0, max(shifts), 121, dtype=torch.float64)
    curve = torch.stack([jsd(GRID, log_data, gaussian(shift, 1.0).log_prob(GRID.x)) for shift in line])
    return Result(line, curve, [_trained(seed, i, shift, steps, m) for i, shift in enumerate(shifts)])


def _trained(seed: int, stream: int, shift: float, steps: int, m: int) -> Trained:
    torch.manual_seed(stream_seed(seed, stream))
    p_g = gaussian(shift, 1.0)
    discriminator = new_discriminator()
    for _ in ascend(discriminator, P_DATA, p_g, steps, m):
        pass
    with torch.no_grad():
        logits = discriminator(GRID.x)
        sampled, error = _estimate(discriminator(P_DATA.sample((_NUM_SAMPLES,))), discriminator(p_g.sample((_NUM_SAMPLES,))))
    return compare_with_optimum(shift, p_g, logits, sampled, error)


def compare_with_optimum(shift: float, p_g: Distribution, logits: Tensor, sampled: float, error: float) -> Trained:
    """Compare a trained D with D*.

    Args:
        shift: Mean of p_g.
        p_g: Density of the generated examples.
        logits: float64[cells] on `GRID`, logits of D.
        sampled: See `Trained`.
        error: See `Trained`.
    """
    log_data, log_g = P_DATA.log_prob(GRID.x), p_g.log_prob(GRID.x)
    d, d_star = logits.sigmoid(), optimal_logits(log_data, log_g).sigmoid()
    half = (log_data.exp() + log_g.exp()) / 2
    logistic = _best_logistic(log_data, log_g)
    below = (GRID.width * half).cumsum(0)
    inside = (below > _TAIL) & (below < 1 - _TAIL)
    return Trained(
        shift,
        d,
        d_star,
        inside,
        float(jsd(GRID, log_data, log_g)),
        float(value_by_quadrature(GRID, log_data, log_g, logits) + math.log(4.0)) / 2,
        sampled,
        error,
        float((d - d_star).abs()[inside].max()),
        float(GRID.integral(half * (d - d_star).square()).sqrt()),
        logistic,
        float(GRID.integral(half * (logistic - d_star).square()).sqrt()),
    )


def _best_logistic(log_data: Tensor, log_g: Tensor) -> Tensor:
    """Return D(x) = sigmoid(a x + b) with the largest V, float64[cells]. V is concave in (a, b)."""
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = optim.LBFGS([line], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def descend() -> Tensor:
        optimizer.zero_grad()
        loss = -value_by_quadrature(GRID, log_data, log_g, line[0] * GRID.x + line[1])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(descend)  # type: ignore[no-untyped-call]
    return (line[0] * GRID.x + line[1]).sigmoid().detach()


def _estimate(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Return (V + log 4) / 2 from the logits of samples, and its standard error."""
    log_d, log_one_minus_d = torch.nn.functional.logsigmoid(real), torch.nn.functional.logsigmoid(-fake)
    variance = log_d.var() / len(real) + log_one_minus_d.var() / len(fake)
    return float(value(real, fake) + math.log(4.0)) / 2, float(variance.sqrt()) / 2
