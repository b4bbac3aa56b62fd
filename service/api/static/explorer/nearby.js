// Images near one seed: the nearest among other seeds, and neighbours in latent space.

import { request } from "./api.js";
import { element } from "./dom.js";
import { cellSize } from "./grid.js";
import { generate, imageData, latentOf, mix, npyStart } from "./latents.js";
import { effectiveLabel, pinned } from "./model.js";

const SIMILAR = 12;
const NEIGHBOURS = 12;
const SHARE = 0.8; // of z in a neighbour; the rest is another vector of the prior
const COMPARED_BYTES = 4 << 20;

/** The number of seeds that `similarSeeds` compares. */
export function comparedSeeds({ output: { width, height, channels } }) {
  return Math.max(SIMILAR + 1, Math.min(1024, Math.floor(COMPARED_BYTES / (width * height * channels))));
}

/**
 * The seeds whose images are nearest in pixels (L2), among the seeds from 0 with one label.
 *
 * @param {{label: ?number, truncation: number}} options Label and truncation of the seed.
 * @param {?number} among Label of the other seeds; null for the label of the seed.
 */
export async function similarSeeds(model, seed, options, among = null) {
  const { width, height, channels } = model.output;
  const size = width * height * channels;
  const count = comparedSeeds(model);
  const label = effectiveLabel(model, seed, options.label);
  const seeds = [seed, ...Array.from({ length: count }, (_, i) => BigInt(i)).filter((candidate) => candidate !== seed)];
  const body = `{"model": "${pinned(model)}", "seeds": [${seeds.join(",")}], "format": "npy", "truncation": ${options.truncation}${label === null ? "" : `, "labels": [${[label, ...new Array(seeds.length - 1).fill(among ?? label)]}]`}}`;
  const response = await request("v1/sample", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const buffer = await response.arrayBuffer();
  const bytes = new Uint8Array(buffer, npyStart(buffer));
  const distance = (row) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (bytes[i] - bytes[row * size + i]) ** 2;
    return sum;
  };
  return seeds.map((candidate, row) => ({ candidate, d: distance(row) })).slice(1).sort((a, b) => a.d - b.d).slice(0, SIMILAR).map(({ candidate }) => candidate);
}

/** Pictures of neighbours in latent space: z of the seed, each mixed with a little of another seed's z. */
export async function latentNeighbours(model, seed, options) {
  const label = effectiveLabel(model, seed, options.label);
  const others = Array.from({ length: NEIGHBOURS }, (_, i) => BigInt(i) + (seed < BigInt(NEIGHBOURS) ? BigInt(NEIGHBOURS) : 0n));
  const [z, ...vectors] = await Promise.all([seed, ...others].map((each) => latentOf(model, each)));
  const values = await generate(model, vectors.map((other) => mix(model, [z, other], [SHARE, 1 - SHARE])), { ...options, label });
  return others.map((other, i) => {
    const { width, height } = model.output;
    const canvas = element("canvas", { width, height, className: "pixels", role: "img", "aria-label": `Neighbour ${i + 1}: ${100 * SHARE}% seed ${seed}, ${Math.round(100 - 100 * SHARE)}% seed ${other}` });
    canvas.style.width = `${cellSize(model.output).width}px`;
    canvas.getContext("2d").putImageData(imageData(model, values, i), 0, 0);
    return canvas;
  });
}
