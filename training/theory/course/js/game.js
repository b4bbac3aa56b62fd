// Algorithm 1 on the line. The tests play the same game, with the same random numbers, by the training's own Algorithm 1.
import { LOG_2, densityOfMap, fromUniform, grid, jsd, logMixture, mean, normalQuantile, optimalLogits, priorQuantiles, range, sigmoid, sum, valueByQuadrature } from "./mathematics.js";
import { backward, forward, newDiscriminator, newGenerator } from "./networks.js";
import { OBJECTIVES } from "./objectives.js";
import { STREAMS, uniformAt } from "./random.js";
import { RULES } from "./rules.js";

const WIDTH = 16;
const M = 64;
const POINTS = 2048;
export const GAME_GRID = grid(-8, 8, 320);

/** Data of the game: two modes, the mean at half the distance; G begins at minus half the distance. */
export const twoModes = (distance) => ({ weights: [0.65, 0.35], means: [distance / 2 + 0.42, distance / 2 - 0.78], stds: [0.4, 0.6] });

/** One draw from a mixture of Gaussians from two uniform numbers. */
function drawFrom({ weights, means, stds }, u, v) {
  let [i, left] = [0, u * sum(weights)];
  while (i + 1 < weights.length && left >= weights[i]) { left -= weights[i]; i += 1; }
  return means[i] + stds[i] * normalQuantile(v);
}

/** The n examples of a finite data set. */
export const dataSet = (mixture, n, seed) => range(n, (i) => drawFrom(mixture, uniformAt(seed, STREAMS.dataSet, 2 * i), uniformAt(seed, STREAMS.dataSet, 2 * i + 1)));

/**
 * A game before its first iteration.
 * settings: { data (a mixture), start, generator ("network" or "line"), objective, rule, rateD, rateG, k, j (updates of G), prior, n (0: no limit), seed }
 */
export function newGame(settings) {
  const g = newGenerator(settings.generator, WIDTH, settings.start, settings.seed, STREAMS.generator);
  const d = newDiscriminator(WIDTH, settings.seed, STREAMS.discriminator);
  const rule = RULES[settings.rule]();
  const examples = settings.n ? dataSet(settings.data, settings.n, settings.seed) : null;
  return { settings, g, d, examples, iteration: 0, stepG: rule(g.parameters.length), stepD: rule(d.parameters.length), draws: { data: 0, noise: 0 } };
}

function drawData(game) {
  const { settings, examples } = game;
  const first = game.draws.data;
  game.draws.data += M;
  return range(M, (i) => {
    const u = uniformAt(settings.seed, STREAMS.data, 2 * (first + i));
    return examples ? examples[Math.floor(u * examples.length)] : drawFrom(settings.data, u, uniformAt(settings.seed, STREAMS.data, 2 * (first + i) + 1));
  });
}

function drawNoise(game) {
  const first = game.draws.noise;
  game.draws.noise += M;
  return range(M, (i) => fromUniform(game.settings.prior, uniformAt(game.settings.seed, STREAMS.noise, first + i)));
}

/** D ascends its value. Returns the data of the minibatch. */
function updateD(game, objective) {
  const x = drawData(game);
  const fake = forward(game.g, drawNoise(game));
  const tape = [];
  const outputs = forward(game.d, [...x, ...fake], tape);
  const [real, generated] = objective.slopes(outputs.slice(0, M), outputs.slice(M));
  const gradient = new Float64Array(game.d.parameters.length);
  backward(game.d, tape, [...real, ...generated].map((slope) => -slope), gradient);
  game.stepD(game.d.parameters, gradient, game.settings.rateD);
  return x;
}

/** G descends its loss. */
function updateG(game, objective, x) {
  const [tapeG, tapeD] = [[], []];
  const fake = forward(game.g, drawNoise(game), tapeG);
  const outputs = forward(game.d, fake, tapeD);
  const toX = backward(game.d, tapeD, objective.generatorSlopes(forward(game.d, x), outputs), null);
  const gradient = new Float64Array(game.g.parameters.length);
  backward(game.g, tapeG, toX, gradient);
  game.stepG(game.g.parameters, gradient, game.settings.rateG);
}

/** One iteration of Algorithm 1: k updates of D, then j of G (j = 1 in the paper). */
export function iterate(game) {
  const objective = OBJECTIVES[game.settings.objective];
  let x;
  for (let step = 0; step < game.settings.k; step += 1) x = updateD(game, objective);
  for (let step = 0; step < game.settings.j; step += 1) updateG(game, objective, x);
  game.iteration += 1;
}

/** What the figure shows: densities, D, D*, and their distances. */
export function look(game) {
  const logData = GAME_GRID.x.map(logMixture(game.settings.data));
  const positions = forward(game.g, priorQuantiles(game.settings.prior, POINTS));
  const pG = densityOfMap(positions, GAME_GRID);
  const logG = pG.map(Math.log);
  const outputs = forward(game.d, GAME_GRID.x);
  const d = outputs.map(OBJECTIVES[game.settings.objective].probability);
  const average = mean(positions);
  return {
    iteration: game.iteration,
    pData: logData.map(Math.exp),
    pG,
    d,
    dStar: optimalLogits(logData, logG).map(sigmoid),
    jsd: jsd(GAME_GRID, logData, logG),
    estimate: (valueByQuadrature(GAME_GRID, logData, logG, outputs) + 2 * LOG_2) / 2,
    mean: average,
    std: Math.sqrt(mean(positions.map((x) => (x - average) ** 2))),
  };
}

/** The divergence of p_g from p_data at this moment, nats. */
export function divergence(game) {
  const pG = densityOfMap(forward(game.g, priorQuantiles(game.settings.prior, POINTS)), GAME_GRID);
  return jsd(GAME_GRID, GAME_GRID.x.map(logMixture(game.settings.data)), pG.map(Math.log));
}

/** Mean and standard deviation of the Gaussian of maximum likelihood: the moments of the data (of the density, if n is 0). */
export function likelihoodFit({ data, n, seed }) {
  if (n) {
    const examples = dataSet(data, n, seed);
    const mu = mean(examples);
    return { mean: mu, std: Math.sqrt(mean(examples.map((x) => (x - mu) ** 2))) };
  }
  const total = sum(data.weights);
  const mu = sum(data.weights.map((w, i) => (w / total) * data.means[i]));
  return { mean: mu, std: Math.sqrt(sum(data.weights.map((w, i) => (w / total) * (data.stds[i] ** 2 + (data.means[i] - mu) ** 2)))) };
}
