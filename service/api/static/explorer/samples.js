// Samples that are not images: a plot of many seeds, or of one, and their values as a table.

import { request } from "./api.js";
import { announce, element, viewUrl } from "./dom.js";
import { SeedGrid } from "./grid.js";
import { npyStart } from "./latents.js";
import { arrayPath, effectiveLabel, hasImages, pinned } from "./model.js";
import { SEED_LIMIT } from "./noise.js";
import { Plot, plotColor } from "./plot.js";
import { sortableTable } from "./table.js";

const ROWS = 500; // seeds of rows in one plot
const SERIES = 24; // seeds of series in one plot
const BINS = 40;
const OTHERS = "#8a9099"; // color of the other seeds in the plot of one

const isSeries = (model) => model.output.shape.length === 2;

/** The values of seeds: Float32Array[n * ...shape]. */
async function fetchValues(model, first, count, options) {
  const bytes = await (await request(arrayPath(model, first, count, options))).arrayBuffer();
  return new Float32Array(bytes.slice(npyStart(bytes)));
}

/** One column of an array whose rows have `width` values. */
const column = (values, width, index) => Array.from({ length: values.length / width }, (_, row) => values[row * width + index]);

function histogram(values) {
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
  const width = (high - low) / BINS || 1;
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor((value - low) / width))]++;
  return { kind: "bars", x: counts.map((_, i) => low + (i + 0.5) * width), y: counts, color: plotColor(0) };
}

/** Series of points by class, or one series without classes. */
function points(model, first, options, x, y) {
  const groups = new Map();
  x.forEach((value, i) => {
    const label = effectiveLabel(model, first + BigInt(i), options.label) ?? 0;
    if (!groups.has(label)) groups.set(label, { kind: "points", x: [], y: [], color: plotColor(label) });
    groups.get(label).x.push(value);
    groups.get(label).y.push(y[i]);
  });
  return [...groups.values()];
}

function axisChoice(names, text, value, onChange) {
  const select = element("select", {}, ...names.map((name, i) => element("option", { value: i, textContent: name })));
  select.value = value;
  select.addEventListener("change", () => onChange(Number(select.value)));
  return element("label", { textContent: text }, select);
}

function legend(model) {
  return model.classes ? element("p", { className: "legend" }, ...model.classes.slice(0, 20).map((text, label) => {
    const mark = element("span", { className: "mark" });
    mark.style.background = plotColor(label);
    return element("span", {}, mark, text);
  })) : null;
}

/** A plot and a table of many seeds, with the methods of SeedGrid. */
export class SampleOverview {
  constructor(model, first, options) {
    Object.assign(this, { model, first, options, axes: [0, Math.min(1, model.output.names.length - 1)] });
    this.plot = new Plot(`Plot of ${model.name}`);
    this.table = element("div");
    const { names } = model.output;
    const choose = (axis) => (value) => { this.axes[axis] = value; this.draw(); };
    this.node = element("div", {},
      names.length > (isSeries(model) ? 1 : 2) ? element("div", { className: "bar" },
        ...(isSeries(model) ? [axisChoice(names, "Channel", 0, choose(0))] : [axisChoice(names, "Across", 0, choose(0)), axisChoice(names, "Up", 1, choose(1))])) : null,
      this.plot.node, isSeries(model) ? null : legend(model), this.table);
  }

  start() {
    this.load();
    return this;
  }

  change(options) {
    this.options = options;
    this.load();
  }

  async load() {
    const { options } = this;
    const left = SEED_LIMIT - this.first;
    const count = Number(left < BigInt(isSeries(this.model) ? SERIES : ROWS) ? left : BigInt(isSeries(this.model) ? SERIES : ROWS));
    try {
      const values = await fetchValues(this.model, this.first, count, options);
      if (options === this.options) { this.values = values; this.count = count; this.draw(); }
    } catch (error) {
      announce(error.message);
    }
  }

