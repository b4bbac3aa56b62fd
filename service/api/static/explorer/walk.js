// A walk through latent space between two seeds: a slider over its frames, and the animation to save.

import { request, queued, show } from "./api.js";
import { button, classChoice, readOptions, seedField, truncationSlider } from "./controls.js";
import { announce, copy, element, rem, viewUrl } from "./dom.js";
import { Block, cellSize } from "./grid.js";
import { effectiveLabel, outputPath, pinned, walkPath } from "./model.js";
import { parseSeed, randomSeed } from "./noise.js";

const GAP = 2;
const SIDE = 20; // units of the font size
const STRIP_SIDE = 16000; // pixels: the server's limit is 16,383
const FRAME_SECONDS = 0.04;
const CHOICE_ROWS = 4; // of images to choose the ends from

export function walk(container, model, parameters, replace) {
  let { label, truncation } = readOptions(model, parameters);
  let from = parseSeed(parameters.get("from") ?? "1") ?? 1n;
  let to = parseSeed(parameters.get("to") ?? "2") ?? 2n;
  const { width, height } = model.output;
  const frames = Math.max(2, Math.min(64, Math.floor(STRIP_SIDE / (width + GAP)), Math.floor((1 << 22) / ((width + GAP) * height))));
  const canvas = element("canvas", { width, height, className: "pixels", role: "img" });
  const enlarge = Math.max(1, Math.round(SIDE * rem() / Math.max(width, height)));
  canvas.style.width = `${width * enlarge}px`;
  const slider = element("input", { type: "range", min: 0, max: frames - 1, value: 0 });
  slider.setAttribute("aria-label", "Frame");
  const play = button("Play", () => { playing = !playing; play.textContent = playing ? "Pause" : "Play"; last = 0; if (playing) requestAnimationFrame(step); });
  const download = element("div", { className: "bar" });
  const ends = [element("figure"), element("figure")];
  const showEnd = (figure, text, seed) => {
    const image = element("img", { className: "pixels", alt: `Seed ${seed}` });
    const cell = cellSize(model.output);
    image.style.width = `${cell.width}px`;
    image.style.height = `${cell.height}px`;
    show(image, outputPath(model, seed, "png", { label: effectiveLabel(model, from, label), truncation, scale: cell.scale })).catch(() => {});
    figure.replaceChildren(element("a", { href: viewUrl(`/models/${pinned(model)}/${seed}`, { label }) }, image), element("figcaption", { className: "quiet", textContent: text }));
  };
  let [strip, playing, last, direction, latestLoad] = [null, false, 0, 1, 0];

  const draw = () => {
    canvas.setAttribute("aria-label", `Frame ${Number(slider.value) + 1} of ${frames}, from seed ${from} to seed ${to}`);
    if (!strip) return;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(strip, Number(slider.value) * (width + GAP), 0, width, height, 0, 0, width, height);
  };
  draw(); // the canvas has its name before the first frame arrives
  const step = (time) => {
    if (!playing || !canvas.isConnected) return;
    if (time - last >= 1000 * FRAME_SECONDS) {
      last = time;
      const at = Number(slider.value) + direction;
      if (at < 0 || at >= frames) direction = -direction;
      slider.value = Math.max(0, Math.min(frames - 1, at));
      draw();
    }
    requestAnimationFrame(step);
  };
  const load = async () => {
    const thisLoad = ++latestLoad;
    replace({ view: "walk", from, to, label, truncation: truncation === 1 ? null : truncation });
    const options = { label, truncation };
    showEnd(ends[0], "From", from);
    showEnd(ends[1], "To", to);
    showChoice();
    const scale = Math.min(cellSize(model.output, 224).scale, Math.max(1, Math.floor(Math.sqrt((1 << 22) / (32 * width * height)))));
    download.replaceChildren(...["webp", "gif"].flatMap((format) => {
      const path = walkPath(model, from, to, format, 32, { ...options, scale });
      return [element("a", { href: path, className: "button", download: `${model.name}-${from}-${to}.${format}`, textContent: `Save as ${format}` }),
        button(`Copy URL of ${format}`, () => copy(new URL(path, document.baseURI).href, `URL of ${format}`))];
    }));
    try {
      const bitmap = await queued(async () => {
        if (thisLoad !== latestLoad) return null;
        const response = await request(walkPath(model, from, to, "png", frames, options));
        return createImageBitmap(await response.blob());
      });
      if (thisLoad === latestLoad && bitmap) { strip = bitmap; draw(); }
    } catch (error) {
      announce(error.message);
    }
  };
  const holder = element("div", { className: "blocks" });
  let [isEnd, firstChoice, choice] = [true, 0n, null];
  /** Shows seeds as images: a press on one makes it the start or the end. */
  const showChoice = () => {
    const shown = isEnd ? effectiveLabel(model, from, label) : label;
    const columns = Math.max(2, Math.min(48, Math.floor(holder.clientWidth / (cellSize(model.output).width + GAP))));
    if (choice?.first === firstChoice && choice.columns === columns) {
      if (choice.options.label !== shown || choice.options.truncation !== truncation) choice.change({ label: shown, truncation });
      return;
    }
    choice?.release();
    choice = new Block(model, firstChoice, CHOICE_ROWS * columns, columns, { label: shown, truncation });
    choice.links.forEach((link, i) => link.addEventListener("click", (event) => { event.preventDefault(); choose(choice.first + BigInt(i)); }));
    holder.replaceChildren(choice.node);
    choice.load();
  };
  const sides = [["start", false], ["end", true]].map(([text, value]) => button(text, () => { isEnd = value; showSides(); showChoice(); }));
  const showSides = () => sides.forEach((side, i) => side.setAttribute("aria-pressed", String(isEnd === (i === 1))));
  const choose = (seed) => {
    if (isEnd) to = seed;
    else from = seed;
    (isEnd ? end : start).querySelector("input").value = String(seed);
    load();
  };
  slider.addEventListener("input", draw);
  const start = seedField("From seed", from, (seed) => { from = seed; load(); });
  const end = seedField("To seed", to, (seed) => { to = seed; load(); });
  container.replaceChildren(
    element("div", { className: "bar" }, start, end,
      button("Random start", () => { isEnd = false; showSides(); choose(randomSeed()); }),
      button("Random end", () => { isEnd = true; showSides(); choose(randomSeed()); }),
      classChoice(model, label, (value) => { label = value; load(); }, "Class of the first seed"),
      truncationSlider(model, truncation, (value) => { truncation = value; load(); })),
    element("div", { className: "columns wide" },
      element("div", {}, element("div", { className: "walk" }, ends[0], element("div", {}, canvas, element("div", { className: "player" }, play, slider)), ends[1]), download),
      element("div", {}, element("h2", { textContent: "Choose an image" }),
        element("div", { className: "bar" }, element("span", { className: "quiet", textContent: "as the" }), ...sides,
          button("Other images", () => { firstChoice = randomSeed(); showChoice(); })), holder)));
  showSides();
  load();
  const resized = new ResizeObserver(showChoice);
  resized.observe(holder);
  return () => { playing = false; resized.disconnect(); choice?.release(); };
}
