// The explorer: opens the view of the URL. The fragment of the URL contains the whole state, so that back, forward and links work.

import { compare } from "./compare.js";
import { element, viewUrl } from "./dom.js";
import { favourites } from "./favourites.js";
import { gallery } from "./gallery.js";
import { generatorView } from "./generator.js";
import { imageView } from "./image.js";

const container = document.querySelector("#content");
let close = () => {};
let currentUrl = null;
let latestNavigation = 0;

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  return { path: path || "/", parts: path.split("/").filter(Boolean).map(decodeURIComponent), parameters: new URLSearchParams(query) };
}

function openView({ parts, parameters, path }) {
  const replace = (changed) => {
    currentUrl = viewUrl(path, changed);
    history.replaceState(null, "", currentUrl);
  };
  if (!parts.length) return gallery(container, parameters, replace);
  if (parts[0] === "compare") return compare(container, parameters, replace);
  if (parts[0] === "favourites") return favourites(container);
  if (parts[0] === "models" && parts.length === 2) return generatorView(container, parts[1], parameters, replace);
  if (parts[0] === "models" && parts.length === 3) return imageView(container, parts[1], parts[2], parameters, replace);
  throw new Error("There is no such view.");
}

async function route() {
  if (location.hash === currentUrl) return;
  const first = currentUrl === null;
  currentUrl = location.hash;
  const navigation = ++latestNavigation;
  close();
  close = () => {};
  container.setAttribute("aria-busy", "true");
  try {
    const closeView = await openView(parse(location.hash));
    if (navigation === latestNavigation) close = closeView;
    else closeView();
  } catch (error) {
    if (navigation !== latestNavigation) return;
    container.replaceChildren(element("h1", { textContent: "Not found" }), element("p", { className: "error", textContent: error.message }),
      element("p", {}, element("a", { href: "#/", textContent: "All generators" })));
  }
  if (navigation === latestNavigation) {
    container.removeAttribute("aria-busy");
    if (!first) { container.focus({ preventScroll: true }); scrollTo(0, 0); }
  }
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); container.focus(); });
addEventListener("hashchange", route);
route();
