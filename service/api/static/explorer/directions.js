// Principal directions of a generator: the directions in latent space along which its images change most.

import { generate } from "./latents.js";

const SAMPLES = 256;
const MAX_BYTES = 16 << 20; // of the images
const ITERATIONS = 60;

/** Random numbers of a fixed sequence (mulberry32), so that the directions of a generator are always the same. */
function randomNumbers(state) {
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** n vectors of the prior: mean 0 and variance 1 in each component. */
function sampleVectors(model, n) {
  const random = randomNumbers(1);
  const isUniform = model.noise.rule.includes("uniform");
  const value = () => (isUniform ? (random() * 2 - 1) * Math.sqrt(3)
    : Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
  return Array.from({ length: n }, () => Float64Array.from({ length: model.noise.z_dim }, value));
}

/**
 * Returns `count` orthogonal directions, the one with the greatest change of the images first.
 *
 * The images of random vectors have principal components. Each direction is the regression of one component on the vectors: the
 * components of a random vector are independent, so this is their mean product. Each direction has the length of one standard
 * deviation of the prior.
 *
 * @param {object} model The generator.
 * @param {{label: ?number, truncation: number}} options
 * @param {number} count Number of directions.
 * @returns {Promise<Float64Array[]>}
 */
export async function principalDirections(model, options, count) {
  const { width, height, channels } = model.output;
  const size = width * height * channels;
  const n = Math.max(32, Math.min(SAMPLES, Math.floor(MAX_BYTES / size)));
  const vectors = sampleVectors(model, n);
  const products = centeredProducts(await generate(model, vectors, options), n, size);
  const directions = [];
  for (let k = 0; k < Math.min(count, model.noise.z_dim, n - 1); k++) {
    const component = greatestEigenvector(products, n);
    const direction = new Float64Array(model.noise.z_dim);
    vectors.forEach((z, i) => z.forEach((value, j) => { direction[j] += value * component[i]; }));
    for (const earlier of directions) subtractProjection(direction, earlier);
    normalize(direction);
    directions.push(direction);
  }
  return directions;
}

/** Scalar products of the images after subtraction of the mean image: Float64Array[n * n]. */
function centeredProducts(images, n, size) {
  const mean = new Float32Array(size);
  for (let i = 0; i < n * size; i++) mean[i % size] += images[i] / n;
  const centered = Float32Array.from(images, (value, i) => value - mean[i % size]);
  const products = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let p = 0; p < size; p++) sum += centered[i * size + p] * centered[j * size + p];
      products[i * n + j] = products[j * n + i] = sum;
    }
  }
  return products;
}

/** Returns the eigenvector of the greatest eigenvalue by power iteration, and removes it from the matrix. */
function greatestEigenvector(matrix, n) {
  const random = randomNumbers(2);
  let vector = normalize(Float64Array.from({ length: n }, () => random() - 0.5));
  let eigenvalue = 0;
  for (let step = 0; step < ITERATIONS; step++) {
    const next = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) sum += matrix[i * n + j] * vector[j];
      next[i] = sum;
    }
    eigenvalue = Math.sqrt(next.reduce((sum, value) => sum + value * value, 0));
    vector = normalize(next);
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) matrix[i * n + j] -= eigenvalue * vector[i] * vector[j];
  }
  return vector;
}

function subtractProjection(vector, unit) {
  const along = vector.reduce((sum, value, i) => sum + value * unit[i], 0);
  unit.forEach((value, i) => { vector[i] -= along * value; });
}

function normalize(vector) {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)) || 1;
  vector.forEach((value, i) => { vector[i] = value / length; });
  return vector;
}
