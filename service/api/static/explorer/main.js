// The explorer: from the address to a view. The fragment holds the whole state, so that back, forward and links work.

import { compare } from "./compare.js";
import { element, viewUrl } from "./dom.js";
import { favourites } from "./favourites.js";
import { gallery } from "./gallery.js";
import { generatorView } from "./generator.js";
import { imageView } from "./image.js";

const place = document.querySelector("#content");
let close = () => {};
let shown = null;
let visit = 0;

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  return { path: path || "/", parts: path.split("/").filter(Boolean).map(decodeURIComponent), parameters: new URLSearchParams(query) };
}

function viewOf({ parts, parameters, path }) {
  const replace = (changed) => {
    shown = viewUrl(path, changed);
    history.replaceState(null, "", shown);
  };
  if (!parts.length) return gallery(place, parameters, replace);
  if (parts[0] === "compare") return compare(place, parameters, replace);
  if (parts[0] === "favourites") return favourites(place);
  if (parts[0] === "models" && parts.length === 2) return generatorView(place, parts[1], parameters, replace);
  if (parts[0] === "models" && parts.length === 3) return imageView(place, parts[1], parts[2], parameters, replace);
  throw new Error("There is no such view.");
}

async function route() {
  if (location.hash === shown) return;
  const first = shown === null;
  shown = location.hash;
  const mine = ++visit;
  close();
  close = () => {};
  place.setAttribute("aria-busy", "true");
  try {
    const ended = await viewOf(parse(location.hash));
    if (mine === visit) close = ended;
    else ended();
  } catch (error) {
    if (mine !== visit) return;
    place.replaceChildren(element("h1", { textContent: "Not found" }), element("p", { className: "error", textContent: error.message }),
      element("p", {}, element("a", { href: "#/", textContent: "All generators" })));
  }
  if (mine === visit) {
    place.removeAttribute("aria-busy");
    if (!first) { place.focus({ preventScroll: true }); scrollTo(0, 0); }
  }
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); place.focus(); });
addEventListener("hashchange", route);
route();
