"""Algorithm 1 of Generative Adversarial Nets (Goodfellow et al., 2014): minibatch stochastic gradient training.

for number of training iterations do
    for k steps do
        sample minibatch of m noise samples from the noise prior p_g(z)
        sample minibatch of m examples from the data generating distribution p_data(x)
        update the discriminator by ascending its stochastic gradient of V
    end for
    sample minibatch of m noise samples from the noise prior p_g(z)
    update the generator by descending its stochastic gradient
end for
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

from training.ema import update_ema
from training.minibatches import Minibatches, step_seed
from training.objectives import GENERATOR_LOSSES, value
from training.recipe import Recipe
from training.rules import schedule

STATISTICS = ("V", "D(x)", "D(G(z))")


@dataclass
class Algorithm1:
    """The two networks, their learning rules, and where minibatches come from; `iterate` is one pass of the box's loop.

    Attributes:
        recipe: k, m, prior, objective, rules.
        generator, discriminator: G and D, on the device of the minibatches.
        ema: the averaged generator, or None.
        generator_rule, discriminator_rule: optimisers of their parameters.
        minibatches: draws noise and data.
    """

    recipe: Recipe
    generator: nn.Module
    discriminator: nn.Module
    ema: nn.Module | None
    generator_rule: optim.Optimizer
    discriminator_rule: optim.Optimizer
    minibatches: Minibatches

    def iterate(self, iteration: int) -> Tensor:
        """Iteration number `iteration`, from 0: k D-steps, then one G-step.

        All that is random in it follows from (recipe.seed, iteration), so that a run may restart at any iteration.

        Returns:
            float32[3], the `STATISTICS` of the last D-step, on the device: V in nats, and the means of D(x) and D(G(z)).
        """
        torch.manual_seed(step_seed(self.recipe.seed, iteration))
        for j in range(self.recipe.k):
            statistics = self._discriminator_step(iteration * self.recipe.k + j)
        self._generator_step(iteration)
        return statistics

    def _discriminator_step(self, update: int) -> Tensor:
        x, label = self.minibatches.data(update)
        z = self.minibatches.noise()
        with torch.no_grad():
            fake = self.generator(z, label)
        real_logits, fake_logits = self.discriminator(x, label), self.discriminator(fake, label)
        v = value(real_logits, fake_logits)
        self._ascend(v, update)
        with torch.no_grad():
            return torch.stack([v, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()])

    def _generator_step(self, update: int) -> None:
        z = self.minibatches.noise()
        label = self.minibatches.labels()
        self.discriminator.requires_grad_(False)
        loss = GENERATOR_LOSSES[self.recipe.objective](self.discriminator(self.generator(z, label), label))
        self._descend(loss, update)
        self.discriminator.requires_grad_(True)
        if self.ema is not None:
            update_ema(self.ema, self.generator, self.recipe.ema, update)

    def _ascend(self, v: Tensor, update: int) -> None:
        schedule(self.recipe.rule.discriminator, self.discriminator_rule, update)
        self.discriminator_rule.zero_grad()
        (-v).backward()  # type: ignore[no-untyped-call]
        self.discriminator_rule.step()

    def _descend(self, loss: Tensor, update: int) -> None:
        schedule(self.recipe.rule.generator, self.generator_rule, update)
        self.generator_rule.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator_rule.step()
