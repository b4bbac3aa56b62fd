// Starts the page. `window.course` offers the functions in the browser's console.
import * as experiments from "./experiments.js";
import { exactLabs } from "./exact_labs.js";
import { gameLabs } from "./game_labs.js";
import { connectPresets, labs } from "./lab.js";

exactLabs();
gameLabs();
connectPresets();

/** A formula that is wider than the page scrolls, also with the arrow keys. */
function markWideFormulas() {
  for (const formula of document.querySelectorAll(".formula")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    else formula.removeAttribute("tabindex");
  }
}
markWideFormulas();
document.addEventListener("toggle", markWideFormulas, true);

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  for (const lab of Object.values(labs)) lab.redraw();
  markWideFormulas();
});
addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details")) each.open = true; });
window.course = { labs, experiments };
