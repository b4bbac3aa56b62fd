// "Data set": a form for a job, its estimate and its progress, and the command that makes the same files.

import { ApiError, request } from "./api.js";
import { button, readOptions, seedField, truncationSlider } from "./controls.js";
import { announce, copy, element, viewUrl } from "./dom.js";
import { hasImages, pinned } from "./model.js";
import { parseSeed } from "./noise.js";

const FORMATS = {
  images: { webdataset: "WebDataset: tar files", parquet: "Parquet with images", png: "PNG files", npz: "npz: arrays with seeds and labels", npy: "npy: arrays" },
  samples: { parquet: "Parquet", npz: "npz: arrays with seeds and labels", npy: "npy: arrays" },
};
const MAX_TRIAL = 512; // images that the estimate measures
const TRIAL_PIXELS = 1 << 21;
const ZIP_BYTES = 92; // of an image in the archive of the trial, besides its PNG
const TAR_BYTES = 2 * 512 + 512 + 256; // two headers, the label, and the mean padding of the PNG
const WAIT_SECONDS = 20; // of a request for the progress
const RETRY_MILLISECONDS = 3000;
const FILES = 100;
const WEIGHTS = "\u0000weights"; // no label of a class
const DONE = ["done", "failed", "cancelled"];

const number = (text) => Number(text).toLocaleString("en");

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit++; }
  return `${bytes < 10 && unit ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export function dataset(container, model, parameters, replace) {
  const noun = hasImages(model) ? "Images" : "Samples";
  const formats = hasImages(model) ? FORMATS.images : FORMATS.samples;
  const whole = (name, fallback) => (/^[1-9][0-9]{0,8}$/.test(parameters.get(name) ?? "") ? Number(parameters.get(name)) : fallback);
  const state = {
    first: parseSeed(parameters.get("seed") ?? "0") ?? 0n,
    train: whole("train", 10000),
    test: Number(parameters.get("test") ?? 0) > 0 ? whole("test", 0) : 0,
    format: parameters.get("format") in formats ? parameters.get("format") : Object.keys(formats)[0],
    labels: parameters.get("labels") ?? "",
    truncation: readOptions(model, parameters).truncation,
  };
  const estimate = element("p", { role: "status" });
  const command = element("code", { className: "command" });
  const progress = element("div", { role: "status" });
  const list = element("div");
  let [isClosed, rate, perImage, watching] = [false, null, null, null];

  const trialSize = hasImages(model) ? Math.max(8, Math.min(MAX_TRIAL, Math.floor(TRIAL_PIXELS / (model.output.width * model.output.height)))) : MAX_TRIAL;
  const range = (first, count) => `${first}-${first + BigInt(count) - 1n}`;
  const seeds = () => (state.test
    ? { splits: { train: range(state.first, state.train), test: range(state.first + BigInt(state.train), state.test) } }
    : { seeds: range(state.first, state.train) });
  const body = () => JSON.stringify({
    model: pinned(model), ...seeds(), format: state.format,
    ...(state.labels === "" ? {} : { labels: state.labels }),
    ...(state.truncation === 1 ? {} : { truncation: state.truncation }),
  });
  const commandText = () => {
    const { splits } = seeds();
    const which = splits ? Object.entries(splits).map(([name, text]) => `--split ${name}=${text}`).join(" ") : `--seeds ${seeds().seeds}`;
    return `seedmint batch run ${pinned(model)} ${which} --format ${state.format}`
      + `${state.labels === "" ? "" : ` --labels ${/^[\w.-]+$/.test(state.labels) ? state.labels : `'${state.labels.replaceAll("'", "'\\''")}'`}`}`
      + `${state.truncation === 1 ? "" : ` --truncation ${state.truncation}`} --out ${model.name}-data`;
  };
  const draw = () => {
    replace({
      view: "dataset", seed: state.first === 0n ? null : state.first, train: state.train, test: state.test || null,
      format: state.format, labels: state.labels, truncation: state.truncation === 1 ? null : state.truncation,
    });
    command.textContent = commandText();
    const count = state.train + state.test;
    estimate.textContent = rate === null ? `${number(count)} in all.`
      : `${number(count)} in all: about ${size(count * perImage)}, and ${duration(count / rate)} on this server, measured with ${trialSize}.`;
  };
  const change = (changed) => { Object.assign(state, changed); draw(); };
  /** Measures the rate and the bytes of an image by a trial. A job takes longer if other requests are waiting. */
  const measure = async () => {
    [rate, perImage] = [null, null];
    draw();
    const arrays = ["npz", "npy"].includes(state.format) || !hasImages(model);
    const trial = JSON.stringify({ model: pinned(model), seeds: `0-${trialSize - 1}`, format: arrays ? "npy" : "zip" });
    const { format } = state;
    try {
      const start = performance.now();
      const bytes = (await (await request("v1/sample", { method: "POST", headers: { "Content-Type": "application/json" }, body: trial })).blob()).size;
      if (format !== state.format || isClosed) return;
      const overhead = arrays ? 0 : ZIP_BYTES - (format === "webdataset" ? TAR_BYTES : 0);
      [rate, perImage] = [trialSize / ((performance.now() - start) / 1000), bytes / trialSize - overhead];
      draw();
    } catch (error) {
      announce(error.message);
    }
  };

  const show = (job) => {
    const bar = element("progress", { max: job.images, value: job.images_done, "aria-label": "Finished images" });
    const text = { queued: "waiting", running: `running${job.seconds_left === null ? "" : `, ${duration(job.seconds_left)} left`}`, done: "done", failed: `failed: ${job.error}`, cancelled: "cancelled" }[job.state];
    progress.replaceChildren(element("h2", { textContent: `Job ${job.id}` }), bar,
      element("p", { textContent: `${number(job.images_done)} of ${number(job.images)}, ${size(job.bytes)}: ${text}` }),
      element("div", { className: "bar" }, ["queued", "running"].includes(job.state) ? button("Cancel", () => end(job, "cancel")) : button("Delete the files", () => end(job, "delete"))));
  };
  const end = async (job, action) => {
    try {
      await request(`v1/jobs/${job.id}${action === "cancel" ? "/cancel" : ""}`, { method: action === "cancel" ? "POST" : "DELETE" });
      if (action === "delete") { progress.replaceChildren(); list.replaceChildren(); watching = null; announce("The files were deleted."); }
    } catch (error) {
      announce(error.message);
    }
  };
  const showFiles = async (job) => {
    const page = await (await request(`v1/jobs/${job.id}/files?limit=${FILES}`)).json();
    list.replaceChildren(element("h2", { textContent: "Files" }), element("ul", {}, ...page.files.map((file) =>
      element("li", {}, element("a", { href: file.url, textContent: file.name, download: file.name.split("/").pop() }), element("span", { className: "quiet", textContent: ` ${size(file.bytes)}` })))),
      ...(page.next_url ? [element("p", { className: "quiet", textContent: `The first ${FILES} files. manifest.json lists all files with their SHA-256.` })] : []));
  };
  /** Follows a job until its end, or until another job is submitted. */
  const watch = async (id) => {
    watching = id;
    let wait = 0;
    while (!isClosed && watching === id) {
      try {
        const job = await (await request(`v1/jobs/${id}${wait ? `?wait=${wait}` : ""}`)).json();
        if (isClosed || watching !== id) return;
        show(job);
        await showFiles(job);
        if (DONE.includes(job.state)) return;
        wait = WAIT_SECONDS;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return;
        await new Promise((resolve) => { setTimeout(resolve, RETRY_MILLISECONDS); });
      }
    }
  };
  const submit = async () => {
    try {
      const job = await (await request("v1/jobs", { method: "POST", headers: { "Content-Type": "application/json" }, body: body() })).json();
      watch(job.id);
    } catch (error) {
      const isOff = error instanceof ApiError && error.status === 404;
      announce(isOff ? "This server accepts no jobs: its administrator has not set SEEDMINT_JOBS_URL. Run the command instead." : error.message);
    }
  };

  const amount = (text, name, minimum) => {
    const input = element("input", { type: "number", min: minimum, max: 999999999, step: 1, value: state[name], required: true });
    input.addEventListener("input", () => {
      input.setAttribute("aria-invalid", String(!input.validity.valid));
      if (input.validity.valid) change({ [name]: Number(input.value) });
    });
    input.addEventListener("change", () => {
      if (!input.validity.valid) announce(`${text}: a whole number from ${minimum} to 999,999,999.`);
    });
    return element("label", { textContent: text }, input);
  };
  const choice = element("select", {}, ...Object.entries(formats).map(([value, textContent]) => element("option", { value, textContent })));
  choice.value = state.format;
  choice.addEventListener("change", () => { state.format = choice.value; measure(); });
  const weights = element("input", { type: "text", placeholder: "3:1000,7:500", autocomplete: "off" });
  const weightsField = element("label", { textContent: "Weights or counts" }, weights);
  weights.addEventListener("change", () => change({ labels: weights.value.trim() }));
  const labels = element("select", {}, ...[["", "Of each seed"], ["balanced", "Balanced: equally many of each class"],
    ...(model.classes ?? []).slice(0, 100).map((name) => [name, `Only ${name}`]), [WEIGHTS, "Weights or counts of classes…"]]
    .map(([value, textContent]) => element("option", { value, textContent })));
  labels.value = state.labels;
  if (labels.value !== state.labels) { labels.value = WEIGHTS; weights.value = state.labels; }
  weightsField.hidden = labels.value !== WEIGHTS;
  labels.addEventListener("change", () => {
    weightsField.hidden = labels.value !== WEIGHTS;
    change({ labels: labels.value === WEIGHTS ? weights.value.trim() : labels.value });
  });
  container.replaceChildren(
    element("div", { className: "bar" }, seedField("First seed", state.first, (first) => change({ first })),
      amount(`${noun} for training`, "train", 1), amount(`${noun} for a test split`, "test", 0),
      element("label", { textContent: "Format" }, choice),
      ...(model.classes ? [element("label", { textContent: "Labels" }, labels), weightsField] : []),
      truncationSlider(model, state.truncation, (truncation) => change({ truncation }))),
    estimate,
    element("div", { className: "bar" }, button("Make this data set", submit, { className: "primary" }), element("a", { className: "button", href: viewUrl(`/models/${model.name}`), textContent: "Look at the seeds" })),
    progress, list,
    element("h2", { textContent: "The same by a command" }), element("p", {}, command),
    button("Copy command", () => copy(command.textContent, "command")));
  measure();
  return () => { isClosed = true; };
}
