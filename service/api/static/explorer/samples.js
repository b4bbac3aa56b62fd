// Samples that are not images: a plot of many seeds, or of one, and their values as a table.

import { request } from "./api.js";
import { firstAxes, isText, placeText, places, rowValues, title } from "./columns.js";
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
const CHARTS = 24; // columns with a chart
const OTHERS = "#8a9099"; // color of the other seeds in the plot of one

const isSeries = (model) => model.output.shape.length === 2;

/** Titles of the columns, the texts of their marks on an axis, and the axes of the first plot. */
function axesOf({ output: { columns, names, series } }) {
  const named = names.map((name, i) => (series?.units?.[i] ? `${name} (${series.units[i]})` : name));
  if (!columns) return { titles: named, texts: names.map(() => String), axes: [0, Math.min(1, names.length - 1)] };
  return { titles: columns.map(title), texts: columns.map((column) => (at) => placeText(column, at)), axes: firstAxes(columns) };
}

/** The name of each column of labels, and the text of its value in each class. */
function labelsOf({ classes, output: { label, labels } }) {
  if (!classes) return [];
  return labels ? labels.map(({ name, values }) => ({ name, texts: values })) : [{ name: label?.name ?? "class", texts: classes }];
}

/** The places of one column of rows on an axis. */
function placesOf({ output: { columns, shape } }, values, index) {
  return columns ? places(columns, values, index) : column(values, shape[0], index);
}

/** The values of one row. The generator of a table returns codes. */
const rowOf = ({ output: { columns } }, row) => (columns ? rowValues(columns, row) : [...row]);

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

/** A bar for each text or boolean of a column, from codes. */
function valueBars({ count }, codes) {
  const counts = new Array(count).fill(0);
  for (const code of codes) counts[code]++;
  return { kind: "bars", x: counts.map((_, code) => code), y: counts, color: plotColor(0) };
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
    Object.assign(this, { model, first, options, ...axesOf(model) });
    this.plot = new Plot(`Plot of ${model.name}`);
    this.table = element("div");
    const names = this.titles;
    const choose = (axis) => (value) => { this.axes[axis] = value; this.draw(); };
    this.node = element("div", {},
      names.length > (isSeries(model) ? 1 : 2) ? element("div", { className: "bar" },
        ...(isSeries(model) ? [axisChoice(names, "Channel", this.axes[0], choose(0))] : [axisChoice(names, "Across", this.axes[0], choose(0)), axisChoice(names, "Up", this.axes[1], choose(1))])) : null,
      isText(model.output) ? null : this.plot.node, isSeries(model) ? null : legend(model), ...this.columnCharts(), this.table);
  }

  /** A chart of each column of a table, with a head. */
  columnCharts() {
    const { columns } = this.model.output;
    const isTable = columns && !isText(this.model.output);
    this.charts = isTable ? columns.slice(0, CHARTS).map(({ name }) => new Plot(`Histogram of ${name}`, true)) : [];
    if (!isTable) return [];
    return [element("h2", { textContent: "Columns" }), element("div", { className: "charts" }, ...this.charts.map(({ node }) => node))];
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
    const { model, values, count, options, axes, titles, texts } = this;
    if (!values) return;
    const { shape, columns } = model.output;
    if (isSeries(model)) {
      const [length, channels] = shape;
      const steps = Array.from({ length }, (_, i) => i);
      this.plot.draw(Array.from({ length: count }, (_, seed) => ({
        kind: "lines", x: steps, y: steps.map((step) => values[(seed * length + step) * channels + axes[0]]), color: plotColor(seed), faint: true })), ["step", titles[axes[0]]]);
      return;
    }
    const [width] = shape;
    if (isText(model.output)) return this.drawStrings();
    if (titles.length === 1) this.plot.draw([histogram(placesOf(model, values, 0).filter((at) => !Number.isNaN(at)))], [titles[0], `of ${count}`], [texts[0], String]);
    else this.plot.draw(points(model, this.first, options, ...axes.map((axis) => placesOf(model, values, axis))), axes.map((axis) => titles[axis]), axes.map((axis) => texts[axis]));
    this.charts.forEach((chart, i) => {
      const places = placesOf(model, values, i);
      const known = places.filter((at) => !Number.isNaN(at));
      const bars = columns[i].first === null && columns[i].type !== "string" ? valueBars(columns[i], known) : histogram(known);
      chart.draw(known.length ? [bars] : [], [titles[i], `${known.length} of ${count}`], [texts[i], String]);
    });
    const labels = labelsOf(model);
    const rows = Array.from({ length: count }, (_, i) => {
      const label = effectiveLabel(model, this.first + BigInt(i), options.label);
      return [this.first + BigInt(i), ...(label === null ? [] : labels.map(({ texts }) => texts[label])), ...rowOf(model, values.slice(i * width, (i + 1) * width))];
    });
    const href = (row) => viewUrl(`/models/${pinned(model)}/${rows[row][0]}`, { label: options.label, truncation: options.truncation === 1 ? null : options.truncation });
    this.table.replaceChildren(element("p", { className: "quiet", textContent: `${count} seeds. A press on the name of a column sorts.` }),
      sortableTable(`Values of ${model.name}`, ["seed", ...labels.map(({ name }) => name), ...titles], rows, href, Boolean(columns)));
  }

  /** Draw the strings of all seeds, each with a link to its page. */
  drawStrings() {
    const { model, values, count, options } = this;
    const [width] = model.output.shape;
    const query = { label: options.label, truncation: options.truncation === 1 ? null : options.truncation };
    const items = Array.from({ length: count }, (_, i) => {
      const seed = this.first + BigInt(i);
      const [text] = rowOf(model, values.slice(i * width, (i + 1) * width));
      return element("li", {}, element("a", { href: viewUrl(`/models/${pinned(model)}/${seed}`, query), title: `Seed ${seed}`, textContent: text || "(empty)" }));
    });
    this.table.replaceChildren(element("ul", { className: "strings" }, ...items));
  }

  close() {
    this.options = null;
    for (const plot of [this.plot, ...this.charts]) plot.close();
  }
}

