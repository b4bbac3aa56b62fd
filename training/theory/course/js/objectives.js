// The objectives, as in objectives.py: what D ascends, what G descends, and their derivatives by the outputs of D.
import { LOG_2, mean, sigmoid, softplus } from "./mathematics.js";

const classifier = (generatorLoss, generatorSlope) => ({
  value: (real, fake) => -mean(real.map((l) => softplus(-l))) - mean(fake.map(softplus)),
  slopes: (real, fake) => [real.map((l) => sigmoid(-l) / real.length), fake.map((l) => -sigmoid(l) / fake.length)],
  generatorLoss: (real, fake) => mean(fake.map(generatorLoss)),
  generatorSlopes: (real, fake) => fake.map((l) => generatorSlope(l) / fake.length),
  equilibrium: -2 * LOG_2,
  estimatesJsd: true,
  probability: sigmoid,
});

const byScore = { generatorLoss: (real, fake) => -mean(fake), generatorSlopes: (real, fake) => fake.map(() => -1 / fake.length), probability: sigmoid };

/** By name. `real` and `fake` are the outputs of D on a minibatch; each slope is a derivative by one output. */
export const OBJECTIVES = {
  minimax: classifier((l) => -softplus(l), (l) => -sigmoid(l)),
  "non-saturating": classifier((l) => softplus(-l), (l) => -sigmoid(-l)),
  relativistic: {
    value: (real, fake) => -mean(fake.map((l, i) => softplus(l - real[i]))),
    slopes: (real, fake) => {
      const slopes = fake.map((l, i) => sigmoid(l - real[i]) / fake.length);
      return [slopes, slopes.map((slope) => -slope)];
    },
    generatorLoss: (real, fake) => mean(fake.map((l, i) => softplus(real[i] - l))),
    generatorSlopes: (real, fake) => fake.map((l, i) => -sigmoid(real[i] - l) / fake.length),
    equilibrium: -LOG_2,
    probability: sigmoid,
  },
  hinge: {
    ...byScore,
    value: (real, fake) => -mean(real.map((l) => Math.max(0, 1 - l))) - mean(fake.map((l) => Math.max(0, 1 + l))),
    slopes: (real, fake) => [real.map((l) => (l < 1 ? 1 : 0) / real.length), fake.map((l) => (l > -1 ? -1 : 0) / fake.length)],
    equilibrium: -2,
  },
  "least-squares": {
    value: (real, fake) => -mean(real.map((l) => (l - 1) ** 2)) / 2 - mean(fake.map((l) => l * l)) / 2,
    slopes: (real, fake) => [real.map((l) => (1 - l) / real.length), fake.map((l) => -l / fake.length)],
    generatorLoss: (real, fake) => mean(fake.map((l) => (l - 1) ** 2)) / 2,
    generatorSlopes: (real, fake) => fake.map((l) => (l - 1) / fake.length),
    equilibrium: -0.25,
    probability: (l) => l,
  },
  wasserstein: {
    ...byScore,
    value: (real, fake) => mean(real) - mean(fake),
    slopes: (real, fake) => [real.map(() => 1 / real.length), fake.map(() => -1 / fake.length)],
    equilibrium: 0,
  },
};
