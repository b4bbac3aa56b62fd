// A table whose columns can be sorted.

import { element } from "./dom.js";

/**
 * Returns a table in a box that scrolls. A press on the head of a column sorts by this column.
 *
 * @param {string} name Name for screen readers.
 * @param {string[]} head Names of the columns.
 * @param {(number|bigint|string|null)[][]} rows Values; null is a missing value, which is the last in both orders.
 * @param {?function(number): string} href Address of the first cell of a row, by its number in `rows`.
 * @param {boolean} isExact Whether numbers are shown with all digits, and not with six.
 */
export function sortableTable(name, head, rows, href = null, isExact = false) {
  let [sorted, direction] = [null, 1];
  const body = element("tbody");
  const heads = head.map((text, column) => {
    const button = element("button", { type: "button", textContent: text });
    button.addEventListener("click", () => {
      direction = sorted === column ? -direction : 1;
      sorted = column;
      draw();
    });
    return element("th", { scope: "col" }, button);
  });
  const text = (value) => (value === null ? "" : typeof value === "number" && !isExact ? String(Number(value.toPrecision(6))) : String(value));
  const compare = (a, b) => (a === null) - (b === null) || direction * (a < b ? -1 : a > b ? 1 : 0);
  const draw = () => {
    heads.forEach((node, column) => node.setAttribute("aria-sort", column !== sorted ? "none" : direction > 0 ? "ascending" : "descending"));
    const order = rows.map((_, i) => i);
    if (sorted !== null) order.sort((a, b) => compare(rows[a][sorted], rows[b][sorted]));
    body.replaceChildren(...order.map((row) => element("tr", {}, ...rows[row].map((value, column) =>
      (href && !column ? element("th", { scope: "row" }, element("a", { href: href(row), textContent: text(value) }))
        : element("td", { className: "number", textContent: text(value) }))))));
  };
  draw();
  return element("div", { className: "scroll tall", tabIndex: 0, role: "region", "aria-label": name },
    element("table", { className: "sortable" }, element("thead", {}, element("tr", {}, ...heads)), body));
}
