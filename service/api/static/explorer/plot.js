// A plot drawn in the page: points, lines or bars, with zoom by wheel, pinch and keys.

import { element, rem } from "./dom.js";

const COLORS = ["#2f86cc", "#e0701c", "#22a27f", "#c0479f", "#a08600", "#dc4a6c", "#00959f", "#8f6a5e"];
const MARGIN = { left: 64, right: 12, top: 10, bottom: 42 }; // CSS pixels
const STEP = 1.25; // zoom of one key press, or of a notch of the wheel
const MAX_ZOOM = 1e6;

export const plotColor = (index) => COLORS[index % COLORS.length];

/** About five round numbers in an interval. */
export function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function bounds(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return [0, 1];
  const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - margin, high + margin];
}

/** Half of the width of the bars of a series, whose places have equal distances. */
const halfBar = (x) => Math.abs((x[1] ?? x[0] + 1) - x[0]) / 2;

/**
 * A plot. Insert its element `node` into the document; `draw` shows series:
 * `{kind: "points" | "lines" | "bars", x: number[], y: number[], color: string, size: ?number}`.
 */
export class Plot {
  /**
   * @param {string} name Name for screen readers.
   * @param {boolean} isFixed Whether the plot is small and without zoom, so that the page scrolls over it.
   */
  constructor(name, isFixed = false) {
    this.canvas = element("canvas", isFixed ? { className: "chart", role: "img" } : { className: "plot", tabIndex: 0, role: "application" });
    Object.assign(this, { name, isFixed });
    this.series = [];
    this.labels = ["", ""];
    this.texts = [String, String];
    this.pointers = new Map();
    const tool = (text, label, action) => {
      const created = element("button", { type: "button", textContent: text, title: label, "aria-label": label });
      created.addEventListener("click", action);
      return created;
    };
    this.resizes = new ResizeObserver(() => this.paint());
    this.resizes.observe(this.canvas);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.paint();
    this.scheme.addEventListener("change", this.repaint);
    this.node = this.canvas;
    if (isFixed) return;
    this.canvas.setAttribute("aria-roledescription", "plot");
    this.node = element("div", { className: "plot-box" }, this.canvas, element("div", { className: "plot-tools" },
      tool("+", "Zoom in", () => this.zoom(STEP)), tool("−", "Zoom out", () => this.zoom(1 / STEP)), tool("Reset", "Reset the zoom", () => this.reset())));
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, ...this.position(event));
    }, { passive: false });
    this.canvas.addEventListener("dblclick", () => this.reset());
    this.canvas.addEventListener("keydown", (event) => this.onKey(event));
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.position(event));
    });
    this.canvas.addEventListener("pointermove", (event) => this.onMove(event));
    for (const type of ["pointerup", "pointercancel"]) this.canvas.addEventListener(type, (event) => this.pointers.delete(event.pointerId));
  }

  close() {
    this.resizes.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
  }

  /** Shows series; bars leave space above for the name of their axis. `labels` are the names of the axes, and `texts` give the texts of their marks. */
  draw(series, labels, texts = [String, String]) {
    [this.series, this.labels, this.texts] = [series, labels, texts];
    this.whole = [bounds(series.flatMap(({ kind, x }) => (kind === "bars" && x.length ? [...x, x[0] - halfBar(x), x.at(-1) + halfBar(x)] : x))), bounds(series.flatMap(({ kind, y }) => (kind === "bars" ? [...y, 0, 1.15 * Math.max(0, ...y)] : y)))];
    this.reset();
  }

  reset() {
    this.view = this.whole?.map((interval) => [...interval]);
    this.paint();
  }

  /** Position of an event as shares of the area of the plot, from the bottom left. */
  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right),
      1 - (event.clientY - box.top - MARGIN.top) / (box.height - MARGIN.top - MARGIN.bottom)];
  }

  zoom(factor, x = 0.5, y = 0.5) {
    if (!this.view) return;
    this.view = this.view.map(([low, high], axis) => {
      const span = this.whole[axis][1] - this.whole[axis][0];
      const size = Math.min(span * 10, Math.max(span / MAX_ZOOM, (high - low) / factor));
      const center = low + [x, y][axis] * (high - low);
      return [center - [x, y][axis] * size, center + (1 - [x, y][axis]) * size];
    });
    this.paint();
  }

  /** Moves the view by shares of its size. */
  pan(x, y) {
    if (!this.view) return;
    this.view = this.view.map(([low, high], axis) => [low, high].map((value) => value + [x, y][axis] * (high - low)));
    this.paint();
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.position(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    if (!other) this.pan(before[0] - now[0], before[1] - now[1]);
    else if (distance(before, other) > 0.01) this.zoom(distance(now, other) / distance(before, other), ...other);
  }

  onKey(event) {
    const actions = {
      ArrowLeft: () => this.pan(-0.1, 0), ArrowRight: () => this.pan(0.1, 0), ArrowUp: () => this.pan(0, 0.1), ArrowDown: () => this.pan(0, -0.1),
      "+": () => this.zoom(STEP), "=": () => this.zoom(STEP), "-": () => this.zoom(1 / STEP), 0: () => this.reset(), Home: () => this.reset(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }

  paint() {
    const { canvas, view } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!view || !width) return;
    const density = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const [ink, faint] = [style.getPropertyValue("--quiet"), style.getPropertyValue("--line")];
    context.scale(density, density);
    const font = 0.75 * rem();
    context.font = `${font}px ${style.fontFamily}`;
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    const toX = (value) => MARGIN.left + (value - view[0][0]) / (view[0][1] - view[0][0]) * (right - MARGIN.left);
    const toY = (value) => bottom - (value - view[1][0]) / (view[1][1] - view[1][0]) * (bottom - MARGIN.top);
    [context.strokeStyle, context.fillStyle, context.textBaseline, context.textAlign] = [faint, ink, "top", "center"];
    context.beginPath();
    for (const value of ticks(...view[0])) {
      context.moveTo(toX(value), MARGIN.top);
      context.lineTo(toX(value), bottom);
      context.fillText(this.texts[0](value), toX(value), bottom + 4);
    }
    context.fillText(this.labels[0], (MARGIN.left + right) / 2, bottom + 6 + 1.3 * font);
    [context.textBaseline, context.textAlign] = ["middle", "right"];
    for (const value of ticks(...view[1])) {
      context.moveTo(MARGIN.left, toY(value));
      context.lineTo(right, toY(value));
      context.fillText(this.texts[1](value), MARGIN.left - 5, toY(value), MARGIN.left - 6);
    }
    context.stroke();
    [context.textBaseline, context.textAlign] = ["top", "left"];
    context.fillText(this.labels[1], MARGIN.left + 4, MARGIN.top + 2);
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top, right - MARGIN.left, bottom - MARGIN.top);
    context.clip();
    for (const series of this.series) paintSeries(context, series, toX, toY);
    const place = view.map(([low, high], axis) => `${this.labels[axis]} from ${Number(low.toPrecision(3))} to ${Number(high.toPrecision(3))}`);
    canvas.setAttribute("aria-label", `${this.name}: ${place.join(", ")}.${this.isFixed ? "" : " Arrow keys move, plus and minus zoom, 0 resets."}`);
  }
}

function paintSeries(context, { kind, x, y, color, size = 2.5, faint = false }, toX, toY) {
  context.fillStyle = context.strokeStyle = color;
  context.globalAlpha = faint ? 0.35 : 0.85;
  context.lineWidth = 1.5;
  context.beginPath();
  if (kind === "lines") x.forEach((value, i) => context.lineTo(toX(value), toY(y[i])));
  if (kind === "lines") context.stroke();
  if (kind === "points") x.forEach((value, i) => { context.moveTo(toX(value) + size, toY(y[i])); context.arc(toX(value), toY(y[i]), size, 0, 2 * Math.PI); });
  if (kind === "bars") {
    const half = Math.abs(toX(halfBar(x)) - toX(0));
    x.forEach((value, i) => context.rect(toX(value) - half, toY(y[i]), 2 * half - 1, toY(0) - toY(y[i])));
  }
  if (kind !== "lines") context.fill();
  context.globalAlpha = 1;
}
