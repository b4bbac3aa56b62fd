// What a card shows besides its metrics: the nearest training images of the first seeds, and the training curve.

import { show } from "./api.js";
import { element, viewUrl } from "./dom.js";
import { cellSize } from "./grid.js";
import { hasImages, outputPath, pinned } from "./model.js";
import { Plot, plotColor } from "./plot.js";

/** Draws the training image of one seed, from the picture with all of them, on a canvas. */
function crop(sheet, index, count, { width, height }) {
  const source = [sheet.naturalWidth / count, sheet.naturalHeight];
  const canvas = element("canvas", { width: source[0], height: source[1], className: "pixels" });
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.getContext("2d").drawImage(sheet, index * source[0], 0, ...source, 0, 0, ...source);
  return canvas;
}

function pair(model, neighbours, seed, sheet) {
  const size = cellSize(model.output);
  const name = `Seed ${seed}`;
  const row = `training image ${neighbours.rows[seed].toLocaleString("en")}`;
  const generated = element("img", { className: "pixels", alt: name });
  generated.style.width = `${size.width}px`;
  generated.style.height = `${size.height}px`;
  show(generated, outputPath(model, BigInt(seed), "png", { scale: size.shrink < 1 ? 1 : size.scale })).catch(() => {});
  let real = null;
  if (sheet) {
    real = crop(sheet, seed, neighbours.rows.length, size);
    real.setAttribute("role", "img");
    real.setAttribute("aria-label", `The nearest ${row}`);
  }
  return element("li", {}, element("a", { href: viewUrl(`/models/${pinned(model)}/${seed}`), title: name }, generated), real,
    element("p", { className: "quiet", textContent: `${name}: ${row}, distance ${Number(neighbours.distances[seed].toPrecision(3))}` }));
}

/** The nearest training images of a generator; null if its card has none. */
export function nearestImages(model) {
  const { neighbours } = model.card;
  if (!neighbours || !hasImages(model)) return null;
  const list = element("ul", { className: "neighbours" });
  const fill = (sheet) => list.replaceChildren(...neighbours.rows.map((_, seed) => pair(model, neighbours, seed, sheet)));
  if (neighbours.picture) {
    const sheet = element("img", { src: `data:image/png;base64,${neighbours.picture}` });
    sheet.decode().then(() => fill(sheet), () => fill(null));
  } else {
    fill(null);
  }
  const text = neighbours.picture ? "The image of each seed, and beside it the training image with the smallest pixel distance. Copies would be equal."
    : "The row of the training image with the smallest pixel distance to the image of each seed. The card does not show the images.";
  return element("section", {}, element("h2", { textContent: "Nearest training images" }), element("p", { className: "quiet", textContent: text }), list);
}

/** The training curves of a generator, and a function that ends them; null if its card has none. */
export function trainingCurves(model) {
  const curve = model.card.provenance?.curve;
  if (!curve) return null;
  const ends = [curve.steps[0], curve.steps[curve.steps.length - 1]];
  const line = (y, color, x = curve.steps) => ({ kind: "lines", x, y, color: plotColor(color) });
  const [value, outputs] = [new Plot("V(G, D)"), new Plot("D(x) and D(G(z))")];
  value.draw([line(curve.value, 0), line([curve.equilibrium, curve.equilibrium], 7, ends)], ["step", "V(G, D)"]);
  outputs.draw([line(curve.d_real, 0), line(curve.d_fake, 1)], ["step", "D"]);
  const mark = (index, text) => {
    const color = element("span", { className: "mark" });
    color.style.background = plotColor(index);
    return element("span", {}, color, text);
  };
  const node = element("section", {}, element("h2", { textContent: "Training" }),
    element("div", { className: "columns" },
      element("div", {}, element("p", { className: "legend" }, mark(0, "V(G, D)"), mark(7, `where G has learned the data: ${Number(curve.equilibrium.toPrecision(4))}`)), value.node),
      element("div", {}, element("p", { className: "legend" }, mark(0, "D(x), D's output for data"), mark(1, "D(G(z)), for generated data")), outputs.node)));
  return { node, close: () => { value.close(); outputs.close(); } };
}
