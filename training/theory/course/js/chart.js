// Line charts in SVG. A chart is drawn for the width of its element, so that text keeps its size on small screens.

/** Creates an SVG element. */
function shape(tag, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const scale = (from, to, start, end) => (value) => start + ((value - from) / (to - from)) * (end - start);

/** Round numbers that divide an interval into about `count` parts. */
function ticks(from, to, count) {
  const raw = (to - from) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= raw);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

const label = (value) => String(Number(value.toPrecision(6))).replace("-", "\u2212");

/**
 * Draws a chart.
 * options: { x: [from, to], y: [from, to], xLabel, yLabel, logY, series, marks }
 * series: { name, color, xs, ys, dash, points, fill }; marks: { x or y, text } are dotted lines; bars are { x, height }.
 */
export function drawChart(svg, { x, y, xLabel = "", yLabel = "", logY = false, series, marks = [], lines = [], height = 300 }) {
  const width = Math.max(260, svg.clientWidth || 600);
  const [left, right, top, bottom] = [46, width - 10, 22, height - 38];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.dataset.box = JSON.stringify({ x, y, left, right, top, bottom });
  const column = scale(x[0], x[1], left, right);
  const level = logY ? (value) => Math.log10(Math.max(value, 1e-300)) : (value) => value;
  const row = (value) => Math.min(1e4, Math.max(-1e4, scale(level(y[0]), level(y[1]), bottom, top)(level(value))));
  const clip = `clip-${svg.id}`;
  const area = shape("clipPath", { id: clip });
  area.append(shape("rect", { x: left, y: top - 2, width: right - left, height: bottom - top + 4 }));
  const inside = shape("g", { "clip-path": `url(#${clip})` });
  const nodes = [area];
  const yTicks = logY ? ticks(level(y[0]), level(y[1]), 5).filter(Number.isInteger).map((power) => 10 ** power) : ticks(y[0], y[1], 4);
  for (const value of yTicks) {
    nodes.push(shape("line", { x1: left, x2: right, y1: row(value), y2: row(value), stroke: "var(--line)" }));
    nodes.push(shape("text", { x: left - 6, y: row(value) + 4, "text-anchor": "end" }, logY ? `1e${Math.round(Math.log10(value))}` : label(value)));
  }
  for (const value of ticks(x[0], x[1], width < 450 ? 4 : 6)) {
    nodes.push(shape("text", { x: column(value), y: bottom + 16, "text-anchor": "middle" }, label(value)));
  }
  nodes.push(shape("text", { x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, xLabel), shape("text", { x: left, y: 12 }, yLabel));
  for (const mark of marks) {
    const vertical = mark.x !== undefined;
    const place = vertical ? { x1: column(mark.x), x2: column(mark.x), y1: top, y2: bottom } : { x1: left, x2: right, y1: row(mark.y), y2: row(mark.y) };
    inside.append(shape("line", { ...place, stroke: "var(--quiet)", "stroke-dasharray": "2 3" }));
    if (mark.text) inside.append(shape("text", vertical ? { x: column(mark.x) + (column(mark.x) > 0.7 * width ? -4 : 4), y: top + 10, "text-anchor": column(mark.x) > 0.7 * width ? "end" : "start" } : { x: right - 4, y: row(mark.y) - 5, "text-anchor": "end" }, mark.text));
  }
  for (const [x1, x2] of lines) inside.append(shape("line", { x1: column(x1), y1: bottom - 2, x2: column(x2), y2: bottom - 14, stroke: "var(--model)", "stroke-opacity": 0.7 }));
  for (const { name, color, xs, ys, dash = "none", points = false, fill = false } of series) {
    if (points) {
      for (const [i, value] of xs.entries()) inside.append(shape("circle", { cx: column(value), cy: row(ys[i]), r: 5, fill: `var(--${color})`, "data-point": name }));
      continue;
    }
    let [path, on] = ["", false];
    xs.forEach((value, i) => {
      if (Number.isNaN(ys[i]) || ys[i] === null) { on = false; return; }
      path += `${on ? "L" : "M"}${column(value).toFixed(2)} ${row(ys[i]).toFixed(2)}`;
      on = true;
    });
    if (fill) inside.append(shape("path", { d: `${path}L${column(xs[xs.length - 1])} ${row(Math.max(0, y[0]))}L${column(xs[0])} ${row(Math.max(0, y[0]))}Z`, fill: `var(--${color})`, "fill-opacity": 0.15 }));
    inside.append(shape("path", { d: path, fill: "none", stroke: `var(--${color})`, "stroke-width": 2.2, "stroke-dasharray": dash, "data-name": name }));
  }
  svg.replaceChildren(...nodes, inside);
  return series;
}
