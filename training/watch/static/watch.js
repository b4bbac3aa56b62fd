// The page of runs: draws the entries of their logs. `seedmint watch` gives new entries every two seconds; a page of `seedmint report`
// contains all of them.

import { COLORS, drawChart, resizeChart } from "./charts.js";

const INTERVAL_MILLISECONDS = 2000;
const STALE_SECONDS = 120; // without a new entry, a run counts as stopped
const MAX_NOTES = 50;
const WEIGHTS = { last: "last weights", ema: "averaged weights" };

const find = (selector) => document.querySelector(selector);
const create = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const number = (value) => value.toLocaleString("en");

const recording = find("#recording") && JSON.parse(find("#recording").textContent);
let runs = [];
const chartNodes = new Map();

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Fetches what is new of a run. */
async function update(run, index) {
  for (;;) {
    const response = await fetch(`runs/${index}?file=${run.file}&offset=${run.offset}`);
    const news = await response.json();
    if (news.is_reset) run.entries = [];
    run.entries.push(...news.entries);
    Object.assign(run, { file: news.file, offset: news.offset, previews: news.previews, age: news.seconds_since_update });
    if (news.is_complete) return;
  }
}

function progressOf(run) {
  const step = run.entries.length ? run.entries[run.entries.length - 1].step : 0;
  const isDone = step >= run.steps;
  const isStale = run.age === null || run.age > STALE_SECONDS;
  const rates = run.entries.filter((entry) => entry["images/s"] !== undefined || entry["samples/s"] !== undefined).slice(-1)
    .map((entry) => (entry["images/s"] !== undefined ? `${number(Math.round(entry["images/s"]))} images/s` : `${number(Math.round(entry["samples/s"]))} samples/s`));
  const state = isDone ? "done" : recording ? "not finished" : run.age === null ? "not started" : isStale ? `no entry for ${duration(run.age)}` : "running";
  return { step, text: [`step ${number(step)} of ${number(run.steps)}`, state, ...(isDone || isStale || recording ? [] : rates)].join(", ") };
}

function showRuns() {
  find("#runs").replaceChildren(...runs.map((run) => {
    const { step, text } = progressOf(run);
    const color = create("span", { className: "color" });
    color.style.background = run.color;
    const bar = create("progress", { max: run.steps, value: step, ariaLabel: `Steps of ${run.label}` });
    return create("li", {}, color, create("strong", { textContent: run.label }), bar,
      create("span", { className: "detail", textContent: `${run.title} · ${run.objective} · ${text} · ${run.directory}` }));
  }));
  find("#state").textContent = runs.length === 1 ? progressOf(runs[0]).text : `${runs.length} runs`;
}

/** One figure with a slider over the previews of a run. The slider stays at the newest preview until the user moves it. */
function previewFigure(run, index) {
  const image = create("img", { alt: "" });
  const caption = create("span");
  const slider = create("input", { type: "range", min: 0, step: 1, ariaLabel: `Preview of ${run.label}` });
  let follows = true;
  const draw = () => {
    const name = run.previews[Number(slider.value)];
    if (!name) return;
    const step = number(Number(name.replace(/[^0-9]/g, "")));
    caption.textContent = `step ${step}`;
    image.alt = `Preview of ${run.label} at step ${step}`;
    const url = recording ? run.pictures[name] : `runs/${index}/previews/${name}`;
    if (image.getAttribute("src") !== url) image.src = url;
  };
  slider.addEventListener("input", () => { follows = Number(slider.value) === run.previews.length - 1; draw(); });
  const figure = create("figure", { hidden: true }, image, create("figcaption", {}, create("strong", { textContent: run.label }), slider, caption));
  run.showPreviews = () => {
    figure.hidden = !run.previews.length;
    slider.max = Math.max(0, run.previews.length - 1);
    if (follows) slider.value = slider.max;
    draw();
  };
  return figure;
}

/** The points of a statistic: [step, value] of each entry that has it. */
const series = (run, key) => run.entries.filter((entry) => typeof entry[key] === "number").map((entry) => [entry.step, entry[key]]);