/** A plot and a table of one seed. `change` sets label and truncation. */
export class SampleDetail {
  constructor(model, seed, options) {
    Object.assign(this, { model, seed, ...axesOf(model) });
    this.plot = new Plot(`Plot of seed ${seed}`);
    this.table = element("div");
    this.string = isText(model.output) ? element("p", { className: "string" }) : null;
    this.node = element("div", {}, this.string ?? this.plot.node);
    this.change(options);
  }

  async change(options) {
    this.options = options;
    try {
      const others = isSeries(this.model) || this.string ? null : await fetchValues(this.model, 0n, ROWS, options);
      const values = await fetchValues(this.model, this.seed, 1, options);
      if (options === this.options) this.draw(values, others);
    } catch (error) {
      announce(error.message);
    }
  }

  draw(values, others) {
    const { model, titles, texts, axes } = this;
    const { shape, names, columns } = model.output;
    if (isSeries(model)) {
      const [length, channels] = shape;
      const steps = Array.from({ length }, (_, i) => i);
      this.plot.draw(names.map((_, channel) => ({ kind: "lines", x: steps, y: column(values, channels, channel), color: plotColor(channel) })), ["step", names.join(", ")]);
      this.table.replaceChildren(sortableTable(`Values of seed ${this.seed}`, ["step", ...names],
        steps.map((step) => [step, ...values.slice(step * channels, (step + 1) * channels)]).filter(([, value]) => !Number.isNaN(value))));
      return;
    }
    if (this.string) {
      [this.string.textContent] = rowOf(model, values);
      return;
    }
    const width = titles.length;
    const [around, own] = [others, values].map((rows) => axes.slice(0, width).map((axis) => placesOf(model, rows, axis)));
    const across = (places) => ({ kind: "points", x: places[0], y: places[1] ?? places[0].map(() => 0) });
    this.plot.draw([{ ...across(around), color: OTHERS, faint: true }, { ...across(own), color: plotColor(0), size: 6 }],
      width === 1 ? [titles[0], ""] : axes.map((axis) => titles[axis]), width === 1 ? [texts[0], String] : axes.map((axis) => texts[axis]));
    const row = rowOf(model, values);
    this.table.replaceChildren(sortableTable(`Values of seed ${this.seed}`, ["column", "value"], titles.map((name, i) => [name, row[i]]), null, Boolean(columns)));
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
