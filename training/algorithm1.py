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

The recipe may replace the two gradients' functions (`seedmint.training.objectives`), add penalties on D's gradient
(`seedmint.training.penalties`), and change the images that D receives (`seedmint.training.augmentation`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

from seedmint.training import penalties
from seedmint.training.augmentation import Augmentation
from seedmint.training.objectives import OBJECTIVES, Objective
from seedmint.training.optimization import distributed
from seedmint.training.optimization.device_inputs import DeviceInputs
from seedmint.training.optimization.ema import update_ema, weight_of_newest
from seedmint.training.optimization.iteration_graphs import IterationGraphs
from seedmint.training.optimization.minibatches import Minibatches, seed_generator, stream_seed
from seedmint.training.optimization.optimizers import apply_schedule, step_with_tensors
from seedmint.training.recipes.optimizers import OptimizerConfig
from seedmint.training.recipes.schedules import value_at
from seedmint.training.recipes.schema import Recipe

STATISTICS = ("V", "D(x)", "D(G(z))")


@dataclass
class Algorithm1:
    """The networks, their optimizers, and the source of the minibatches.

    Attributes:
        recipe: Gives k, m, the prior, the objective, the penalties and the schedules.
        generator: G, on the device of the minibatches.
        discriminator: D, on the same device.
        ema: The averaged generator, or None.
        generator_optimizer: Optimizer of G's parameters.
        discriminator_optimizer: Optimizer of D's parameters.
        minibatches: Draws noise, data and labels.
        augmentation: Changes the images that D receives; None for no change.
        inputs: Rows and scheduled numbers on the device; None if they come from the host in each iteration.
        graphs: Records iterations; requires `inputs`. None if each kernel is started by the host.
    """

    recipe: Recipe
    generator: nn.Module
    discriminator: nn.Module
    ema: nn.Module | None
    generator_optimizer: optim.Optimizer
    discriminator_optimizer: optim.Optimizer
    minibatches: Minibatches
    augmentation: Augmentation | None = None
    inputs: DeviceInputs | None = None
    graphs: IterationGraphs | None = None

    def iterate(self, iteration: int) -> Tensor:
        """Run one training iteration: k updates of D, then one update of G.

        All random numbers of an iteration follow from (recipe.seed, iteration), so that a run can restart at any iteration.

        Args:
            iteration: Number of the iteration, from 0.

        Returns:
            float32[3] on the device, the `STATISTICS` of the last update of D: V, and the means of D(x) and D(G(z)).
        """
        seed_generator(next(self.generator.parameters()).device, stream_seed(self.recipe.seed, iteration))
        if self.inputs is None:
            return self._iterate(iteration)
        kind = self.inputs.begin(iteration)
        if self.graphs is None:
            return self._iterate(iteration)
        return self.graphs.run(kind, lambda: self._iterate(iteration))

    def _iterate(self, iteration: int) -> Tensor:
        if self.recipe.order == "simultaneous":
            return self._iterate_simultaneously(iteration)
        for step in range(self.recipe.k):
            update = iteration * self.recipe.k + step
            x, label = self._data(update)
            z = self.minibatches.noise()
            statistics = self.update_discriminator(x, z, label, update)
        z = self.minibatches.noise()
        if self._objective.uses_pairs:  # each generated example forms a pair with an example of the data of the same label
            self.update_generator(z, label, iteration, x)
        else:
            self.update_generator(z, self.minibatches.labels(), iteration)
        return statistics

    def update_discriminator(self, x: Tensor, z: Tensor, label: Tensor | None, update: int) -> Tensor:
        """Ascend the gradient of V(D, G), less the penalties, in D's parameters.

        Args:
            x: float32[m, ...], data.
            z: float32[m, z_dim], noise.
            label: int64[m], labels of x and of G(z); None without labels.
            update: Number of the update of D, from 0.

        Returns:
            float32[3], the `STATISTICS` before the update.
        """
        self._begin(update)
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(z, label)
            if self._is_penalized(update):
                x, fake = x.requires_grad_(), _without_bfloat16(fake).requires_grad_()
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = self._objective.value(real_logits, fake_logits)
        self._ascend(v - self._penalty(x, fake, label, real_logits, fake_logits, update), update)
        return self._observe(v, real_logits, fake_logits, update)

    def update_generator(self, z: Tensor, label: Tensor | None, update: int, x: Tensor | None = None) -> None:
        """Descend the gradient of the generator's loss in G's parameters.

        Args:
            z: float32[m, z_dim], noise.
            label: int64[m]; None without labels.
            update: Number of the update of G, from 0.
            x: float32[m, ...], data of the same labels, for an objective that compares pairs; otherwise None.
        """
        with self._autocast():
            fake_logits = self._logits(self.generator(z, label), label)
            with torch.no_grad():
                real_logits = fake_logits if x is None else self._logits(x.detach(), label)
        self._compute_generator_gradient(real_logits, fake_logits, retain_graph=False)
        self._step_generator(update)

    def _iterate_simultaneously(self, iteration: int) -> Tensor:
        """Take both gradients at the same parameters, from one shared batch of generated examples; then update both."""
        self._begin(iteration)
        x, label = self._data(iteration)
        z = self.minibatches.noise()
        with self._autocast():
            fake = self.generator(z, label)
            if self._is_penalized(iteration):
                x, fake = x.requires_grad_(), _without_bfloat16(fake)
            real_logits, fake_logits = self._logits(x, label), self._logits(fake, label)
        v = self._objective.value(real_logits, fake_logits)
        self._compute_generator_gradient(real_logits, fake_logits, retain_graph=True)
        self._ascend(v - self._penalty(x, fake, label, real_logits, fake_logits, iteration), iteration)
        self._step_generator(iteration)
        return self._observe(v, real_logits, fake_logits, iteration)

    def _data(self, update: int) -> tuple[Tensor, Tensor | None]:
        return self.minibatches.data(update) if self.inputs is None else self.inputs.data(update)

    @property
    def _objective(self) -> Objective:
        return OBJECTIVES[self.recipe.objective]

    def _begin(self, update: int) -> None:
        if self.augmentation is not None:
            self.augmentation.begin(update)

    def _logits(self, x: Tensor, label: Tensor | None) -> Tensor:
        images = x if self.augmentation is None else self.augmentation(x)
        logits: Tensor = self.discriminator(images, label)
        return _without_bfloat16(logits)

    def _is_penalized(self, update: int) -> bool:
        return self.recipe.penalty.is_active and update % self.recipe.penalty.every == 0

    def _penalty(
        self, x: Tensor, fake: Tensor, label: Tensor | None, real_logits: Tensor, fake_logits: Tensor, update: int
    ) -> Tensor | float:
        """Return the weighted sum of the penalties, which D descends; 0 if none is due."""
        if not self._is_penalized(update):
            return 0.0
        config, total = self.recipe.penalty, torch.zeros((), device=x.device)
        if value_at(config.r1, update):
            total = total + self._weight("r1", update) * penalties.zero_centered(real_logits, x)
        if value_at(config.r2, update):
            total = total + self._weight("r2", update) * penalties.zero_centered(fake_logits, fake)
        if value_at(config.wgan_gp, update):
            share = distributed.rand(len(x), *[1] * (x.ndim - 1), device=x.device).to(x.dtype)
            between = torch.lerp(fake.detach(), x.detach(), share).requires_grad_()
            with self._autocast():
                logits = self._logits(between, label)
            total = total + self._weight("wgan_gp", update) * penalties.one_centered(logits, between)
        return total * config.every

    def _weight(self, name: str, update: int) -> float | Tensor:
        """Return the weight of a penalty."""
        if self.inputs is None:
            return value_at(getattr(self.recipe.penalty, name), update)
        return self.inputs.number(f"penalty.{name}", update)

    def _observe(self, v: Tensor, real_logits: Tensor, fake_logits: Tensor, update: int) -> Tensor:
        """Return the `STATISTICS`, and let the augmentation adapt to them."""
        with torch.no_grad():
            real, fake = self._objective.probabilities(real_logits, fake_logits)
            if self.augmentation is not None:
                self.augmentation.observe(real, update)
            return torch.stack([v, real.mean(), fake.mean()])

    def _ascend(self, v: Tensor, update: int) -> None:
        self.discriminator_optimizer.zero_grad()
        (-v).backward(inputs=list(self.discriminator.parameters()))  # type: ignore[no-untyped-call]
        _all_reduce_gradients(self.discriminator)
        self._step("discriminator", self.recipe.rule.discriminator, self.discriminator_optimizer, update)

    def _compute_generator_gradient(self, real_logits: Tensor, fake_logits: Tensor, retain_graph: bool) -> None:
        loss = self._objective.generator_loss(real_logits, fake_logits)
        self.generator_optimizer.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()), retain_graph=retain_graph)  # type: ignore[no-untyped-call]
        _all_reduce_gradients(self.generator)

    def _step_generator(self, update: int) -> None:
        self._step("generator", self.recipe.rule.generator, self.generator_optimizer, update)
        if self.ema is None:
            return
        averaged = update - self.recipe.ema_start
        if self.inputs is None or averaged < 0:
            update_ema(self.ema, self.generator, weight_of_newest(value_at(self.recipe.ema, averaged), averaged))
        else:
            update_ema(self.ema, self.generator, self.inputs.number("generator.ema", update))

    def _step(self, network: str, config: OptimizerConfig, optimizer: optim.Optimizer, update: int) -> None:
        if self.inputs is None:
            apply_schedule(config, optimizer, update)
            optimizer.step()
            return
        rate, momentum = (self.inputs.number(f"{network}.{name}", update) for name in ("learning_rate", "momentum"))
        step_with_tensors(config, optimizer, rate, momentum)

    def _autocast(self) -> torch.autocast:
        device = next(self.generator.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.recipe.uses_bfloat16)


def _all_reduce_gradients(network: nn.Module) -> None:
    distributed.all_reduce_mean(p.grad for p in network.parameters() if p.grad is not None)


def _without_bfloat16(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor
