"""Algorithm 1 in plain NumPy, float64, with explicit gradients: the reference for `seedmint.training.algorithm1`.

The networks are those of the paper, without dropout: G is z -> ReLU -> sigmoid, D is x -> maxout -> logit.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Generator:
    """G with a ReLU layer (w1, b1) and a sigmoid layer (w2, b2). Weights are [out, in], as in torch."""

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
    """D with one maxout layer (w1, b1) of `pieces` pieces, and the logit (w2, b2)."""

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
        """Return the gradients of the parameters and of x."""
        w1, _, w2, _ = self.parameters
        dh = dlogit[:, None] * w2
        da = np.zeros((len(dh), self.pieces, dh.shape[1]))
        np.put_along_axis(da, self.winner[:, None], dh[:, None], axis=1)
        da = da.reshape(len(dh), -1)
        return [da.T @ self.x, da.sum(0), dlogit[None] @ self.h, dlogit.sum(keepdims=True)], da @ w1


class MomentumOptimizer:
    """The learning rate is divided by `decay` at each update; momentum goes from `first` to `last` in `ramp` updates."""

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


class AdamOptimizer:
    """Adam with bias correction."""

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


class RMSPropOptimizer:
    """RMSProp without momentum."""

    def __init__(self, learning_rate, alpha, epsilon):
        self.settings, self.v = (learning_rate, alpha, epsilon), None

    def step(self, parameters, gradients):
        learning_rate, alpha, epsilon = self.settings
        if self.v is None:
            self.v = [np.zeros_like(g) for g in gradients]
        for p, g, v in zip(parameters, gradients, self.v, strict=True):
            v[:] = alpha * v + (1 - alpha) * g * g
            p -= learning_rate * g / (np.sqrt(v) + epsilon)


def append_one_hot(x, label, classes):
    """Append the label to x as a one-hot vector; return x itself without labels."""
    return x if label is None else np.concatenate([x, np.eye(classes)[label]], axis=1)


def _step(x, threshold=0.0):
    return (x > threshold).astype(float)


# By objective: what D ascends, the slopes of its terms in the logits of data and of generated examples, and the slope of G's
# loss in the logits of generated examples. Each takes the logits (real, fake) of rows; the mean over the rows comes later.
OBJECTIVES = {
    "minimax": (
        lambda real, fake: np.log(sigmoid(real)) + np.log(1 - sigmoid(fake)),
        lambda real, fake: (1 - sigmoid(real), -sigmoid(fake)),
        lambda real, fake: -sigmoid(fake),
    ),
    "non-saturating": (
        lambda real, fake: np.log(sigmoid(real)) + np.log(1 - sigmoid(fake)),
        lambda real, fake: (1 - sigmoid(real), -sigmoid(fake)),
        lambda real, fake: -(1 - sigmoid(fake)),
    ),
    "relativistic": (
        lambda real, fake: np.log(sigmoid(real - fake)),
        lambda real, fake: (sigmoid(fake - real), -sigmoid(fake - real)),
        lambda real, fake: -sigmoid(real - fake),
    ),
    "hinge": (
        lambda real, fake: -np.maximum(0, 1 - real) - np.maximum(0, 1 + fake),
        lambda real, fake: (_step(1 - real), -_step(1 + fake)),
        lambda real, fake: -np.ones_like(fake),
    ),
    "least-squares": (
        lambda real, fake: -((real - 1) ** 2) / 2 - fake**2 / 2,
        lambda real, fake: (1 - real, -fake),
        lambda real, fake: fake - 1,
    ),
    "wasserstein": (
        lambda real, fake: real - fake,
        lambda real, fake: (np.ones_like(real), -np.ones_like(fake)),
        lambda real, fake: -np.ones_like(fake),
    ),
}


def iterate(generator, discriminator, generator_optimizer, discriminator_optimizer, objective, k, minibatches, classes):
    """Run one iteration of Algorithm 1.

    Each call of `minibatches` draws a new minibatch: data() returns (x, label), noise() returns z, labels() returns labels.

    Returns:
        V, mean D(x) and mean D(G(z)) of the last D-step.
    """
    _, d_slopes, g_slope = OBJECTIVES[objective]
    for _ in range(k):
        (x, label), z = minibatches.data(), minibatches.noise()
        fake_images = generator.forward(append_one_hot(z, label, classes))
        real_logits = discriminator.forward(append_one_hot(x, label, classes))
        fake_logits = discriminator.forward(append_one_hot(fake_images, label, classes))
        slopes = d_slopes(real_logits, fake_logits)
        fake, _ = discriminator.backward(slopes[1] / len(x))
        discriminator.forward(append_one_hot(x, label, classes))
        real, _ = discriminator.backward(slopes[0] / len(x))
        discriminator_optimizer.step(discriminator.parameters, [-(a + b) for a, b in zip(real, fake, strict=True)])
    z = minibatches.noise()
    uses_pairs = objective == "relativistic"  # the examples of the last D-step, with their labels
    label = label if uses_pairs else minibatches.labels()
    new_real = discriminator.forward(append_one_hot(x, label, classes)) if uses_pairs else None
    images = generator.forward(append_one_hot(z, label, classes))
    logits = discriminator.forward(append_one_hot(images, label, classes))
    _, dx = discriminator.backward(g_slope(new_real, logits) / len(x))
    generator_optimizer.step(generator.parameters, generator.backward(dx[:, : images.shape[1]]))
    return _statistics(real_logits, fake_logits, objective)


def iterate_simultaneously(
    generator, discriminator, generator_optimizer, discriminator_optimizer, objective, minibatches, classes
):
    """Run one iteration of the paper's code: both gradients at the same parameters, from one batch of generated images."""
    _, d_slopes, g_slope = OBJECTIVES[objective]
    (x, label), z = minibatches.data(), minibatches.noise()
    real_logits = discriminator.forward(append_one_hot(x, label, classes))
    images = generator.forward(append_one_hot(z, label, classes))
    fake_logits = discriminator.forward(append_one_hot(images, label, classes))
    slopes = d_slopes(real_logits, fake_logits)
    fake, _ = discriminator.backward(slopes[1] / len(x))
    _, dx = discriminator.backward(g_slope(real_logits, fake_logits) / len(x))
    descent = generator.backward(dx[:, : images.shape[1]])
    discriminator.forward(append_one_hot(x, label, classes))
    real, _ = discriminator.backward(slopes[0] / len(x))
    discriminator_optimizer.step(discriminator.parameters, [-(a + b) for a, b in zip(real, fake, strict=True)])
    generator_optimizer.step(generator.parameters, descent)
    return _statistics(real_logits, fake_logits, objective)


def _statistics(real_logits, fake_logits, objective):
    value = OBJECTIVES[objective][0](real_logits, fake_logits).mean()
    if objective in ("relativistic", "wasserstein"):
        return value, sigmoid(real_logits - fake_logits).mean(), sigmoid(fake_logits - real_logits).mean()
    if objective == "least-squares":
        return value, real_logits.mean(), fake_logits.mean()
    return value, sigmoid(real_logits).mean(), sigmoid(fake_logits).mean()
