// The frame of an experiment: its sliders and lists, charts, legend and numbers.
import { drawChart } from "./chart.js";

export const labs = {};

/** Creates an HTML element. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A number with three significant digits. */
export const short = (value) => {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "undefined";
  const text = value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−").replace("e−", " · 10^−");
};

/** A slider. `map` gives the setting of its position, `show` the text of the setting. */
export const slider = (name, text, [min, max, step], value, { map = (v) => v, show = short } = {}) => ({ name, text, min, max, step, value, map, show });

/** A slider over powers of ten, with three positions for each. */
export const rates = (name, text, [low, high], value) => slider(name, text, [low, high, 0.25], value, { map: (v) => 10 ** v, show: (v) => String(Number(v.toPrecision(2))) });

/** A list of choices. */
export const choice = (name, text, options, value = options[0]) => ({ name, text, options, value });

function controlNode(lab, control) {
  const id = `${lab.name}-${control.name}`;
  const caption = element("label", { for: id }, control.text);
  if (control.options) {
    const list = element("select", { id });
    list.append(...control.options.map((value) => new Option(value, value, value === control.value, value === control.value)));
    list.addEventListener("change", () => lab.changed());
    return { node: element("div", { class: "control" }, caption, list), read: () => list.value };
  }
  const input = element("input", { id, type: "range", min: control.min, max: control.max, step: control.step, value: control.value });
  const output = element("output", { for: id });
  const read = () => control.map(Number(input.value));
  const tell = () => {
    output.textContent = control.show(read());
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => { tell(); lab.changed(); });
  tell();
  return { node: element("div", { class: "control" }, caption, input, output), read, tell };
}

/**
 * Fills the element with the id `name`.
 * options: { controls, charts (title of each), draw(settings) → { charts, numbers, result }, buttons, start(lab) for experiments that run }
 */
export function newLab(name, { controls, charts, draw, run = null }) {
  const place = document.getElementById(name);
  const lab = { name, result: null, timer: null };
  const nodes = Object.fromEntries(controls.map((control) => [control.name, controlNode(lab, control)]));
  const figures = charts.map((title, i) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.id = `${name}-chart${i}`;
    svg.setAttribute("role", "img");
    const legend = element("p", { class: "legend", "aria-hidden": "true" });
    return { title, svg, legend, node: element("figure", {}, element("figcaption", {}, title), svg, legend) };
  });
  const numbers = element("dl", { class: "numbers" });
  const status = element("p", { class: "status", role: "status" });
  const bar = element("div", { class: "bar" });
  place.append(element("div", { class: "controls" }, ...Object.values(nodes).map((each) => each.node)), bar, element("div", { class: "charts" }, ...figures.map((each) => each.node)), numbers, status);

  lab.settings = () => Object.fromEntries(Object.entries(nodes).map(([key, node]) => [key, node.read()]));
  lab.say = (text) => { status.textContent = text; };
  lab.button = (text, action) => {
    const node = element("button", { type: "button" }, text);
    node.addEventListener("click", action);
    bar.append(node);
    return node;
  };
  lab.show = ({ charts: drawn, numbers: rows, result }) => {
    lab.shown = { charts: drawn, numbers: rows, result };
    lab.result = result;
    const text = rows.map(([key, value]) => `${key}: ${value}`).join("; ");
    drawn.forEach((chart, i) => {
      const { title, svg, legend } = figures[i];
      drawChart(svg, chart);
      svg.setAttribute("aria-label", `${title}. Curves: ${chart.series.map((each) => each.name).join(", ")}. ${text}`);
      legend.replaceChildren(...chart.series.filter((each) => !each.quiet).map((each) => element("span", {}, element("span", { class: `key ${each.points ? "dot" : ""} ${each.dash && each.dash !== "none" ? "dashed" : ""}`, style: `--key: var(--${each.color})` }), each.name)));
    });
    numbers.replaceChildren(...rows.map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value))));
  };
  lab.redraw = () => { if (lab.shown) lab.show(lab.shown); };
  lab.set = (values) => {
    for (const [key, value] of Object.entries(values)) {
      const input = document.getElementById(`${name}-${key}`);
      input.value = value;
      nodes[key].tell?.();
    }
    lab.changed();
  };
  lab.changed = () => (run ? run.changed(lab) : lab.show(draw(lab.settings())));
  labs[name] = lab;
  if (run) run.prepare(lab);
  lab.changed();
  return lab;
}

/** Buttons with data-lab and data-set change the settings of an experiment, such as those of an exercise. */
export function connectPresets() {
  for (const button of document.querySelectorAll("button[data-lab]")) {
    button.addEventListener("click", () => {
      const lab = labs[button.dataset.lab];
      lab.set(JSON.parse(button.dataset.set));
      document.getElementById(button.dataset.lab).scrollIntoView({ block: "start" });
      lab.start?.();
    });
  }
}
