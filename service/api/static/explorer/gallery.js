// The gallery: a card for each generator, with live images, and a search.

import { models, refresh, request, show } from "./api.js";
import { isText } from "./columns.js";
import { announce, element, viewUrl } from "./dom.js";
import { hasImages, outputPath, pinned, shapeText, sheetPath } from "./model.js";

const STRINGS = 12; // on the card of a generator of strings

function preview(model) {
  if (!hasImages(model)) return outputPath(model, 0n, "png");
  const { width, height } = model.output;
  const columns = Math.max(1, Math.min(8, Math.floor(264 / Math.max(width, 24))));
  const rows = Math.max(1, Math.min(4, Math.floor(136 / Math.max(height, 24))));
  const scale = Math.max(1, Math.floor(Math.min(264 / columns / width, 136 / rows / height)));
  return sheetPath(model, 0n, columns * rows, columns, { scale });
}

/** Replace the picture of a card with the strings of the first seeds. */
async function showStrings(image, model) {
  const lines = element("p", { className: "strings" });
  image.replaceWith(lines);
  const body = JSON.stringify({ model: pinned(model), seeds: `0-${STRINGS - 1}`, format: "txt" });
  const response = await request("v1/sample", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  lines.textContent = (await response.text()).trimEnd().split("\n").join(", ");
}

function card(model) {
  const image = element("img", { alt: `Outputs of ${model.name}`, className: hasImages(model) ? "pixels" : "" });
  const tags = [
    shapeText(model.output),
    ...(model.classes ? [`${model.classes.length} classes`] : []),
    model.determinism,
  ];
  const node = element("li", { className: "card" },
    element("a", { href: viewUrl(`/models/${model.name}`) },
      element("div", { className: "picture" }, image),
      element("div", { className: "text" },
        element("h2", { textContent: model.name }),
        element("p", { textContent: model.title }),
        ...tags.map((text) => element("span", { className: "tag", textContent: text })))));
  return { node, image, model, text: `${model.name} ${model.title} ${tags.join(" ")}`.toLowerCase() };
}

export async function gallery(container, parameters, replace) {
  document.title = "Seedmint: generators";
  refresh();
  const cards = (await models()).map(card);
  const watcher = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      const { image, model } = cards.find((entry) => entry.node === target);
      if (isText(model.output)) {
        showStrings(image, model).catch((error) => announce(error.message));
        continue;
      }
      show(image, preview(model)).catch((error) => announce(error.message));
    }
  }, { rootMargin: "200px" });
  const search = element("input", { type: "search", value: parameters.get("search") ?? "" });
  const count = element("p", { className: "quiet", role: "status" });
  const list = element("ul", { className: "cards" }, ...cards.map((entry) => entry.node));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { node, text } of cards) {
      node.hidden = !words.every((word) => text.includes(word));
      shown += !node.hidden;
    }
    count.textContent = cards.length ? `${shown} of ${cards.length} generators` : "";
    replace({ search: search.value });
  };
  search.addEventListener("input", filter);
  container.replaceChildren(
    element("h1", { textContent: "Generators" }),
    element("p", { textContent: "The same seed of the same generator always gives the same image, byte for byte." }),
    element("div", { className: "bar" }, element("label", { textContent: "Search" }, search)),
    count, list);
  if (!cards.length) {
    list.replaceWith(element("p", { textContent: "The models directory holds no generator. Put a generator file there, or run: seedmint models add FILE" }));
  }
  filter();
  for (const { node } of cards) watcher.observe(node);
  return () => watcher.disconnect();
}
