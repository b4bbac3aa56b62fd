// Favourites, kept in this browser.

import { models, show } from "./api.js";
import { element, viewUrl } from "./dom.js";
import { ofImages, outputPath, pinned } from "./model.js";

const STORE = "seedmint-favourites";

function all() {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

const keyOf = (model, seed, { label, truncation }) => ({ model: pinned(model), seed: String(seed), label, truncation });
const same = (a, b) => a.model === b.model && a.seed === b.seed && a.label === b.label && a.truncation === b.truncation;

export function isFavourite(model, seed, options) {
  return all().some((one) => same(one, keyOf(model, seed, options)));
}

export function toggleFavourite(model, seed, options) {
  const key = keyOf(model, seed, options);
  const others = all().filter((one) => !same(one, key));
  localStorage.setItem(STORE, JSON.stringify(isFavourite(model, seed, options) ? others : [key, ...others]));
}

export async function favourites(place) {
  document.title = "Seedmint: favourites";
  const known = new Map((await models()).map((model) => [pinned(model), model]));
  const list = element("ul", { className: "cards" });
  for (const one of all()) {
    const model = known.get(one.model);
    const item = element("li", { className: "card" });
    const link = element("a", { href: viewUrl(`/models/${one.model}/${one.seed}`, { label: one.label, truncation: one.truncation === 1 ? null : one.truncation }) });
    if (model) {
      const image = element("img", { alt: "", className: ofImages(model) ? "pixels" : "" });
      const scale = ofImages(model) ? Math.max(1, Math.floor(136 / model.output.height)) : 1;
      show(image, outputPath(model, BigInt(one.seed), "png", { label: one.label, truncation: one.truncation, scale })).catch(() => {});
      link.append(element("div", { className: "picture" }, image));
    }
    link.append(element("div", { className: "text", textContent: `${one.model}, seed ${one.seed}${model ? "" : " (this version is not served here)"}` }));
    item.append(link);
    list.append(item);
  }
  place.replaceChildren(element("h1", { textContent: "Favourites" }),
    list.childElementCount ? list : element("p", { textContent: "There are no favourites yet. Open an image and choose “Add to favourites”." }));
  return () => {};
}
