// Small helpers for the page.

/** Creates an element. `properties` are DOM properties, and attributes where the name has a hyphen; `children` nodes or texts. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Shows a short message at the bottom of the page. */
export function announce(text) {
  const place = document.querySelector("#message");
  place.textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { place.textContent = ""; }, 4000);
}

/** Copies a text, and says so. */
export async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    announce(`Copied: ${name}`);
  } catch {
    announce(text); // no clipboard without HTTPS: show the text, so that it can be selected
  }
}

/** The address of a view: path and parameters in the fragment. Parameters that are null or empty are left out. */
export function viewUrl(path, parameters = {}) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(entries).toString();
  return `#${path}${query ? `?${query}` : ""}`;
}
