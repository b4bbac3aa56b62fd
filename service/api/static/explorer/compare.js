// Two generators, or two versions, on the same seeds.

import { models } from "./api.js";
import { button, readOptions, seedField, truncationSlider } from "./controls.js";
import { element } from "./dom.js";
import { SeedGrid } from "./grid.js";
import { parseSeed, randomSeed } from "./noise.js";

export async function compare(container, parameters, replace) {
  document.title = "Seedmint: compare";
  const all = await models();
  const names = all.map((model) => model.name);
  let first = parseSeed(parameters.get("seed") ?? "0") ?? 0n;
  let { truncation } = readOptions({ classes: null }, parameters);
  const selected = ["a", "b"].map((key, i) => names.includes(parameters.get(key)) ? parameters.get(key) : names[Math.min(i, names.length - 1)]);
  let grids = [];
  const holders = [element("div"), element("div")];
  const close = () => { for (const grid of grids) grid.close(); };
  const state = () => replace({ a: selected[0], b: selected[1], seed: first === 0n ? null : first, truncation: truncation === 1 ? null : truncation });
  const draw = () => {
    close();
    state();
    grids = holders.map((holder, i) => {
      const grid = new SeedGrid(all.find((model) => model.name === selected[i]), first, { label: null, truncation });
      holder.replaceChildren(element("h2", { textContent: selected[i] }), grid.node);
      return grid.start();
    });
  };
  const choice = (i) => {
    const select = element("select", {}, ...names.map((name) => element("option", { value: name, textContent: name })));
    select.value = selected[i];
    select.addEventListener("change", () => { selected[i] = select.value; draw(); });
    return element("label", { textContent: i ? "Right" : "Left" }, select);
  };
  const field = seedField("First seed", first, (seed) => { first = seed; draw(); });
  const columns = element("div", { className: "columns" }, ...holders);
  container.replaceChildren(element("h1", { textContent: "Compare" }),
    element("p", { className: "quiet", textContent: "Two generators on the same seeds." }));
  if (!names.length) return () => {};
  container.append(element("div", { className: "bar" }, choice(0), choice(1), field,
    button("Random", () => { first = randomSeed(); field.querySelector("input").value = String(first); draw(); }),
    truncationSlider({}, truncation, (value) => { truncation = value; state(); for (const grid of grids) grid.change({ label: null, truncation }); })), columns);
  draw();
  return close;
}
