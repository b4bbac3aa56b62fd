// Latent vectors in the page: fetches z of seeds, mixes vectors, and generates their images.

import { request } from "./api.js";
import { pinned, truncationOf } from "./model.js";

/** z of a seed, before truncation. */
export async function latentOf(model, seed) {
  const response = await request(`${model.url.replace(/^\//, "")}/latents/${seed}.npy`);
  const bytes = await response.arrayBuffer();
  return new Float32Array(bytes.slice(npyStart(bytes)));
}

/** Length of the header of an npy file. */
export function npyStart(bytes) {
  return 10 + new DataView(bytes).getUint16(8, true);
}

/** An npy file of float32[n, z_dim]. */
function npy(vectors) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${vectors.length}, ${vectors[0].length}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const start = 10 + header.length;
  const bytes = new Uint8Array(start + 4 * vectors.length * vectors[0].length);
  bytes.set([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]); // "\x93NUMPY", version 1.0
  new DataView(bytes.buffer).setUint16(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), 10);
  const view = new DataView(bytes.buffer, start);
  vectors.forEach((z, row) => z.forEach((value, i) => view.setFloat32(4 * (row * z.length + i), value, true)));
  return bytes;
}

/** Sends latent vectors to `/v1/latents`, and returns the response. */
export function requestLatents(model, vectors, format, { label = null, truncation = 1, scale = null, duration = null }, signal) {
  const parameters = { duration, format, labels: label, model: pinned(model), scale, truncation: truncationOf(model, truncation) };
  const query = Object.entries(parameters).filter(([name, value]) => value !== null && !(name === "truncation" && value === 1))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return request(`v1/latents?${query}`, { method: "POST", headers: { "Content-Type": "application/x-npy" }, body: npy(vectors), signal });
}

/** Generates images. Returns Uint8Array[n * height * width * channels]. */
export async function generate(model, vectors, options, signal) {
  const bytes = await (await requestLatents(model, vectors, "npy", options, signal)).arrayBuffer();
  return new Uint8Array(bytes, npyStart(bytes));
}

/** Converts one image of `generate` for a canvas. */
export function imageData(model, values, row) {
  const { width, height, channels } = model.output;
  const data = new ImageData(width, height);
  const start = row * width * height * channels;
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) data.data[4 * i + c] = values[start + i * channels + (channels < 3 ? 0 : c)];
    data.data[4 * i + 3] = channels === 4 ? values[start + i * 4 + 3] : 255;
  }
  return data;
}

const norm = (z) => Math.sqrt(z.reduce((sum, value) => sum + value * value, 0));

/** The sum of vectors, each multiplied by its weight. */
export function combine(vectors, weights) {
  return vectors[0].map((_, i) => vectors.reduce((sum, z, k) => sum + weights[k] * z[i], 0));
}

/**
 * A vector with the length, or within the bounds, of the prior. Almost all vectors of a normal prior have nearly the same length, and
 * a sum of them is shorter or longer; generators do not know such vectors.
 */
export function onPrior(model, z, length) {
  if (model.noise.rule.includes("uniform")) return z.map((value) => Math.max(-Math.sqrt(3), Math.min(Math.sqrt(3), value)));
  const factor = length / (norm(z) || 1);
  return z.map((value) => value * factor);
}

/** A mixture of vectors: the weighted sum, with the weighted mean of the lengths. The weights add up to 1. */
export function mix(model, vectors, weights) {
  return onPrior(model, combine(vectors, weights), Math.abs(vectors.reduce((sum, z, k) => sum + weights[k] * norm(z), 0)));
}

/** Moves a vector along directions, and keeps its length. */
export function move(model, z, directions, amounts) {
  return onPrior(model, combine([z, ...directions], [1, ...amounts]), norm(z));
}

/** Runs an asynchronous function for the latest argument: one call at a time, arguments that arrive meanwhile replace each other. */
export class Latest {
  constructor(work, onError) {
    Object.assign(this, { work, onError, running: false, waiting: null });
  }

  async call(argument) {
    this.waiting = { argument };
    if (this.running) return;
    this.running = true;
    while (this.waiting) {
      const { argument: next } = this.waiting;
      this.waiting = null;
      try {
        await this.work(next);
      } catch (error) {
        this.onError(error);
      }
    }
    this.running = false;
  }
}