  draw() {
    const { model, values, count, options, axes } = this;
    if (!values) return;
    const { shape, names } = model.output;
    if (isSeries(model)) {
      const [length, channels] = shape;
      const steps = Array.from({ length }, (_, i) => i);
      this.plot.draw(Array.from({ length: count }, (_, seed) => ({
        kind: "lines", x: steps, y: steps.map((step) => values[(seed * length + step) * channels + axes[0]]), color: plotColor(seed), faint: true })), ["step", names[axes[0]]]);
      return;
    }
    const [width] = shape;
    if (width === 1) this.plot.draw([histogram([...values])], [names[0], `of ${count}`]);
    else this.plot.draw(points(model, this.first, options, ...axes.map((axis) => column(values, width, axis))), axes.map((axis) => names[axis]));
    const rows = Array.from({ length: count }, (_, i) => {
      const label = effectiveLabel(model, this.first + BigInt(i), options.label);
      return [this.first + BigInt(i), ...(label === null ? [] : [model.classes[label]]), ...values.slice(i * width, (i + 1) * width)];
    });
    const href = (row) => viewUrl(`/models/${pinned(model)}/${rows[row][0]}`, { label: options.label, truncation: options.truncation === 1 ? null : options.truncation });
    this.table.replaceChildren(element("p", { className: "quiet", textContent: `${count} seeds. A press on the name of a column sorts.` }),
      sortableTable(`Values of ${model.name}`, ["seed", ...(model.classes ? ["class"] : []), ...names], rows, href));
  }

  close() {
    this.options = null;
    this.plot.close();
  }
}

/** A plot and a table of one seed. `change` sets label and truncation. */
export class SampleDetail {
  constructor(model, seed, options) {
    Object.assign(this, { model, seed });
    this.plot = new Plot(`Plot of seed ${seed}`);
    this.table = element("div");
    this.node = element("div", {}, this.plot.node);
    this.change(options);
  }

  async change(options) {
    this.options = options;
    try {
      const others = isSeries(this.model) ? null : await fetchValues(this.model, 0n, ROWS, options);
      const values = await fetchValues(this.model, this.seed, 1, options);
      if (options === this.options) this.draw(values, others);
    } catch (error) {
      announce(error.message);
    }
  }

  draw(values, others) {
    const { shape, names } = this.model.output;
    if (isSeries(this.model)) {
      const [length, channels] = shape;
      const steps = Array.from({ length }, (_, i) => i);
      this.plot.draw(names.map((_, channel) => ({ kind: "lines", x: steps, y: column(values, channels, channel), color: plotColor(channel) })), ["step", names.join(", ")]);
      this.table.replaceChildren(sortableTable(`Values of seed ${this.seed}`, ["step", ...names],
        steps.map((step) => [step, ...values.slice(step * channels, (step + 1) * channels)])));
      return;
    }
    const [width] = shape;
    const [x, y] = [column(others, width, 0), width === 1 ? new Array(others.length).fill(0) : column(others, width, 1)];
    this.plot.draw([{ kind: "points", x, y, color: OTHERS, faint: true }, { kind: "points", x: [values[0]], y: [width === 1 ? 0 : values[1]], color: plotColor(0), size: 6 }],
      width === 1 ? [names[0], ""] : names.slice(0, 2));
    this.table.replaceChildren(sortableTable(`Values of seed ${this.seed}`, ["column", "value"], names.map((name, i) => [name, values[i]])));
  }

  close() {
    this.options = null;
    this.plot.close();
  }
}

/** The views of many seeds: a grid of images, a plot with a table of rows, or a plot with a grid of series. */
export function seedViews(model, first, options) {
  if (hasImages(model)) return [new SeedGrid(model, first, options)];
  const overview = new SampleOverview(model, first, options);
  return isSeries(model) ? [overview, new SeedGrid(model, first, options)] : [overview];
}
