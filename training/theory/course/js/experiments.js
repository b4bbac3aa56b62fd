// The experiments without networks. Each function has its counterpart in training/theory; the tests compare them.
import { LOG_2, grid, jsd, kl, logAddExp, logMixture, logNormal, logUniform, optimalLogits, range, sigmoid, softplus, valueByQuadrature, wasserstein } from "./mathematics.js";
import { OBJECTIVES } from "./objectives.js";
import { RULES } from "./rules.js";

export const LINE = grid(-14, 14, 1400);
export const BIMODAL = { weights: [0.6, 0.4], means: [-1.5, 1.5], stds: [0.5, 0.8] };

/** D*, its value and the divergences for p_g = N(mean, std), as in optimum.py. */
export function optimum(data, mean, std) {
  const logData = LINE.x.map(logMixture(data));
  const logG = LINE.x.map(logNormal(mean, std));
  const logits = optimalLogits(logData, logG);
  return {
    x: LINE.x, pData: logData.map(Math.exp), pG: logG.map(Math.exp), dStar: logits.map(sigmoid),
    costs: logData.map((p, i) => Math.exp(p) * (p - logG[i])), reverseCosts: logG.map((q, i) => Math.exp(q) * (q - logData[i])),
    value: valueByQuadrature(LINE, logData, logG, logits), jsd: jsd(LINE, logData, logG), kl: kl(LINE, logData, logG), reverseKl: kl(LINE, logG, logData),
  };
}

/** a log y + b log(1 - y), whose maximum is at y = a / (a + b). */
export const pointwiseValue = (a, b, y) => a * Math.log(y) + b * Math.log(1 - y);

/** V of D with logit t (logit D*), for each candidate p_g = N(mean, 1) and p_data = N(0, 1): D = 1/2 at t = 0, D* at t = 1. */
export function candidateValues(means, ts) {
  const logData = LINE.x.map(logNormal(0, 1));
  return means.map((mean) => {
    const logG = LINE.x.map(logNormal(mean, 1));
    const best = optimalLogits(logData, logG);
    return ts.map((t) => valueByQuadrature(LINE, logData, logG, best.map((l) => t * l)));
  });
}

const DESCENT = grid(-16, 20, 1800);

/** p_g after steps of exponentiated gradient descent on C = max over D of V (proposition 2), and its JSD, as in convergence.py. */
export function descent(rate, steps) {
  const logData = DESCENT.x.map(logMixture({ weights: [0.6, 0.4], means: [-1.5, 1.5], stds: [0.6, 0.8] }));
  let logG = DESCENT.x.map(logNormal(-3, 1));
  const densities = [logG.map(Math.exp)];
  const divergences = [jsd(DESCENT, logData, logG)];
  for (let step = 0; step < steps; step += 1) {
    logG = logG.map((q, i) => q + rate * softplus(logData[i] - q));
    const log = Math.log(DESCENT.integral(logG.map(Math.exp)));
    logG = logG.map((q) => q - log);
    densities.push(logG.map(Math.exp));
    divergences.push(jsd(DESCENT, logData, logG));
  }
  return { x: DESCENT.x, pData: logData.map(Math.exp), densities, divergences };
}

/** JSD to N(0, 1) along (1 - t) N(0, 1) + t N(far, 1), a segment of densities, and along N(far t, 1), a segment of parameters. */
export function segments(far, ts) {
  const near = DESCENT.x.map(logNormal(0, 1));
  const end = DESCENT.x.map(logNormal(far, 1));
  return {
    mixed: ts.map((t) => jsd(DESCENT, near, near.map((p, i) => logAddExp(p + Math.log(1 - t), end[i] + Math.log(t))))),
    shifted: ts.map((t) => jsd(DESCENT, near, DESCENT.x.map(logNormal(far * t, 1)))),
  };
}

const SUPPORTS = grid(-2, 6, 800);

/** p_data uniform on [0, 1], p_g on [θ, θ + 1], as in disjoint.py. */
export function supports(theta) {
  const logData = SUPPORTS.x.map(logUniform(0, 1));
  const logG = SUPPORTS.x.map(logUniform(theta, theta + 1));
  return {
    x: SUPPORTS.x, pData: logData.map(Math.exp), pG: logG.map(Math.exp),
    jsd: jsd(SUPPORTS, logData, logG), wasserstein: wasserstein(SUPPORTS, logData, logG), kl: kl(SUPPORTS, logData, logG), reverseKl: kl(SUPPORTS, logG, logData),
  };
}

/** Pull of θ towards the data by a D with logit -sharpness (x - middle), the middle between both means: of both losses of G. */
export function pullBetweenSupports(theta, sharpness) {
  const zs = range(256, (i) => (i + 0.5) / 256);
  const logits = zs.map((z) => -sharpness * (theta + z - (theta + 1) / 2));
  const pull = (name) => sharpness * -OBJECTIVES[name].generatorSlopes(logits, logits).reduce((a, b) => a + b, 0);
  return { minimax: pull("minimax"), "non-saturating": pull("non-saturating") };
}

const Z = grid(-12, 12, 4096);

/** Pull of the mean of p_g = N(-distance, 1) towards p_data = N(0, 1), with D = D*, as in losses.py. */
export function pull(distance, name) {
  const slope = { minimax: sigmoid, "non-saturating": (l) => sigmoid(-l) }[name];
  return distance * Z.integral(Z.x.map((z) => Math.exp(logNormal(0, 1)(z)) * slope(distance * (z - distance / 2))));
}

