// Densities on the line and their divergences by the midpoint rule, as in densities.py and divergences.py. Divergences are in nats.

export const LOG_2 = Math.log(2);
export const softplus = (l) => Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l)));
export const sigmoid = (l) => (l >= 0 ? 1 / (1 + Math.exp(-l)) : Math.exp(l) / (1 + Math.exp(l)));
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;
/** Numbers 0, 1, ..., n - 1 mapped by a function. */
export const range = (n, map = (i) => i) => Array.from({ length: n }, (_, i) => map(i));
/** log(e^a + e^b), also for minus infinity. */
export const logAddExp = (a, b) => (a === b ? a + LOG_2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))));

/** Equal cells on [low, high]; `x` has their midpoints. */
export function grid(low, high, cells) {
  const width = (high - low) / cells;
  return { low, high, cells, width, x: range(cells, (i) => low + width * (i + 0.5)), integral: (values) => width * sum(values) };
}

export const logNormal = (mu, std) => (x) => -0.5 * ((x - mu) / std) ** 2 - Math.log(std) - 0.5 * Math.log(2 * Math.PI);
export const logUniform = (low, high) => (x) => (x >= low && x < high ? -Math.log(high - low) : -Infinity);

/** log of a mixture of Gaussians. */
export function logMixture({ weights, means, stds }) {
  const parts = weights.map((weight, i) => [Math.log(weight / sum(weights)), logNormal(means[i], stds[i])]);
  return (x) => parts.map(([log, part]) => log + part(x)).reduce(logAddExp);
}

/** KL(p || q) from log densities on a grid; infinite if q is zero where p is not. */
export const kl = (cells, logP, logQ) => cells.integral(logP.map((p, i) => (p === -Infinity ? 0 : Math.exp(p) * (p - logQ[i]))));

/** The Jensen-Shannon divergence, 0 to log 2. */
export function jsd(cells, logP, logQ) {
  const logM = logP.map((p, i) => logAddExp(p, logQ[i]) - LOG_2);
  return (kl(cells, logP, logM) + kl(cells, logQ, logM)) / 2;
}

/** The Wasserstein-1 distance, the integral of |F_p - F_q|. */
export function wasserstein(cells, logP, logQ) {
  let cumulative = 0;
  return cells.integral(logP.map((p, i) => {
    const difference = cells.width * (Math.exp(p) - Math.exp(logQ[i]));
    cumulative += difference;
    return Math.abs(cumulative - difference / 2);
  }));
}

/** V(D, G) = ∫ p_data log D + p_g log(1 - D), from the logits of D. */
export const valueByQuadrature = (cells, logData, logG, logits) =>
  -cells.integral(logits.map((l, i) => term(logData[i], softplus(-l)) + term(logG[i], softplus(l))));

const term = (log, cost) => (log === -Infinity ? 0 : Math.exp(log) * cost);

/** The logits of D* = p_data / (p_data + p_g). */
export const optimalLogits = (logData, logG) => logData.map((p, i) => p - logG[i]);

/** The quantile of the standard normal (Wichura, 1988, AS 241, PPND16). */
export function normalQuantile(p) {
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * polynomial(r, [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457, 13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608]))
      / polynomial(r, [5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867, 5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1]);
  }
  const r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
  const value = r <= 5
    ? polynomial(r - 1.6, [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734])
      / polynomial(r - 1.6, [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1])
    : polynomial(r - 5, [2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772])
      / polynomial(r - 5, [2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1]);
  return q < 0 ? -value : value;
}

const polynomial = (x, coefficients) => coefficients.reduce((total, coefficient) => total * x + coefficient, 0);

/** n equally probable z of a prior of unit variance: its quantiles at (i + 1/2) / n. */
export const priorQuantiles = (prior, n) => range(n, (i) => fromUniform(prior, (i + 0.5) / n));

/** Maps a uniform number on (0, 1) to the prior: normal, or uniform on (-√3, √3). */
export const fromUniform = (prior, u) => (prior === "normal" ? normalQuantile(u) : Math.sqrt(3) * (2 * u - 1));

/** Mean over each cell of the density of x = G(z), from G at equally probable z in increasing order. */
export function densityOfMap(positions, cells) {
  const density = new Array(cells.cells).fill(0);
  const share = 1 / (positions.length - 1) / cells.width;
  for (let i = 0; i + 1 < positions.length; i += 1) {
    const low = Math.min(positions[i], positions[i + 1]);
    const length = Math.max(Math.abs(positions[i + 1] - positions[i]), 1e-12);
    const below = (edge) => Math.min(1, Math.max(0, (edge - low) / length));
    const first = Math.max(0, Math.floor((low - cells.low) / cells.width) - 1);
    const last = Math.min(cells.cells - 1, Math.floor((low + length - cells.low) / cells.width) + 1);
    for (let cell = first; cell <= last; cell += 1) {
      const edge = cells.low + cell * cells.width;
      density[cell] += share * (below(edge + cells.width) - below(edge));
    }
  }
  return density;
}
