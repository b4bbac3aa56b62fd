"""Algorithm 1 of Generative Adversarial Nets (Goodfellow et al., 2014): minibatch stochastic gradient training.

for number of training iterations do
    for k steps do
        Sample minibatch of m noise samples {z} from the noise prior p_g(z).
        Sample minibatch of m examples {x} from the data generating distribution p_data(x).
        Update the discriminator by ascending its stochastic gradient:
            grad 1/m sum [log D(x) + log(1 - D(G(z)))].
    end for
    Sample minibatch of m noise samples {z} from the noise prior p_g(z).
    Update the generator by descending its stochastic gradient:
        grad 1/m sum log(1 - D(G(z))).
end for
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

from seedmint.training.objectives import GENERATOR_LOSSES, value
from seedmint.training.optimization import distributed
from seedmint.training.optimization.ema import update_ema
from seedmint.training.optimization.minibatches import Minibatches, stream_seed
from seedmint.training.optimization.optimizers import apply_schedule
from seedmint.training.recipes.schema import Recipe

STATISTICS = ("V", "D(x)", "D(G(z))")


@dataclass
class Algorithm1:
    """The networks, their optimizers, and the source of the minibatches.

    Attributes:
        recipe: Gives k, m, the prior, the objective and the schedules.
        generator: G, on the device of the minibatches.
        discriminator: D, on the same device.
        ema: The averaged generator, or None.
        generator_optimizer: Optimizer of G's parameters.
        discriminator_optimizer: Optimizer of D's parameters.
        minibatches: Draws noise, data and labels.
    """

    recipe: Recipe
    generator: nn.Module
    discriminator: nn.Module
    ema: nn.Module | None
    generator_optimizer: optim.Optimizer
    discriminator_optimizer: optim.Optimizer
    minibatches: Minibatches

    def iterate(self, iteration: int) -> Tensor:
        """Run one training iteration: k updates of D, then one update of G.

        All random numbers of an iteration follow from (recipe.seed, iteration), so that a run can restart at any iteration.

        Args:
            iteration: Number of the iteration, from 0.

        Returns:
            float32[3] on the device, the `STATISTICS` of the last update of D: V in nats, and the means of D(x) and D(G(z)).
        """
        torch.manual_seed(stream_seed(self.recipe.seed, iteration))
        if self.recipe.order == "simultaneous":
            return self._iterate_simultaneously(iteration)
        for step in range(self.recipe.k):
            update = iteration * self.recipe.k + step
            x, label = self.minibatches.data(update)
            z = self.minibatches.noise()
            statistics = self.update_discriminator(x, z, label, update)
        z, label = self.minibatches.noise(), self.minibatches.labels()
        self.update_generator(z, label, iteration)
        return statistics

    def update_discriminator(self, x: Tensor, z: Tensor, label: Tensor | None, update: int) -> Tensor:
        """Ascend the gradient of V(D, G) in D's parameters.

        Args:
            x: float32[m, ...], data.
            z: float32[m, z_dim], noise.
            label: int64[m], labels of x and of G(z); None without labels.
            update: Number of the update of D, from 0.

        Returns:
            float32[3], the `STATISTICS` before the update.
        """
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(z, label)
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = value(real_logits, fake_logits)
        self._ascend(v, update)
        return _statistics(v, real_logits, fake_logits)

    def update_generator(self, z: Tensor, label: Tensor | None, update: int) -> None:
        """Descend the gradient of the generator's loss in G's parameters.

        Args:
            z: float32[m, z_dim], noise.
            label: int64[m]; None without labels.
            update: Number of the update of G, from 0.
        """
        with self._autocast():
            fake_logits = self._logits(self.generator(z, label), label)
        self._compute_generator_gradient(fake_logits, retain_graph=False)
        self._step_generator(update)

    def _iterate_simultaneously(self, iteration: int) -> Tensor:
        """Take both gradients at the same parameters, from one shared batch of generated examples; then update both."""
        x, label = self.minibatches.data(iteration)
        z = self.minibatches.noise()
        with self._autocast():
            fake = self.generator(z, label)
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = value(real_logits, fake_logits)
        self._compute_generator_gradient(fake_logits, retain_graph=True)
        self._ascend(v, iteration)
        self._step_generator(iteration)
        return _statistics(v, real_logits, fake_logits)

    def _logits(self, x: Tensor, label: Tensor | None) -> Tensor:
        logits: Tensor = self.discriminator(x, label)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    def _ascend(self, v: Tensor, update: int) -> None:
        apply_schedule(self.recipe.rule.discriminator, self.discriminator_optimizer, update)
        self.discriminator_optimizer.zero_grad()
        (-v).backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
        _all_reduce_gradients(self.discriminator)
        self.discriminator_optimizer.step()

    def _compute_generator_gradient(self, fake_logits: Tensor, retain_graph: bool) -> None:
        loss = GENERATOR_LOSSES[self.recipe.objective](fake_logits)
        self.generator_optimizer.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()), retain_graph=retain_graph)  # type: ignore[no-untyped-call]
        _all_reduce_gradients(self.generator)

    def _step_generator(self, update: int) -> None:
        apply_schedule(self.recipe.rule.generator, self.generator_optimizer, update)
        self.generator_optimizer.step()
        if self.ema is not None:
            update_ema(self.ema, self.generator, self.recipe.ema, update - self.recipe.ema_start)

    def _autocast(self) -> torch.autocast:
        device = next(self.generator.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")


def _all_reduce_gradients(network: nn.Module) -> None:
    distributed.all_reduce_mean(p.grad for p in network.parameters() if p.grad is not None)


def _statistics(v: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([v, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()])