/** Paths (θ, ψ) of the Dirac-GAN, as in dirac.py: p_data is a point at 0, p_g a point at θ, D(x) = ψ x + bias. */
export function dirac({ objective, penalty, rule = "sgd", rate = 0.1, iterations = 300 }) {
  const game = OBJECTIVES[objective];
  const [stepG, stepD] = [RULES[rule]()(1), RULES[rule]()(2)];
  const [g, d] = [new Float64Array([1]), new Float64Array([0, 0])];
  const path = [[1, 0]];
  for (let i = 0; i < iterations; i += 1) {
    const [[real], [fake]] = game.slopes([d[1]], [d[0] * g[0] + d[1]]);
    stepD(d, [-(fake * g[0]) + penaltySlope(penalty, d[0]), -(real + fake)], rate);
    const [slope] = game.generatorSlopes([d[1]], [d[0] * g[0] + d[1]]);
    stepG(g, [slope * d[0]], rate);
    path.push([g[0], d[0]]);
  }
  return path;
}

/** Derivative by ψ of the penalty on the slope of D: ψ²/2 (R1 and R2) or (|ψ| - 1)² (WGAN-GP). */
function penaltySlope(penalty, psi) {
  if (penalty === "none") return 0;
  return penalty === "WGAN-GP" ? 2 * (Math.abs(psi) - 1) * Math.sign(psi) : psi;
}

/** V where x is A or B with probability 1/2 each, p_g(A) = q, D(A) = a and D(B) = b. */
export const twoPointValue = (q, a, b) => 0.5 * Math.log(a) + 0.5 * Math.log(b) + (q > 0 ? q * Math.log(1 - a) : 0) + (q < 1 ? (1 - q) * Math.log(1 - b) : 0);

/** Best answer of D to q, and the value that it gets. */
export function bestD(q) {
  const [a, b] = [0.5 / (0.5 + q), 0.5 / (1.5 - q)];
  return { a, b, value: twoPointValue(q, a, b) };
}

/** Best answer of G to D: all mass where D is larger. Returns q and the value that is left for D. */
export function bestG(a, b) {
  const q = a === b ? 0.5 : Number(a > b);
  return { q, value: twoPointValue(q, a, b) };
}

/** A neuron y = sigmoid(w + b) that learns the target 0 from w = b = logit / 2, by the quadratic cost and by cross-entropy. */
export function neuron(logit, rate, epochs) {
  const learn = (slope) => {
    let l = logit;
    return range(epochs + 1, (epoch) => {
      if (epoch) l -= 2 * rate * slope(sigmoid(l));
      return sigmoid(l);
    });
  };
  return { quadratic: learn((y) => y * y * (1 - y)), crossEntropy: learn((y) => y) };
}

const FITS = grid(-20, 20, 800);
export const FIT_DIVERGENCES = {
  "KL(p_data || p_g)": (data, g) => kl(FITS, data, g),
  JSD: (data, g) => jsd(FITS, data, g),
  "KL(p_g || p_data)": (data, g) => kl(FITS, g, data),
  "KL(p_g || p_data) - 2 JSD": (data, g) => kl(FITS, g, data) - 2 * jsd(FITS, data, g),
};

/** Data of fits.py. */
export const fitData = (separation) => ({ weights: [0.6, 0.4], means: [-separation / 2, separation / 2], stds: [0.7, 0.7] });

/** The Gaussian with the smallest divergence, as in fits.py: the best of three searches, from a wide Gaussian and from each mode. */
export function fit(name, separation) {
  const logData = FITS.x.map(logMixture(fitData(separation)));
  const cost = ([mean, logStd]) => FIT_DIVERGENCES[name](logData, FITS.x.map(logNormal(mean, Math.exp(Math.min(1.8, Math.max(-1.6, logStd))))));
  const starts = [[0, Math.log(1 + separation / 2)], [-separation / 2, Math.log(0.7)], [separation / 2, Math.log(0.7)]];
  const best = starts.map((start) => simplex(cost, start)).reduce((a, b) => (b.cost < a.cost ? b : a));
  return { mean: best.point[0], std: Math.exp(best.point[1]), divergence: best.cost };
}

/** Minimizes a function of two numbers (Nelder & Mead, 1965). */
function simplex(cost, start) {
  const at = (point) => ({ point, cost: cost(point) });
  const between = (a, b, share) => at(a.map((value, i) => value + share * (b[i] - value)));
  let corners = [at(start), at([start[0] + 0.2, start[1]]), at([start[0], start[1] + 0.2])];
  for (let turn = 0; turn < 120; turn += 1) {
    corners.sort((a, b) => a.cost - b.cost);
    const [best, second, worst] = corners;
    if (worst.cost - best.cost < 1e-12) break;
    const middle = best.point.map((value, i) => (value + second.point[i]) / 2);
    const reflected = between(worst.point, middle, 2);
    if (reflected.cost < best.cost) {
      const expanded = between(worst.point, middle, 3);
      corners[2] = expanded.cost < reflected.cost ? expanded : reflected;
    } else if (reflected.cost < second.cost) corners[2] = reflected;
    else {
      const contracted = reflected.cost < worst.cost ? between(worst.point, middle, 1.5) : between(worst.point, middle, 0.5);
      corners = contracted.cost < Math.min(worst.cost, reflected.cost)
        ? [best, second, contracted]
        : [best, between(second.point, best.point, 0.5), between(worst.point, best.point, 0.5)];
    }
  }
  return corners.sort((a, b) => a.cost - b.cost)[0];
}

export const EQUILIBRIUM = -2 * LOG_2;
