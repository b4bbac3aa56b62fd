// Canonical URLs of a generator's resources: parameters in alphabetical order, without parameters that have default values.

import { isText } from "./columns.js";
import { defaultLabel } from "./noise.js";

export const CLASS_LIMIT = 1000;

function query(parameters) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length ? `?${entries.map(([name, value]) => `${name}=${value}`).join("&")}` : "";
}

/** Name and version, as in URLs. */
export const pinned = (model) => `${model.name}@${model.digest.slice(0, 12)}`;

/** Path of a generator, relative to the page, which a proxy can serve below a prefix. */
const modelPath = (model) => `v1/models/${pinned(model)}`;

/** The truncation of a request: 1 for a generator without truncation. */
export const truncationOf = (model, truncation) => (model.truncation === "none" ? 1 : truncation);

export const hasImages = (model) => model.output.kind === "image";

/** Returns the label of an image: the selected label, or the label that the seed determines; null for an unconditional generator. */
export function effectiveLabel(model, seed, label) {
  if (!model.classes) return null;
  return label ?? defaultLabel(seed, model);
}

/** Path of one image or sample. */
export function outputPath(model, seed, format, { label = null, truncation = 1, scale = 1 } = {}) {
  truncation = truncationOf(model, truncation);
  const seedLabel = model.classes ? defaultLabel(seed, model) : null;
  const parameters = { label: label === seedLabel ? null : label, truncation: truncation === 1 ? null : truncation };
  if (hasImages(model)) parameters.scale = scale === 1 ? null : scale;
  return `${modelPath(model)}/${hasImages(model) ? "images" : "samples"}/${seed}.${format}${query(parameters)}`;
}

/** Path of an array of consecutive seeds, as npy. */
export function arrayPath(model, first, count, { label = null, truncation = 1 } = {}) {
  truncation = truncationOf(model, truncation);
  const last = first + BigInt(count) - 1n;
  return `${modelPath(model)}/${hasImages(model) ? "images" : "samples"}.npy` + query({
    seeds: count === 1 ? first : `${first}-${last}`, label: model.classes ? label : null, truncation: truncation === 1 ? null : truncation });
}

/** Path of a contact sheet. */
export function sheetPath(model, first, count, columns, { label = null, truncation = 1, scale = 1 } = {}) {
  truncation = truncationOf(model, truncation);
  const last = first + BigInt(count) - 1n;
  return `${modelPath(model)}/grid.webp` + query({
    seeds: count === 1 ? first : `${first}-${last}`,
    columns,
    label,
    truncation: truncation === 1 ? null : truncation,
    scale: scale === 1 ? null : scale,
  });
}

/** Path of a latent walk. */
export function walkPath(model, from, to, format, frames, { label = null, truncation = 1, scale = 1 } = {}) {
  truncation = truncationOf(model, truncation);
  return `${modelPath(model)}/walk.${format}` + query({
    from,
    to,
    frames: frames === 32 ? null : frames,
    label,
    truncation: truncation === 1 ? null : truncation,
    scale: scale === 1 ? null : scale,
  });
}

/** Describes the shape of an output: width and height, or columns. */
export function shapeText({ kind, height, width, channels, shape, names, columns, label, labels }) {
  if (kind === "image") return `${width}×${height}, ${{ 1: "grey", 3: "RGB", 4: "RGBA" }[channels]}`;
  if (kind === "sample" && isText({ columns, label, labels })) return `strings of up to ${columns[0].length} characters`;
  const shown = names.length > 4 ? `${names.slice(0, 4).join(", ")}, …` : names.join(", ");
  return shape.length === 1 ? shown : `series of ${shape[0]} steps: ${shown}`;
}

export const DETERMINISM = {
  exact: "When this server loaded the generator, its outputs were the reference of the card, byte for byte, in every tested batch.",
  approximate: "The outputs of this server can differ slightly from those of another machine, or from batch to batch.",
};

/** Describes the check of a generator on this server: what was compared, and the greatest difference. */
export function checkText({ determinism, check, output }) {
  if (determinism === "exact") return `Compared: seeds 0 to ${check.seeds - 1}.`;
  const causes = [];
  if (check.expected === null) causes.push("the card has no reference");
  else if (check.outputs !== check.expected) causes.push("outputs differ from the reference");
  if (!check.is_batch_independent) causes.push("outputs depend on the batch");
  const unit = output.kind !== "image" ? "" : check.difference === 1 ? " gray level" : " gray levels";
  const difference = check.difference === null ? "not measured" : `${Number(check.difference.toPrecision(3))}${unit}`;
  return `Seeds 0 to ${check.seeds - 1}: ${causes.join(" and ")}; greatest difference ${difference}.`;
}
