// Two generators, or two versions, on the same seeds.

import { model as fetchModel, models } from "./api.js";
import { button, classChoice, readOptions, seedField, truncationSlider } from "./controls.js";
import { announce, element, viewUrl } from "./dom.js";
import { nearestImages } from "./evidence.js";
import { intervalText, valueText } from "./metrics.js";
import { pinned, shapeText } from "./model.js";
import { parseSeed, randomSeed } from "./noise.js";
import { seedViews } from "./samples.js";

/** A table of the metrics on the cards of both generators; only values of the same protocol stand in one row. */
async function metrics(names) {
  const [left, right] = (await Promise.all(names.map(fetchModel))).map((each) => each.card.evaluation ?? []);
  const key = (metric) => `${metric.metric}\n${metric.protocol}`;
  const keys = [...new Set([...left, ...right].map(key))];
  if (!keys.length) return element("p", { textContent: "The cards hold no evaluation." });
  const find = (list, wanted, text) => { const found = list.find((metric) => key(metric) === wanted); return found ? text(found) : ""; };
  const real = (wanted) => [left, right].map((list) => find(list, wanted, intervalText)).find(Boolean) ?? "";
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Metrics" }, element("table", {},
    element("thead", {}, element("tr", {}, ...["Metric", ...names, "99.9% of real data", "Protocol"].map((head) => element("th", { scope: "col", textContent: head })))),
    element("tbody", {}, ...keys.map((wanted) => element("tr", {}, element("th", { scope: "row", textContent: wanted.split("\n")[0] }),
      ...[left, right].map((list) => element("td", { className: "number", textContent: find(list, wanted, valueText) })),
      element("td", { className: "number", textContent: real(wanted) }),
      element("td", { className: "quiet", textContent: wanted.split("\n")[1] }))))));
}

/** The nearest training images of both generators, beside each other. */
async function neighbours(names) {
  const both = await Promise.all(names.map(fetchModel));
  return element("div", { className: "columns pair" }, ...both.map((model) => element("div", {}, element("p", {}, element("strong", { textContent: model.name })),
    nearestImages(model) ?? element("p", { textContent: "The card has no nearest training images. Run: seedmint evaluate NAME --write" }))));
}

/** Two versions of a generator, or two generators with outputs of one shape, or any two. */
function defaultPair(all, names) {
  const versions = all.find((model) => model.versions.length > 1);
  if (versions) return names.slice(names.indexOf(versions.name), names.indexOf(versions.name) + 2);
  const shape = (model) => JSON.stringify([model.output.shape ?? model.output, model.classes]);
  const pairs = all.map((model) => all.filter((other) => shape(other) === shape(model)));
  return (pairs.find((pair) => pair.length > 1) ?? all).slice(0, 2).map((model) => model.name);
}

export async function compare(container, parameters, replace) {
  document.title = "Seedmint: compare";
  const all = await models();
  const known = new Map(all.map((model) => [model.name, model]));
  const names = all.flatMap((model) => [model.name, ...model.versions.map((version) => `${model.name}@${version}`).filter((name) => name !== pinned(model))]);
  let first = parseSeed(parameters.get("seed") ?? "0") ?? 0n;
  let { truncation } = readOptions({ classes: null }, parameters);
  let label = null;
  const pair = defaultPair(all, names);
  const selected = ["a", "b"].map((key, i) => names.includes(parameters.get(key)) ? parameters.get(key) : pair[i] ?? pair[0]);
  let [views, latestDraw, isClosed] = [[], 0, false];
  const holders = [element("div"), element("div")];
  const closeViews = () => { for (const view of views) view.close(); };
  const state = () => replace({ a: selected[0], b: selected[1], seed: first === 0n ? null : first, label, truncation: truncation === 1 ? null : truncation });
  const classes = element("div");
  const change = (changed) => { ({ label, truncation } = { label, truncation, ...changed }); state(); for (const view of views) view.change({ label, truncation }); };
  /** The choice of a class, if both have the same classes. */
  const showClasses = ([left, right]) => {
    const same = left.classes && JSON.stringify(left.classes) === JSON.stringify(right.classes);
    label = same ? label ?? readOptions(left, parameters).label : null;
    parameters.delete("label");
    classes.replaceChildren(...(same ? [classChoice(left, label, (value) => change({ label: value }))] : []));
  };
  const parts = [["Metrics of both", metrics], ["Nearest training images of both", neighbours]].map(([text, find]) => {
    const holder = element("div");
    const details = element("details", {}, element("summary", { textContent: text }), holder);
    const fill = () => {
      if (!details.open) return;
      const chosen = [...selected];
      const show = (node) => { if (chosen.every((name, i) => name === selected[i])) holder.replaceChildren(node); };
      find(chosen).then(show).catch((error) => announce(error.message));
    };
    details.addEventListener("toggle", fill);
    return { details, fill };
  });
  const draw = async () => {
    const thisDraw = ++latestDraw;
    for (const { fill } of parts) fill();
    const chosen = await Promise.all(selected.map((name) => known.get(name) ?? fetchModel(name)));
    if (isClosed || thisDraw !== latestDraw) return;
    closeViews();
    showClasses(chosen);
    state();
    views = holders.flatMap((holder, i) => {
      const model = chosen[i];
      const shown = seedViews(model, first, { label, truncation });
      holder.replaceChildren(element("h2", {}, element("a", { href: viewUrl(`/models/${selected[i]}`), textContent: selected[i] })),
        element("p", { className: "quiet" }, element("span", { className: "mono", textContent: pinned(model) }), ` · ${shapeText(model.output)} · ${model.determinism}`),
        ...shown.map((view) => view.node));
      for (const view of shown) view.start();
      return shown;
    });
  };
  const redraw = () => { draw().catch((error) => announce(error.message)); };
  const choice = (i) => {
    const select = element("select", {}, ...names.map((name) => element("option", { value: name, textContent: name })));
    select.value = selected[i];
    select.addEventListener("change", () => { selected[i] = select.value; redraw(); });
    return element("label", { textContent: i ? "Right" : "Left" }, select);
  };
  const field = seedField("First seed", first, (seed) => { first = seed; redraw(); });
  const columns = element("div", { className: "columns pair" }, ...holders);
  container.replaceChildren(element("h1", { textContent: "Compare" }),
    element("p", { className: "quiet", textContent: "Two generators, or two versions of one, on the same seeds." }));
  if (!names.length) return () => {};
  container.append(element("div", { className: "bar" }, choice(0), choice(1), field,
    button("Random", () => { first = randomSeed(); field.querySelector("input").value = String(first); redraw(); }),
    classes, truncationSlider({}, truncation, (value) => change({ truncation: value }))), ...parts.map(({ details }) => details), columns);
  await draw();
  return () => { isClosed = true; closeViews(); };
}
