// Favourites, kept in this browser.

import { models, show } from "./api.js";
import { element, viewUrl } from "./dom.js";
import { hasImages, outputPath, pinned } from "./model.js";

const STORE = "seedmint-favourites";

function all() {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
}

const favouriteKey = (model, seed, { label, truncation }) => ({ model: pinned(model), seed: String(seed), label, truncation });
const same = (a, b) => a.model === b.model && a.seed === b.seed && a.label === b.label && a.truncation === b.truncation;

export function isFavourite(model, seed, options) {
  return all().some((favourite) => same(favourite, favouriteKey(model, seed, options)));
}

export function toggleFavourite(model, seed, options) {
  const key = favouriteKey(model, seed, options);
  const others = all().filter((favourite) => !same(favourite, key));
  localStorage.setItem(STORE, JSON.stringify(isFavourite(model, seed, options) ? others : [key, ...others]));
}

export async function favourites(container) {
  document.title = "Seedmint: favourites";
  const known = new Map((await models()).map((model) => [pinned(model), model]));
  const list = element("ul", { className: "cards" });
  for (const favourite of all()) {
    const model = known.get(favourite.model);
    const item = element("li", { className: "card" });
    const link = element("a", { href: viewUrl(`/models/${favourite.model}/${favourite.seed}`, { label: favourite.label, truncation: favourite.truncation === 1 ? null : favourite.truncation }) });
    if (model) {
      const image = element("img", { alt: "", className: hasImages(model) ? "pixels" : "" });
      const scale = hasImages(model) ? Math.max(1, Math.floor(136 / model.output.height)) : 1;
      show(image, outputPath(model, BigInt(favourite.seed), "png", { label: favourite.label, truncation: favourite.truncation, scale })).catch(() => {});
      link.append(element("div", { className: "picture" }, image));
    }
    link.append(element("div", { className: "text", textContent: `${favourite.model}, seed ${favourite.seed}${model ? "" : " (this version is not served here)"}` }));
    item.append(link);
    list.append(item);
  }
  container.replaceChildren(element("h1", { textContent: "Favourites" }),
    list.childElementCount ? list : element("p", { textContent: "There are no favourites yet. Open an image and choose “Add to favourites”." }));
  return () => {};
}
