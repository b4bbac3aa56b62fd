// The page of one seed: the image or the sample, its formats, code to fetch it, and seeds like it.

import { model as fetchModel, request, show } from "./api.js";
import { isText } from "./columns.js";
import { button, classChoice, readOptions, truncationSlider } from "./controls.js";
import { announce, copy, element, rem, viewUrl } from "./dom.js";
import { isFavourite, toggleFavourite } from "./favourites.js";
import { cellSize } from "./grid.js";
import { latentOf } from "./latents.js";
import { DETERMINISM, checkText, effectiveLabel, hasImages, outputPath, pinned } from "./model.js";
import { comparedSeeds, latentNeighbours, similarSeeds } from "./nearby.js";
import { SEED_LIMIT, parseSeed, randomSeed } from "./noise.js";
import { SampleDetail } from "./samples.js";

const LARGE = 28; // units of the font size

export async function imageView(container, name, text, parameters, replace) {
  const model = await fetchModel(name);
  const seed = parseSeed(text);
  if (seed === null) throw new Error(`${text} is not a seed: a whole number from 0 to 9223372036854775807.`);
  document.title = `Seedmint: ${model.name}, seed ${seed}`;
  let options = readOptions(model, parameters);
  let smooth = false;
  const images = hasImages(model);
  const isString = isText(model.output);
  const picture = element("img", { className: "large pixels", alt: "" });
  const detail = images ? null : new SampleDetail(model, seed, options);
  const classText = element("p");
  const files = element("div");
  const address = element("a", { className: "mono" });
  const code = element("div", { className: "copies" });
  const classes = element("div", { className: "copies" });
  const similar = element("div", { className: "copies" });
  const neighbours = element("div", { className: "copies" });

  const draw = () => {
    const label = effectiveLabel(model, seed, options.label);
    replace({ label: options.label, truncation: options.truncation === 1 ? null : options.truncation });
    picture.alt = `Seed ${seed}${label === null ? "" : `, class ${model.classes[label]}`}`;
    classText.textContent = label === null ? "" : `Class: ${model.classes[label]}${options.label === null ? " (the class of this seed)" : ""}`;
    if (images) {
      picture.style.aspectRatio = `${model.output.width} / ${model.output.height}`;
      show(picture, outputPath(model, seed, "png", options)).catch((error) => announce(error.message));
    }
    const absolute = (format) => new URL(outputPath(model, seed, format, options), document.baseURI).href;
    files.replaceChildren(element("ul", {}, ...model.formats.map((format) => {
      const size = element("span", { className: "quiet" });
      request(outputPath(model, seed, format, options)).then((response) => response.blob())
        .then((blob) => { size.textContent = ` ${blob.size.toLocaleString()} bytes`; }).catch(() => {});
      return element("li", {}, element("a", { href: outputPath(model, seed, format, options), textContent: format }),
        " ", element("a", { href: outputPath(model, seed, format, options), download: `${model.name}-${seed}.${format}`, textContent: "save" }), size);
    })));
    address.href = address.textContent = absolute(images ? "png" : isString ? "txt" : "json");
    const isTable = !images && !isString && Boolean(model.output.columns);
    const call = images ? "images" : isString ? "texts" : isTable ? "table" : "samples";
    const file = isString ? "txt" : "png";
    const python = `import seedmint\n\nseedmint.load("${pinned(model)}").${call}(${seed}${options.label === null ? "" : `, labels=${options.label}`}${options.truncation === 1 ? "" : `, truncation=${options.truncation}`})${isTable ? "" : "[0]"}`;
    code.replaceChildren(...[
      ["URL", absolute(file)],
      ["curl", `curl --output ${model.name}-${seed}.${file} '${absolute(file)}'`],
      ["Python", python],
      ["JavaScript", isString ? `const text = await (await fetch("${absolute("txt")}")).text();` : `const blob = await (await fetch("${absolute("png")}")).blob();`],
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
    neighbours.replaceChildren();
    draw();
    detail?.change(options);
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
  const fill = async (holder, find) => {
    holder.replaceChildren("Comparing…");
    try {
      holder.replaceChildren(...await find());
    } catch (error) {
      holder.replaceChildren(error.message);
    }
  };
  let among = null;
  const amongChoice = classChoice(model, among, (label) => { among = label; similar.replaceChildren(); }, "The same class");
  if (amongChoice) amongChoice.firstChild.textContent = "Among seeds of class";
  amongChoice?.firstElementChild.setAttribute("aria-label", "Class of similar seeds");
  const findSimilar = () => fill(similar, async () => (await similarSeeds(model, seed, options, among))
    .map((other) => link(other, among === null ? {} : { label: among }, `Seed ${other}`)));
  const latent = element("details", {}, element("summary", { textContent: `Latent vector z: ${model.noise.z_dim} numbers` }));
  latent.addEventListener("toggle", async () => {
    if (!latent.open || latent.childElementCount > 1) return;
    try {
      const numbers = `[${Array.from(await latentOf(model, seed), (value) => Number(value.toPrecision(9))).join(", ")}]`;
      latent.append(element("code", { className: "command values", textContent: numbers, tabIndex: 0, role: "region", "aria-label": "Latent vector" }), button("Copy z", () => copy(numbers, "z")));
    } catch (error) {
      announce(error.message);
    }
  });
  const state = { label: options.label, truncation: options.truncation === 1 ? null : options.truncation };
  const onward = [...(images ? [["Walk from this seed", `/models/${name}`, { view: "walk", from: seed, to: randomSeed(), ...state }],
    ["Playground around this seed", `/models/${name}`, { view: "plane", a: seed, b: randomSeed(), c: randomSeed(), x: 0, y: 0, ...state }]] : []),
  ["Compare with another generator", "/compare", { a: model.name, seed }], ["Data set from this seed", `/models/${name}`, { view: "dataset", seed }]]
    .map(([text, path, query]) => element("a", { className: "button", href: viewUrl(path, query), textContent: text }));
  container.replaceChildren(
    element("p", {}, element("a", { href: viewUrl(`/models/${name}`, { seed: seed === 0n ? null : seed, ...state }), textContent: `← ${model.name}` })),
    element("h1", { textContent: `Seed ${seed}` }),
    classText,
    element("div", { className: "columns image" },
      element("div", {}, images ? picture : detail.node,
        element("p", { className: "address" }, address, " ", button("Copy address", () => copy(address.href, "address"))),
        element("div", { className: "bar" }, button("Previous seed", () => move(-1n)), button("Next seed", () => move(1n)), favourite,
          images ? button("Smooth", (event) => { smooth = !smooth; picture.classList.toggle("pixels", !smooth); event.target.setAttribute("aria-pressed", String(smooth)); }, { "aria-pressed": "false" }) : null),
        element("div", { className: "copies" }, ...onward)),
      element("div", {},
        element("div", { className: "bar" }, classChoice(model, options.label, (label) => change({ label })),
          truncationSlider(model, options.truncation, (truncation) => change({ truncation }))),
        model.determinism === "exact" ? null
          : element("p", { className: "quiet" }, element("strong", { textContent: "approximate. " }), `${DETERMINISM.approximate} ${checkText(model)}`),
        images ? null : detail.table,
        ...(images && model.classes ? [element("h2", { textContent: "The same noise in other classes" }), classes] : []),
        ...(images ? [element("h2", { textContent: "Seeds like this" }),
          element("p", { className: "quiet", textContent: `Compares the pixels with those of seeds 0 to ${comparedSeeds(model) - 1}.` }),
          element("div", { className: "bar" }, amongChoice, button("Find similar seeds", findSimilar)), similar,
          element("h2", { textContent: "Neighbours in latent space" }), button("Show neighbours", () => fill(neighbours, () => latentNeighbours(model, seed, options))), neighbours] : []),
        element("h2", { textContent: "Files" }), files, latent,
        element("h2", { textContent: "Code" }), code)));
  if (images) picture.style.width = `min(100%, ${Math.max(1, Math.round(LARGE * rem() / model.output.width)) * model.output.width}px)`;
  draw();
  star();
  if (images && model.classes) {
    classes.replaceChildren(...model.classes.slice(0, 20).map((text, label) => link(seed, { label }, `Class ${text}`)));
  }
  addEventListener("keydown", keys);
  return () => { removeEventListener("keydown", keys); detail?.close(); };
}
