// Small helpers for the page.

/** Creates an element. Properties whose name has a hyphen are attributes, the others DOM properties. Children are nodes or texts. */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) created.setAttribute(name, value);
    else created[name] = value;
  }
  created.append(...children.filter((child) => child !== null));
  return created;
}

/** The font size of the page in CSS pixels; larger on very wide screens. */
export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

/** Shows a short message at the bottom of the page. */
export function announce(text) {
  const container = document.querySelector("#message");
  container.textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { container.textContent = ""; }, 4000);
}

/** Copies a text to the clipboard and shows a message. */
export async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    announce(`Copied: ${name}`);
  } catch {
    announce(text); // no clipboard without HTTPS: show the text, so that it can be selected
  }
}

/** Returns the URL of a view: path and parameters in the fragment, without parameters that are null or empty. */
export function viewUrl(path, parameters = {}) {
  const entries = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(entries).toString();
  return `#${path}${query ? `?${query}` : ""}`;
}