function charts() {
  const several = runs.length > 1;
  const name = (run, text) => (several ? `${run.label}: ${text}` : text);
  const color = (run, i) => (several ? run.color : COLORS[i]);
  const equilibria = [...new Map(runs.map((run) => [run.equilibrium, { label: run.estimates_jsd ? "−log 4" : "equilibrium", value: run.equilibrium }])).values()];
  const result = [
    { title: "V(G, D)", lines: runs.map((run) => ({ label: name(run, "V"), color: color(run, 0), points: series(run, "V") })), levels: equilibria },
    { title: "D(x) and D(G(z))", lines: runs.flatMap((run) => [
      { label: name(run, "D(x)"), color: color(run, 0), points: series(run, "D(x)") },
      { label: name(run, "D(G(z))"), color: color(run, 1), dash: several ? [4, 3] : undefined, points: series(run, "D(G(z))") }]), levels: [{ label: "½", value: 0.5 }] },
  ];
  const known = new Set(["step", "V", "D(x)", "D(G(z))", "images/s", "samples/s"]);
  const others = [...new Set(runs.flatMap((run) => run.entries.flatMap((entry) => Object.keys(entry).filter((key) => typeof entry[key] === "number" && !known.has(key)))))];
  for (const key of others.filter((key) => !key.startsWith("JSD held out"))) {
    const levels = key === "JSD" ? [{ label: "0", value: 0 }, { label: "log 2", value: Math.log(2) }] : [];
    const lines = runs.map((run) => ({ label: name(run, key), color: color(run, 0), points: series(run, key) }));
    if (key === "JSD") lines.push(...runs.map((run) => ({ label: name(run, "JSD held out"), color: color(run, 1), dash: several ? [4, 3] : undefined, points: series(run, "JSD held out"), errors: series(run, "JSD held out, standard error") })).filter(({ points }) => points.length));
    const note = lines.length > runs.length ? "Only the estimate on held-out data is from below. The estimate on training data exceeds it by D's overfitting." : "";
    result.push({ title: key, lines, levels, note });
  }
  const metrics = new Map();
  runs.forEach((run) => run.entries.filter((entry) => entry.metrics).forEach((entry) => entry.metrics.forEach((metric) => {
    if (!metrics.has(metric.metric)) metrics.set(metric.metric, new Map());
    const lines = metrics.get(metric.metric);
    const label = name(run, WEIGHTS[entry.weights] ?? entry.weights);
    if (!lines.has(label)) lines.set(label, { label, color: several ? run.color : COLORS[lines.size % COLORS.length], dash: several && entry.weights === "ema" ? [4, 3] : undefined, points: [] });
    lines.get(label).points.push([entry.step, metric.value]);
  })));
  for (const [title, lines] of metrics) result.push({ title, lines: [...lines.values()], levels: runs.flatMap((run) => run.levels?.[title] ?? []) });
  return result.filter(({ lines }) => lines.some(({ points }) => points.length));
}

function showCharts() {
  const options = { smoothing: Number(find("#smoothing").value), logSteps: find("#log-steps").checked };
  for (const chart of charts()) {
    if (!chartNodes.has(chart.title)) {
      const node = create("div", { className: "chart", role: "img" }, create("h3", { textContent: chart.title }), ...(chart.note ? [create("p", { textContent: chart.note })] : []));
      chartNodes.set(chart.title, node);
      find("#charts").append(node);
    }
    drawChart(chartNodes.get(chart.title), chart, options);
  }
}

function showNotes() {
  const notes = runs.flatMap((run) => run.entries.filter((entry) => entry.diagnostic).map((entry) => ({ run, entry })));
  notes.sort((a, b) => b.entry.step - a.entry.step);
  find("#notes").replaceChildren(...notes.slice(0, MAX_NOTES).map(({ run, entry }) =>
    create("li", { className: entry.diagnostic === "equilibrium" ? "" : "warning", textContent: `${runs.length > 1 ? `${run.label}, ` : ""}step ${number(entry.step)}: ${entry.message}` })));
  if (!notes.length) find("#notes").replaceChildren(create("li", { textContent: "None: the diagnostics have found nothing unusual." }));
}

function show() {
  showRuns();
  for (const run of runs) run.showPreviews();
  showCharts();
  showNotes();
}

async function refresh() {
  try {
    await Promise.all(runs.map(update));
    show();
  } catch {
    find("#state").textContent = "The page has ended: start seedmint watch again.";
  }
  setTimeout(refresh, INTERVAL_MILLISECONDS);
}

async function start() {
  const page = recording ?? await (await fetch("runs")).json();
  const names = page.runs.map((run) => run.name);
  runs = page.runs.map((run, i) => ({
    entries: [], previews: [], file: 0, offset: 0, age: null, ...run, color: COLORS[i % COLORS.length],
    label: names.filter((name) => name === run.name).length > 1 ? run.directory.split("/").pop() : run.name,
  }));
  find(".watch").classList.toggle("single", runs.length === 1);
  find("#previews").replaceChildren(...runs.map(previewFigure));
  find("#smoothing").addEventListener("input", showCharts);
  find("#log-steps").addEventListener("change", showCharts);
  addEventListener("resize", () => { for (const node of chartNodes.values()) resizeChart(node); });
  if (recording) show();
  else refresh();
}

start();
