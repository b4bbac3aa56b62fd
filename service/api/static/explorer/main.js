// The explorer: opens the view of the URL. The fragment of the URL contains the whole state, so that back, forward and links work.

import { element, viewUrl } from "./dom.js";
import { gallery } from "./gallery.js";
import { showStatus } from "./status.js";

// Modules of the other views. The gallery, the usual first view, does not wait for them.
const LATER = "card compare controls dataset directions evidence favourites generator grid image latents metrics nearby plane plot samples table walk".split(" ");
const LATER_MILLISECONDS = 1500; // after the start: the pictures of the gallery come first

const container = document.querySelector("#content");
let close = () => {};
let currentUrl = null;
let latestNavigation = 0;

const SAVE_MILLISECONDS = 400; // browsers refuse more than 100 changes of the URL in 30 seconds
let [pendingSave, saveTimer, lastSave] = [null, 0, -SAVE_MILLISECONDS];

function saveNow() {
  clearTimeout(saveTimer);
  const save = pendingSave;
  [pendingSave, saveTimer] = [null, 0];
  if (!save) return;
  lastSave = performance.now();
  save();
}

/** Runs the latest of some functions, at once or after the shortest time between two changes of the URL. */
function saveSoon(save) {
  pendingSave = save;
  saveTimer ||= setTimeout(saveNow, Math.max(0, lastSave + SAVE_MILLISECONDS - performance.now()));
}

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  return { path: path || "/", parts: path.split("/").filter(Boolean).map(decodeURIComponent), parameters: new URLSearchParams(query) };
}

/** Fetches the modules of the other views, all at once, so that imports within them do not wait for each other. */
function preload() {
  document.head.append(...LATER.splice(0).map((name) => element("link", { rel: "modulepreload", href: `static/${name}.js` })));
}

/** Opens a view in an element of its own, so that a view that the user has left changes neither the page nor the URL. */
async function openView({ parts, parameters, path }, view, navigation) {
  const replace = (changed) => saveSoon(() => {
    // The URL changes before the event of the change: leave a new URL alone.
    if (navigation !== latestNavigation || location.hash !== currentUrl) return;
    history.replaceState(null, "", viewUrl(path, changed));
    currentUrl = location.hash;
  });
  if (!parts.length) return gallery(view, parameters, replace);
  preload();
  if (parts[0] === "compare") return (await import("./compare.js")).compare(view, parameters, replace);
  if (parts[0] === "favourites") return (await import("./favourites.js")).favourites(view);
  if (parts[0] === "models" && parts.length === 2) return (await import("./generator.js")).generatorView(view, parts[1], parameters, replace);
  if (parts[0] === "models" && parts.length === 3) return (await import("./image.js")).imageView(view, parts[1], parts[2], parameters, replace);
  throw new Error("There is no such view.");
}

async function route() {
  if (location.hash === currentUrl) return;
  const first = currentUrl === null;
  currentUrl = location.hash;
  const navigation = ++latestNavigation;
  close();
  close = () => {};
  const view = element("div");
  for (const link of document.querySelectorAll("header nav a")) {
    const isShown = link.hash && (location.hash || "#/").split("?")[0] === link.hash;
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  container.setAttribute("aria-busy", "true");
  container.replaceChildren(view);
  try {
    const closeView = await openView(parse(location.hash), view, navigation);
    if (navigation === latestNavigation) close = closeView;
    else closeView();
  } catch (error) {
    view.replaceChildren(element("h1", { textContent: error.status === 404 ? "Not found" : "This view cannot be shown" }), element("p", { className: "error", textContent: error.message }),
      element("p", {}, element("a", { href: "#/", textContent: "All generators" })));
  }
  if (navigation === latestNavigation) {
    container.removeAttribute("aria-busy");
    if (!first) { container.focus({ preventScroll: true }); scrollTo(0, 0); }
  }
}

document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); container.focus(); });
for (const type of ["click", "pagehide"]) addEventListener(type, saveNow, { capture: true }); // before a link is followed
// A key can open another image. A key on a slider changes the state of the view, and repeats while it is held down.
addEventListener("keydown", (event) => { if (!event.repeat && event.target.tagName !== "INPUT") saveNow(); }, { capture: true });
addEventListener("hashchange", route);
route();
setTimeout(preload, LATER_MILLISECONDS);
showStatus(document.querySelector("#status"));
