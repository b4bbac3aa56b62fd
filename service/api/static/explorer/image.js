// The page of one seed: the image or the sample, its formats, code to fetch it, and seeds like it.

import { model as fetchModel, request, show } from "./api.js";
import { button, classChoice, readOptions, truncationSlider } from "./controls.js";
import { announce, copy, element, viewUrl } from "./dom.js";
import { isFavourite, toggleFavourite } from "./favourites.js";
import { cellSize } from "./grid.js";
import { DETERMINISM, checkText, effectiveLabel, hasImages, outputPath, pinned } from "./model.js";
import { SEED_LIMIT, parseSeed } from "./noise.js";

const LARGE = 448; // CSS pixels
const SIMILAR = 12;
const COMPARED_BYTES = 4 << 20;

export async function imageView(container, name, text, parameters, replace) {
  const model = await fetchModel(name);
  const seed = parseSeed(text);
  if (seed === null) throw new Error(`${text} is not a seed: a whole number from 0 to 9223372036854775807.`);
  document.title = `Seedmint: ${model.name}, seed ${seed}`;
  let options = readOptions(model, parameters);
  let smooth = false;
  const images = hasImages(model);
  const picture = element("img", { className: images ? "large pixels" : "large", alt: "" });
  const classText = element("p");
  const files = element("div");
  const code = element("div", { className: "copies" });
  const classes = element("div", { className: "copies" });
  const similar = element("div", { className: "copies" });

  const draw = () => {
    const label = effectiveLabel(model, seed, options.label);
    replace({ label: options.label, truncation: options.truncation === 1 ? null : options.truncation });
    picture.alt = `Seed ${seed}${label === null ? "" : `, class ${model.classes[label]}`}`;
    classText.textContent = label === null ? "" : `Class: ${model.classes[label]}${options.label === null ? " (the class of this seed)" : ""}`;
    if (images) picture.style.aspectRatio = `${model.output.width} / ${model.output.height}`;
    show(picture, outputPath(model, seed, "png", options)).catch((error) => announce(error.message));
    const absolute = (format) => new URL(outputPath(model, seed, format, options), document.baseURI).href;
    files.replaceChildren(element("ul", {}, ...model.formats.map((format) => {
      const size = element("span", { className: "quiet" });
      request(outputPath(model, seed, format, options)).then((response) => response.blob())
        .then((blob) => { size.textContent = ` ${blob.size.toLocaleString()} bytes`; }).catch(() => {});
      return element("li", {}, element("a", { href: outputPath(model, seed, format, options), textContent: format }),
        " ", element("a", { href: outputPath(model, seed, format, options), download: `${model.name}-${seed}.${format}`, textContent: "save" }), size);
    })));
    const call = images ? "images" : "samples";
    const python = `import seedmint\n\nseedmint.load("${pinned(model)}").${call}(${seed}${options.label === null ? "" : `, labels=${options.label}`}${options.truncation === 1 ? "" : `, truncation=${options.truncation}`})[0]`;
    code.replaceChildren(...[
      ["URL", absolute("png")],
      ["curl", `curl --output ${model.name}-${seed}.png '${absolute("png")}'`],
      ["Python", python],
      ["JavaScript", `const blob = await (await fetch("${absolute("png")}")).blob();`],
      ["Markdown", `![${picture.alt}](${absolute("png")})`],
      ["HTML", `<img src="${absolute("png")}" alt="${picture.alt}">`],
    ].map(([kind, value]) => button(`Copy ${kind}`, () => copy(value, kind))));
  };
  const link = (other, extra, alt) => {
    const { scale, shrink, width } = cellSize(model.output);
    const image = element("img", { className: "pixels", alt });
    image.style.width = `${width}px`;
    show(image, outputPath(model, other, "png", { ...options, ...extra, scale: shrink < 1 ? 1 : scale })).catch(() => {});
    return element("a", { href: viewUrl(`/models/${name}/${other}`, { label: extra.label ?? options.label, truncation: options.truncation === 1 ? null : options.truncation }), title: alt }, image);
  };
  const favourite = button("", () => { toggleFavourite(model, seed, options); star(); });
  const star = () => {
    const isSaved = isFavourite(model, seed, options);
    favourite.textContent = isSaved ? "Remove from favourites" : "Add to favourites";
    favourite.setAttribute("aria-pressed", String(isSaved));
  };
  const change = (changed) => {
    options = { ...options, ...changed };
    similar.replaceChildren();
    draw();
    star();
  };
  const move = (step) => {
    const other = seed + step;
    if (other >= 0n && other < SEED_LIMIT) location.hash = viewUrl(`/models/${name}/${other}`, { label: options.label, truncation: options.truncation === 1 ? null : options.truncation }).slice(1);
  };
  const keys = (event) => {
    if (event.target.closest("input, select, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") move(-1n);
    if (event.key === "ArrowRight") move(1n);
  };
  const find = async () => {
    similar.replaceChildren("Comparing…");
    try {
      similar.replaceChildren(...(await nearest(model, seed, options)).map((other) => link(other, {}, `Seed ${other}`)));
    } catch (error) {
      similar.replaceChildren(error.message);
    }
  };
  container.replaceChildren(
    element("p", {}, element("a", { href: viewUrl(`/models/${name}`, { seed: seed === 0n ? null : seed }), textContent: `← ${model.name}` })),
    element("h1", { textContent: `Seed ${seed}` }),
    classText,
    element("div", { className: "columns" },
      element("div", {}, picture,
        element("div", { className: "bar" }, button("Previous seed", () => move(-1n)), button("Next seed", () => move(1n)), favourite,
          images ? button("Smooth", (event) => { smooth = !smooth; picture.classList.toggle("pixels", !smooth); event.target.setAttribute("aria-pressed", String(smooth)); }, { "aria-pressed": "false" }) : null)),
      element("div", {},
        element("div", { className: "bar" }, classChoice(model, options.label, (label) => change({ label })),
          truncationSlider(model, options.truncation, (truncation) => change({ truncation }))),
        model.determinism === "exact" ? null
          : element("p", { className: "quiet" }, element("strong", { textContent: "approximate. " }), `${DETERMINISM.approximate} ${checkText(model)}`),
        element("h2", { textContent: "Files" }), files,
        element("h2", { textContent: "Code" }), code,
        ...(images && model.classes ? [element("h2", { textContent: "The same noise in other classes" }), classes] : []),
        ...(images ? [element("h2", { textContent: "Seeds like this" }), button("Find similar seeds", find), similar] : []))));
  picture.style.width = images ? `min(100%, ${Math.max(1, Math.round(LARGE / model.output.width)) * model.output.width}px)` : "min(100%, 40rem)";
  draw();
  star();
  if (images && model.classes) {
    classes.replaceChildren(...model.classes.slice(0, 20).map((text, label) => link(seed, { label }, `Class ${text}`)));
  }
  addEventListener("keydown", keys);
  return () => removeEventListener("keydown", keys);
}

/** The seeds whose images are nearest in pixels (L2), among the seeds from 0 of the same class. */
async function nearest(model, seed, options) {
  const { width, height, channels } = model.output;
  const size = width * height * channels;
  const count = Math.max(SIMILAR + 1, Math.min(1024, Math.floor(COMPARED_BYTES / size)));
  const label = effectiveLabel(model, seed, options.label);
  const seeds = [seed, ...Array.from({ length: count }, (_, i) => BigInt(i)).filter((candidate) => candidate !== seed)];
  const body = `{"model": "${pinned(model)}", "seeds": [${seeds.join(",")}], "format": "npy", "truncation": ${options.truncation}${label === null ? "" : `, "labels": ${label}`}}`;
  const response = await request("v1/sample", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const start = bytes.length - size * seeds.length; // after the header of the npy file
  const distance = (row) => {
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const difference = bytes[start + i] - bytes[start + row * size + i];
      sum += difference * difference;
    }
    return sum;
  };
  return seeds.map((candidate, row) => ({ candidate, d: distance(row) })).slice(1).sort((a, b) => a.d - b.d).slice(0, SIMILAR).map(({ candidate }) => candidate);
}
