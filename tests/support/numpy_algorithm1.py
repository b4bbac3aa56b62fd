"""Algorithm 1 in plain numpy, float64, with gradients written out by hand: the reference for `seedmint.training.algorithm1`.

The networks are the paper's without dropout: G is z -> ReLU -> sigmoid, D is x -> maxout -> logit.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Generator:
    """w1, b1: ReLU layer; w2, b2: sigmoid layer. Weights are [out, in], as torch has them."""

    def __init__(self, parameters):
        self.parameters = [p.copy() for p in parameters]

    def forward(self, z):
        w1, b1, w2, b2 = self.parameters
        self.z = z
        self.a = z @ w1.T + b1
        self.h = np.maximum(self.a, 0)
        self.x = sigmoid(self.h @ w2.T + b2)
        return self.x

    def backward(self, dx):
        _, _, w2, _ = self.parameters
        dout = dx * self.x * (1 - self.x)
        da = (dout @ w2) * (self.a > 0)
        return [da.T @ self.z, da.sum(0), dout.T @ self.h, dout.sum(0)]


class Discriminator:
    """w1, b1: one maxout layer of `pieces`; w2, b2: the logit."""

    def __init__(self, parameters, pieces):
        self.parameters, self.pieces = [p.copy() for p in parameters], pieces

    def forward(self, x):
        w1, b1, w2, b2 = self.parameters
        self.x = x
        a = (x @ w1.T + b1).reshape(len(x), self.pieces, -1)
        self.winner = a.argmax(axis=1)
        self.h = a.max(axis=1)
        return (self.h @ w2.T + b2)[:, 0]

    def backward(self, dlogit):
        """Gradients of the parameters, and of x."""
        w1, _, w2, _ = self.parameters
        dh = dlogit[:, None] * w2
        da = np.zeros((len(dh), self.pieces, dh.shape[1]))
        np.put_along_axis(da, self.winner[:, None], dh[:, None], axis=1)
        da = da.reshape(len(dh), -1)
        return [da.T @ self.x, da.sum(0), dlogit[None] @ self.h, dlogit.sum(keepdims=True)], da @ w1


class MomentumRule:
    """The learning rate is divided by `decay` at each update; momentum goes from `first` to `last` over `ramp` updates."""

    def __init__(self, learning_rate, first, last, ramp, decay):
        self.settings, self.t, self.velocity = (learning_rate, first, last, ramp, decay), 0, None

    def step(self, parameters, gradients):
        learning_rate, first, last, ramp, decay = self.settings
        if self.velocity is None:
            self.velocity = [np.zeros_like(g) for g in gradients]
        momentum = first + min(1, self.t / ramp) * (last - first)
        for p, g, v in zip(parameters, gradients, self.velocity, strict=True):
            v[:] = momentum * v + g
            p -= learning_rate / decay**self.t * v
        self.t += 1


class AdamRule:
    def __init__(self, learning_rate, beta1, beta2, epsilon):
        self.settings, self.t, self.m, self.v = (learning_rate, beta1, beta2, epsilon), 0, None, None

    def step(self, parameters, gradients):
        learning_rate, beta1, beta2, epsilon = self.settings
        if self.m is None:
            self.m, self.v = ([np.zeros_like(g) for g in gradients] for _ in range(2))
        self.t += 1
        for p, g, m, v in zip(parameters, gradients, self.m, self.v, strict=True):
            m[:] = beta1 * m + (1 - beta1) * g
            v[:] = beta2 * v + (1 - beta2) * g * g
            p -= learning_rate * (m / (1 - beta1**self.t)) / (np.sqrt(v / (1 - beta2**self.t)) + epsilon)


class RMSPropRule:
    def __init__(self, learning_rate, alpha, epsilon):
        self.settings, self.v = (learning_rate, alpha, epsilon), None

    def step(self, parameters, gradients):
        learning_rate, alpha, epsilon = self.settings
        if self.v is None:
            self.v = [np.zeros_like(g) for g in gradients]
        for p, g, v in zip(parameters, gradients, self.v, strict=True):
            v[:] = alpha * v + (1 - alpha) * g * g
            p -= learning_rate * g / (np.sqrt(v) + epsilon)


def joined(x, label, classes):
    """x with the label as a one-hot vector behind it; x itself without labels."""
    return x if label is None else np.concatenate([x, np.eye(classes)[label]], axis=1)


def iterate(generator, discriminator, generator_rule, discriminator_rule, objective, k, draws, classes):
    """One iteration of the box. `draws` gives each fresh minibatch: data() an (x, label), noise() a z, labels() a label.

    Returns:
        V, mean D(x) and mean D(G(z)) of the last D-step.
    """
    for _ in range(k):
        (x, label), z = draws.data(), draws.noise()
        m = len(x)
        real_logits = discriminator.forward(joined(x, label, classes))
        real, _ = discriminator.backward((1 - sigmoid(real_logits)) / m)  # d/dl log sigmoid(l) = 1 - sigmoid(l)
        fake_images = generator.forward(joined(z, label, classes))
        fake_logits = discriminator.forward(joined(fake_images, label, classes))
        fake, _ = discriminator.backward(-sigmoid(fake_logits) / m)  # d/dl log(1 - sigmoid(l)) = -sigmoid(l)
        discriminator_rule.step(discriminator.parameters, [-(a + b) for a, b in zip(real, fake, strict=True)])
    z, label = draws.noise(), draws.labels()
    images = generator.forward(joined(z, label, classes))
    logits = discriminator.forward(joined(images, label, classes))
    slope = -sigmoid(logits) / m if objective == "minimax" else -(1 - sigmoid(logits)) / m
    _, dx = discriminator.backward(slope)
    generator_rule.step(generator.parameters, generator.backward(dx[:, : images.shape[1]]))
    return _statistics(real_logits, fake_logits)


def iterate_simultaneously(generator, discriminator, generator_rule, discriminator_rule, objective, draws, classes):
    """One iteration of the paper's code: both gradients at the same parameters, from one batch of generated images."""
    (x, label), z = draws.data(), draws.noise()
    m = len(x)
    real_logits = discriminator.forward(joined(x, label, classes))
    real, _ = discriminator.backward((1 - sigmoid(real_logits)) / m)
    images = generator.forward(joined(z, label, classes))
    fake_logits = discriminator.forward(joined(images, label, classes))
    fake, _ = discriminator.backward(-sigmoid(fake_logits) / m)
    slope = -sigmoid(fake_logits) / m if objective == "minimax" else -(1 - sigmoid(fake_logits)) / m
    _, dx = discriminator.backward(slope)
    descent = generator.backward(dx[:, : images.shape[1]])
    discriminator_rule.step(discriminator.parameters, [-(a + b) for a, b in zip(real, fake, strict=True)])
    generator_rule.step(generator.parameters, descent)
    return _statistics(real_logits, fake_logits)


def _statistics(real_logits, fake_logits):
    d_real, d_fake = sigmoid(real_logits), sigmoid(fake_logits)
    return np.log(d_real).mean() + np.log(1 - d_fake).mean(), d_real.mean(), d_fake.mean()
