// Corrects names, roles and the focus in the markup of Scalar, for keyboards and screen readers.

/** Elements by selector, and how to correct one of them. */
const CORRECTIONS = [
  ["button[aria-selected]:not([role])", (node) => {
    if (node.getAttribute("aria-selected") === "true") node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
    node.removeAttribute("aria-selected");
  }],
  ["button[role=search]", (node) => { node.removeAttribute("role"); node.setAttribute("aria-label", "Search"); }],
  // The list of languages has other children than tabs: a list of buttons.
  [".client-libraries-list[role=tablist]", (node) => {
    for (const name of ["role", "aria-orientation", "aria-labelledby"]) node.removeAttribute(name);
  }],
  [".client-libraries-list [role=tab]", (node) => node.removeAttribute("role")],
  [".endpoints:not([tabindex])", (node) => { node.tabIndex = 0; }],
  [".client-libraries__select:not([aria-label])", (node) => node.setAttribute("aria-label", "Other languages")],
  ["button[class*=copy]:not([aria-label])", (node) => node.setAttribute("aria-label", "Copy")],
  // A button may not contain buttons and links: the inner ones stay for the pointer.
  [":is(button.parameter-item-trigger) :is(button, a, [tabindex='0'])", (node) => {
    node.removeAttribute("tabindex");
    if (node.matches("button, a")) node.inert = true;
  }],
];

function correct() {
  for (const [selector, change] of CORRECTIONS) document.querySelectorAll(selector).forEach(change);
}

/** Corrects the page now and after each of its changes. */
export function keepAccessible() {
  let isPlanned = false;
  const plan = () => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => { isPlanned = false; correct(); });
  };
  new MutationObserver(plan).observe(document.body, { subtree: true, childList: true, attributeFilter: ["aria-selected", "role", "tabindex"] });
  plan();
}
