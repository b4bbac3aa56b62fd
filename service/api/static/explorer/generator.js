// The page of one generator: an endless grid, classes × seeds, latent walks, and the card.

import { model as fetchModel } from "./api.js";
import { card } from "./card.js";
import { button, classChoice, readOptions, seedField, truncationSlider } from "./controls.js";
import { dataset } from "./dataset.js";
import { element, viewUrl } from "./dom.js";
import { Block, cellSize } from "./grid.js";
import { DETERMINISM, hasImages, pinned, shapeText } from "./model.js";
import { SEED_LIMIT, parseSeed, randomSeed } from "./noise.js";
import { plane } from "./plane.js";
import { seedViews } from "./samples.js";
import { walk } from "./walk.js";

const PAGE = 100n; // seeds that "Previous" and "Next" move by
const MATRIX_CLASSES = 50;

export async function generatorView(container, name, parameters, replace) {
  const model = await fetchModel(name);
  document.title = `Seedmint: ${model.name}`;
  const view = parameters.get("view") ?? "seeds";
  const tabs = [["seeds", "Seeds"], ...(model.classes && hasImages(model) ? [["classes", "Classes × seeds"]] : []),
    ...(hasImages(model) ? [["walk", "Latent walk"], ["plane", "Playground"]] : []), ["dataset", "Data set"], ["card", "Card"]];
  const navigation = element("nav", { className: "tabs", "aria-label": "Views" }, ...tabs.map(([key, text]) => {
    const link = element("a", { href: viewUrl(`/models/${name}`, { ...Object.fromEntries(parameters), view: key === "seeds" ? null : key }), textContent: text });
    if (key === view) link.setAttribute("aria-current", "page");
    return link;
  }));
  const body = element("div");
  container.replaceChildren(
    element("h1", { textContent: model.name }),
    element("p", { textContent: model.title }),
    element("p", { className: "quiet" },
      element("span", { className: "mono", textContent: pinned(model) }), ` · ${shapeText(model.output)} · `,
      element("a", { href: viewUrl(`/models/${name}`, { view: "card" }), title: DETERMINISM[model.determinism], textContent: model.determinism }), ` on ${model.provider}`),
    ...otherVersions(model),
    navigation, body);
  if (view === "card") return card(body, model);
  if (view === "walk" && hasImages(model)) return walk(body, model, parameters, replace);
  if (view === "dataset") return dataset(body, model, parameters, replace);
  if (view === "plane" && hasImages(model)) return plane(body, model, parameters, replace);
  if (view === "classes" && model.classes) return matrix(body, model, parameters, replace);
  return seeds(body, model, parameters, replace);
}

/** Links to the other versions of a generator that the server has, and to a comparison with each. */
function otherVersions(model) {
  const reference = (version) => (version === model.versions[0] ? model.name : `${model.name}@${version}`);
  const shown = model.digest.slice(0, 12);
  const others = model.versions.filter((version) => version !== shown);
  return others.length ? [element("p", { className: "quiet" }, "Other versions: ", ...others.flatMap((version, i) => [i ? ", " : "",
    element("a", { className: "mono", href: viewUrl(`/models/${model.name}@${version}`), textContent: `${model.name}@${version}` }), " (",
    element("a", { href: viewUrl("/compare", { a: reference(shown), b: reference(version) }), textContent: "compare" }), ")"]))] : [];
}

function seeds(container, model, parameters, replace) {
  let options = readOptions(model, parameters);
  let first = parseSeed(parameters.get("seed") ?? "0") ?? 0n;
  let views = [];
  const state = () => replace({ seed: first === 0n ? null : first, label: options.label, truncation: options.truncation === 1 ? null : options.truncation });
  const holder = element("div");
  const close = () => { for (const view of views) view.close(); };
  const draw = () => {
    close();
    views = seedViews(model, first, options);
    holder.replaceChildren(...views.map((view) => view.node));
    for (const view of views) view.start();
  };
  const go = (seed) => {
    first = seed < 0n ? 0n : seed >= SEED_LIMIT ? SEED_LIMIT - 1n : seed;
    field.querySelector("input").value = String(first);
    state();
    draw();
  };
  const change = (changed) => {
    options = { ...options, ...changed };
    state();
    for (const view of views) view.change(options);
  };
  const field = seedField("First seed", first, go);
  container.replaceChildren(element("div", { className: "bar" }, field,
    button("Previous", () => go(first - PAGE)), button("Next", () => go(first + PAGE)), button("Random", () => go(randomSeed())),
    classChoice(model, options.label, (label) => change({ label })),
    truncationSlider(model, options.truncation, (truncation) => change({ truncation }))), holder);
  draw();
  return close;
}

function matrix(container, model, parameters, replace) {
  let { truncation } = readOptions(model, parameters);
  let first = parseSeed(parameters.get("seed") ?? "0") ?? 0n;
  const holder = element("div");
  let blocks = [];
  let watcher = null;
  const fitting = () => Math.max(1, Math.min(32, Math.floor(holder.clientWidth / (cellSize(model.output).width + 2))));
  const resized = new ResizeObserver(() => { if (blocks.length && blocks[0].columns !== fitting()) draw(); });
  const close = () => {
    watcher?.disconnect();
    for (const block of blocks) block.release();
  };
  const draw = () => {
    close();
    replace({ view: "classes", seed: first === 0n ? null : first, truncation: truncation === 1 ? null : truncation });
    const columns = fitting();
    blocks = model.classes.slice(0, MATRIX_CLASSES).map((_, label) => new Block(model, first, columns, columns, { label, truncation }));
    watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const block = blocks.find((candidate) => candidate.node === target);
        if (isIntersecting) block.load();
        else if (block.visible) block.release();
      }
    }, { rootMargin: "100% 0px" });
    holder.replaceChildren(...blocks.flatMap((block, label) => [element("div", { className: "row-name", textContent: model.classes[label] }), block.node]));
    for (const block of blocks) watcher.observe(block.node);
  };
  const field = seedField("First seed", first, (seed) => { first = seed; draw(); });
  container.replaceChildren(element("p", { className: "quiet", textContent: "Each row is one class, each column one seed: the same noise in every class." }),
    element("div", { className: "bar" }, field,
      button("Random", () => { first = randomSeed(); field.querySelector("input").value = String(first); draw(); }),
      truncationSlider(model, truncation, (value) => {
        truncation = value;
        replace({ view: "classes", seed: first === 0n ? null : first, truncation: truncation === 1 ? null : truncation });
        blocks.forEach((block, label) => block.change({ label, truncation }));
      })), holder);
  draw();
  resized.observe(holder);
  return () => { resized.disconnect(); close(); };
}
