// The latent playground: drag through a plane of seeds, mix four seeds, or move along principal directions.

import { button, classChoice, readOptions, seedField, truncationSlider } from "./controls.js";
import { principalDirections } from "./directions.js";
import { announce, copy, element, rem } from "./dom.js";
import { cellSize } from "./grid.js";
import { Latest, generate, imageData, latentOf, mix, move, requestLatents } from "./latents.js";
import { effectiveLabel, pinned } from "./model.js";
import { parseSeed, randomSeed } from "./noise.js";

const AXES = { plane: "Plane through three seeds", mix: "Mixture of four seeds", directions: "Principal directions" };
const CORNERS = ["a", "b", "c", "d"];
const SEEDS = { plane: 3, mix: 4, directions: 1 }; // seeds that the axes use
const NAMES = ["Seed at the top left", "Seed at the top right", "Seed at the bottom left", "Seed at the bottom right"];
const DIRECTIONS = 6;
const REACH = 6; // of a direction, in standard deviations
const SIDE = 21; // units of the font size, of the map and of the picture
const MAP_BYTES = 4 << 20;
const MAX_FRAMES = 120;
const MAX_ANIMATION_PIXELS = 1 << 22;
const FRAME_SECONDS = 0.04;

/** Weights of the corners at a position, 0 to 1 across and down. */
function cornerWeights(axes, x, y) {
  return axes === "plane" ? [1 - x - y, x, y] : [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
}

function readState(model, parameters) {
  const share = (name) => Math.max(0, Math.min(1, Number(parameters.get(name) ?? 0.25) || 0));
  return {
    ...readOptions(model, parameters),
    axes: parameters.get("axes") in AXES ? parameters.get("axes") : "plane",
    seeds: CORNERS.map((name, i) => parseSeed(parameters.get(name) ?? "") ?? BigInt(i)),
    x: share("x"),
    y: share("y"),
    amounts: (parameters.get("along") ?? "").split(",").slice(0, DIRECTIONS).map((value) => Math.max(-REACH, Math.min(REACH, Number(value) || 0))),
  };
}

export function plane(container, model, parameters, replace) {
  const state = readState(model, parameters);
  while (state.amounts.length < DIRECTIONS) state.amounts.push(0);
  const { width, height, channels } = model.output;
  const enlarge = SIDE * rem() / Math.max(width, height);
  const cells = Math.max(2, Math.min(9, Math.floor(Math.sqrt(MAP_BYTES / (width * height * channels)))));
  const picture = element("canvas", { width, height, className: "pixels", role: "img" });
  picture.style.width = `${width * enlarge}px`;
  const map = element("canvas", { width: cells * width, height: cells * height, className: "pixels", "aria-hidden": "true" });
  const handle = element("span", { className: "handle" });
  const pad = element("div", { className: "pad" }, map, handle);
  pad.style.width = `${width * enlarge}px`;
  const controls = element("div", { className: "controls" });
  const frames = element("output", { className: "quiet" });
  let [corners, directions, directionsOf, recording, recorded, isClosed] = [[], [], null, false, [], false];

  const options = () => ({ label: effectiveLabel(model, state.seeds[0], state.label), truncation: state.truncation });
  const fail = (error) => { if (!isClosed) announce(error.message); };
  const latentAt = (x, y) => {
    if (state.axes === "directions") return move(model, corners[0], directions, state.amounts.slice(0, directions.length));
    const weights = cornerWeights(state.axes, x, y);
    return mix(model, corners.slice(0, weights.length), weights);
  };
  const isReady = () => corners.length && (state.axes !== "directions" || directions.length);

  const drawing = new Latest(async (z) => {
    const values = await generate(model, [z], options());
    if (!isClosed) picture.getContext("2d").putImageData(imageData(model, values, 0), 0, 0);
  }, fail);
  const mapping = new Latest(async () => {
    const positions = Array.from({ length: cells * cells }, (_, i) => [i % cells, Math.floor(i / cells)]);
    const vectors = positions.map(([column, row]) => latentAt(column / (cells - 1), row / (cells - 1)));
    const values = await generate(model, vectors, options());
    if (isClosed) return;
    const context = map.getContext("2d");
    positions.forEach(([column, row], i) => context.putImageData(imageData(model, values, i), column * width, row * height));
  }, fail);

  const saveState = () => {
    const isDirections = state.axes === "directions";
    replace({
      view: "plane",
      axes: state.axes === "plane" ? null : state.axes,
      ...Object.fromEntries(CORNERS.slice(0, SEEDS[state.axes]).map((name, i) => [name, state.seeds[i]])),
      ...(isDirections ? { along: state.amounts.join(",") } : { x: state.x.toFixed(3), y: state.y.toFixed(3) }),
      label: state.label,
      truncation: state.truncation === 1 ? null : state.truncation,
    });
  };
  const draw = () => {
    handle.style.left = `${100 * state.x}%`;
    handle.style.top = `${100 * state.y}%`;
    picture.setAttribute("aria-label", state.axes === "directions"
      ? `Seed ${state.seeds[0]}, moved along ${DIRECTIONS} directions`
      : `Mixture of seeds, ${Math.round(100 * state.x)}% across and ${Math.round(100 * state.y)}% down`);
    saveState();
    if (isReady()) drawing.call(latentAt(state.x, state.y));
  };
  const drawAll = () => {
    draw();
    if (state.axes !== "directions" && corners.length) mapping.call(null);
  };
  const load = new Latest(async () => {
    const seeds = state.seeds.slice(0, SEEDS[state.axes]);
    const found = await Promise.all(seeds.map((seed) => latentOf(model, seed)));
    const key = `${options().label} ${options().truncation}`;
    if (state.axes === "directions" && directionsOf !== key) {
      directions = await principalDirections(model, options(), DIRECTIONS);
      directionsOf = key;
    }
    corners = found;
    if (!isClosed) drawAll();
  }, fail);

  const slider = (text, value, min, max, step, onInput) => {
    const input = element("input", { type: "range", min, max, step, value });
    input.addEventListener("input", () => onInput(Number(input.value)));
    return element("label", { textContent: text }, element("span", {}, input));
  };
  const place = (x, y) => {
    [state.x, state.y] = [x, y].map((value) => Math.max(0, Math.min(1, value)));
    for (const [name, value] of [["x", state.x], ["y", state.y]]) controls.querySelector(`.${name} input`).value = value;
    draw();
  };
  const showControls = () => {
    pad.hidden = state.axes === "directions";
    if (state.axes === "directions") {
      controls.replaceChildren(element("p", { className: "quiet", textContent: "The directions along which the images change most, in standard deviations." }),
        element("div", { className: "directions" }, ...state.amounts.map((amount, i) =>
          slider(`Direction ${i + 1}`, amount, -REACH, REACH, 0.1, (value) => { state.amounts[i] = value; draw(); }))),
        button("Reset", () => { state.amounts.fill(0); showControls(); draw(); }));
      return;
    }
    const across = slider("Across", state.x, 0, 1, 0.005, (value) => place(value, state.y));
    const down = slider("Down", state.y, 0, 1, 0.005, (value) => place(state.x, value));
    across.className = "x";
    down.className = "y";
    controls.replaceChildren(element("div", { className: "bar" }, across, down));
  };

  const drag = (event) => {
    const box = pad.getBoundingClientRect();
    place((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); drag(event); });
  pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) drag(event); });

  const record = button("Record", () => {
    recording = !recording;
    record.setAttribute("aria-pressed", String(recording));
    if (recording) { recorded = []; requestAnimationFrame(step); }
  }, { "aria-pressed": "false" });
  let last = 0;
  const step = (time) => {
    if (!recording || isClosed) return;
    if (isReady() && time - last >= 1000 * FRAME_SECONDS) {
      last = time;
      recorded.push(latentAt(state.x, state.y));
      frames.textContent = `${recorded.length} frames`;
      if (recorded.length >= MAX_FRAMES) { record.click(); return; }
    }
    requestAnimationFrame(step);
  };
  /** The enlargement of a saved animation: about 224 pixels a side, within the server's limit of pixels. */
  const animationScale = (count) => Math.max(1, Math.min(cellSize(model.output, 224).scale, Math.floor(Math.sqrt(MAX_ANIMATION_PIXELS / (count * width * height)))));
  const save = async (format) => {
    if (!recorded.length) { announce("Press Record, and move through the latent space."); return; }
    try {
      const blob = await (await requestLatents(model, recorded, format, { ...options(), scale: animationScale(recorded.length), duration: 1000 * FRAME_SECONDS })).blob();
      const link = element("a", { href: URL.createObjectURL(blob), download: `${model.name}-walk.${format}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    } catch (error) {
      fail(error);
    }
  };
  const copyBody = () => copy(JSON.stringify({ model: pinned(model), z: [Array.from(latentAt(state.x, state.y), Math.fround)],
    ...(model.classes ? { labels: options().label } : {}), truncation: state.truncation, format: "zip" }), "body for POST /v1/latents");

  const fields = element("div", { className: "bar" });
  const showFields = () => {
    const used = SEEDS[state.axes];
    fields.replaceChildren(...NAMES.slice(0, used).map((name, i) => seedField(used === 1 ? "Seed" : name, state.seeds[i], (seed) => { state.seeds[i] = seed; load.call(null); })),
      button("Random", () => { state.seeds = state.seeds.map(randomSeed); showFields(); load.call(null); }));
  };
  const choice = element("select", { ariaLabel: "Axes" }, ...Object.entries(AXES).map(([value, text]) => element("option", { value, textContent: text })));
  choice.value = state.axes;
  choice.addEventListener("change", () => { state.axes = choice.value; showFields(); showControls(); load.call(null); });
  container.replaceChildren(
    element("p", { className: "quiet", textContent: "Drag in the square, or move the sliders: the large picture follows. “Record” keeps what you see for an animation." }),
    element("div", { className: "bar" }, element("label", { textContent: "Axes" }, choice),
      classChoice(model, state.label, (label) => { state.label = label; load.call(null); }, "Class of the first seed"),
      truncationSlider(model, state.truncation, (truncation) => { state.truncation = truncation; if (state.axes === "directions") load.call(null); else drawAll(); })),
    fields,
    element("div", { className: "plane" }, pad, picture, controls),
    element("div", { className: "bar" }, record, button("Save as webp", () => save("webp")), button("Save as gif", () => save("gif")), frames,
      button("Copy latent vector", copyBody)));
  showFields();
  showControls();
  draw();
  load.call(null);
  return () => { isClosed = true; recording = false; };
}
