// Line charts over the steps of runs, drawn by uPlot. Drag to zoom, double-click for the whole chart.

/* global uPlot */

const MAX_POINTS = 2000; // of one line; more points become means
const HEIGHT = 220;

export const COLORS = ["#1f6fb4", "#c8591a", "#2a9d5c", "#a23bb5", "#b59b00", "#d1345b", "#00838f", "#6d4c41"];

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Replaces neighbouring points by their means, so that a line has at most `MAX_POINTS` points. */
function thin(points) {
  const size = Math.ceil(points.length / MAX_POINTS);
  if (size <= 1) return points;
  const result = [];
  for (let i = 0; i < points.length; i += size) {
    const part = points.slice(i, i + size);
    result.push([part[part.length - 1][0], part.reduce((sum, [, y]) => sum + y, 0) / part.length]);
  }
  return result;
}

/** Exponential moving average with the weight of the past, as in TensorBoard. */
function smooth(points, weight) {
  let [last, total] = [0, 0];
  return weight === 0 ? points : points.map(([x, y]) => {
    last = last * weight + (1 - weight) * y;
    total = total * weight + (1 - weight);
    return [x, last / total];
  });
}

/**
 * Draws one chart, or updates it.
 *
 * @param {HTMLElement} node A <div class="chart">. The chart of an earlier call is replaced.
 * @param {{title: string, lines: {label: string, color: string, dash: ?number[], points: number[][], errors: ?number[][]}[], levels: {label: string, value: number}[]}} chart
 * @param {{smoothing: number, logSteps: boolean}} options
 */
export function drawChart(node, { title, lines, levels }, { smoothing, logSteps }) {
  const drawn = lines.filter(({ points }) => points.length);
  const steps = [...new Set(drawn.flatMap(({ points }) => thin(points).map(([x]) => x)))].sort((a, b) => a - b).filter((x) => !logSteps || x > 0);
  const row = new Map(steps.map((x, i) => [x, i]));
  const columns = drawn.map(({ points }) => {
    const values = new Array(steps.length).fill(null);
    for (const [x, y] of smooth(thin(points), smoothing)) if (row.has(x)) values[row.get(x)] = y;
    return values;
  });
  const banded = drawn.flatMap(({ errors }, i) => (errors?.length ? [i] : []));
  const bounds = banded.flatMap((i) => {
    const errors = new Map(thin(drawn[i].errors));
    const bound = (sign) => columns[i].map((value, at) => (value === null || !errors.has(steps[at]) ? null : value + sign * errors.get(steps[at])));
    return [bound(1), bound(-1)];
  });
  const data = [steps, ...columns, ...bounds, ...levels.map(({ value }) => steps.map(() => value))];
  const key = JSON.stringify([drawn.map(({ label }) => label), banded, levels, logSteps, matchMedia("(prefers-color-scheme: dark)").matches]);
  const latest = drawn.map(({ label, points }) => `${label} ${points[points.length - 1][1].toPrecision(4)}`).join(", ");
  node.setAttribute("aria-label", `${title}. Latest values: ${latest || "none"}`);
  if (node.chart && node.chartKey === key) {
    node.chart.setData(data);
    return;
  }
  node.chart?.destroy();
  node.chartKey = key;
  const axis = { stroke: variable("--quiet"), grid: { stroke: variable("--line"), width: 1 }, ticks: { stroke: variable("--line") } };
  node.chart = new uPlot({
    width: Math.max(200, node.clientWidth - 24),
    height: HEIGHT,
    scales: { x: { time: false, distr: logSteps ? 3 : 1 } },
    axes: [{ ...axis }, { ...axis, size: 60 }],
    bands: banded.map((i, at) => ({ series: [drawn.length + 2 * at + 1, drawn.length + 2 * at + 2], fill: `${drawn[i].color}33` })),
    series: [
      { label: "step" },
      ...drawn.map(({ label, color, dash }) => ({ label, stroke: color, dash, width: 1.5, spanGaps: true, points: { show: steps.length < 30 },
        value: (_, value) => (value === null ? "" : Number(value.toPrecision(5))) })),
      ...banded.flatMap((i) => ["+", "−"].map((sign) => ({ label: `${drawn[i].label} ${sign} standard error`, stroke: "transparent", width: 0, spanGaps: true, points: { show: false },
        value: (_, value) => (value === null ? "" : Number(value.toPrecision(5))) }))),
      ...levels.map(({ label }) => ({ label, stroke: variable("--quiet"), dash: [6, 4], width: 1, points: { show: false } })),
    ],
  }, data, node);
}

/** Fits a chart into its element. */
export function resizeChart(node) {
  node.chart?.setSize({ width: Math.max(200, node.clientWidth - 24), height: HEIGHT });
}
