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

from seedmint.training.objectives import GENERATOR_LOSSES, value
from seedmint.training.optimization import distributed
from seedmint.training.optimization.ema import update_ema
from seedmint.training.optimization.minibatches import Minibatches, step_seed
from seedmint.training.optimization.optimizers import schedule
from seedmint.training.recipes.schema import Recipe

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
        if self.recipe.order == "simultaneous":
            return self._simultaneous_step(iteration)
        for j in range(self.recipe.k):
            statistics = self._discriminator_step(iteration * self.recipe.k + j)
        self._generator_step(iteration)
        return statistics

    def _discriminator_step(self, update: int) -> Tensor:
        x, label = self.minibatches.data(update)
        z = self.minibatches.noise()
        with self._precision():
            with torch.no_grad():
                fake = self.generator(z, label)
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = value(real_logits, fake_logits)
        self._ascend(v, update)
        return _statistics(v, real_logits, fake_logits)

    def _generator_step(self, update: int) -> None:
        z = self.minibatches.noise()
        label = self.minibatches.labels()
        with self._precision():
            fake_logits = self._logits(self.generator(z, label), label)
        self._descend(GENERATOR_LOSSES[self.recipe.objective](fake_logits), update)
        self._average(update)

    def _simultaneous_step(self, update: int) -> Tensor:
        """Both gradients at the same parameters, from one shared batch of generated images, then both updates."""
        x, label = self.minibatches.data(update)
        z = self.minibatches.noise()
        with self._precision():
            fake = self.generator(z, label)
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = value(real_logits, fake_logits)
        loss = GENERATOR_LOSSES[self.recipe.objective](fake_logits)
        self.generator_rule.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()), retain_graph=True)  # type: ignore[no-untyped-call]
        _share_gradients(self.generator)
        self._ascend(v, update)
        schedule(self.recipe.rule.generator, self.generator_rule, update)
        self.generator_rule.step()
        self._average(update)
        return _statistics(v, real_logits, fake_logits)

    def _logits(self, x: Tensor, label: Tensor | None) -> Tensor:
        logits: Tensor = self.discriminator(x, label)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    def _ascend(self, v: Tensor, update: int) -> None:
        schedule(self.recipe.rule.discriminator, self.discriminator_rule, update)
        self.discriminator_rule.zero_grad()
        (-v).backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
        _share_gradients(self.discriminator)
        self.discriminator_rule.step()

    def _descend(self, loss: Tensor, update: int) -> None:
        schedule(self.recipe.rule.generator, self.generator_rule, update)
        self.generator_rule.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()))  # type: ignore[no-untyped-call]
        _share_gradients(self.generator)
        self.generator_rule.step()

    def _average(self, update: int) -> None:
        if self.ema is not None:
            update_ema(self.ema, self.generator, self.recipe.ema, update - self.recipe.ema_start)

    def _precision(self) -> torch.autocast:
        device = next(self.generator.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")


def _share_gradients(network: nn.Module) -> None:
    distributed.average(p.grad for p in network.parameters() if p.grad is not None)


def _statistics(v: Tensor, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([v, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()])
