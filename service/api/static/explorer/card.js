// The card of a generator: evaluation, provenance and licence.

import { element } from "./dom.js";
import { nearestImages, trainingCurves } from "./evidence.js";
import { DETERMINISM, checkText } from "./model.js";

const METRICS = {
  "label-accuracy": "Images whose label a classifier recognizes (higher is better)",
  frechet: "Fréchet distance of features to real images (0 is best)",
  kid: "Kernel distance of features to real images (0 is best)",
  precision: "Generated images that look real (1 is best)",
  recall: "Real images that the generator covers (1 is best)",
  density: "Closeness to real images (about 1 for real images)",
  coverage: "Share of real images with a generated neighbor (1 is best)",
  "class-kl": "Divergence of the classes from the data's (0 is best)",
  copying: "Chance to be nearer to a training image than a real image is (0.5 for real images, 1 for copies)",
  "parzen-log-likelihood": "Mean log-likelihood in nats by a Parzen window (higher is better)",
};

function meaning(metric) {
  const key = Object.keys(METRICS).find((name) => metric.startsWith(name));
  return key ? METRICS[key] : "";
}

function rows(object, prefix = "") {
  return Object.entries(object).flatMap(([key, value]) => {
    if (value === null || (Array.isArray(value) && !value.length)) return [];
    if (typeof value === "object" && !Array.isArray(value)) return rows(value, `${prefix}${key}.`);
    return [[`${prefix}${key}`, Array.isArray(value) ? value.join(", ") : String(value)]];
  });
}

function table(head, body) {
  return element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": head[0] },
    element("table", {},
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col", textContent: text })))),
      element("tbody", {}, ...body.map((cells) => element("tr", {}, ...cells)))));
}

const cell = (text, className = "") => element("td", { textContent: text, className });

export function card(container, model) {
  const { evaluation, licence, classes, noise } = model.card;
  const { curve, ...provenance } = model.card.provenance ?? {};
  const curves = trainingCurves(model);
  container.replaceChildren(
    element("h2", { textContent: "Determinism" }),
    element("p", {}, element("strong", { textContent: `${model.determinism}. ` }), `${DETERMINISM[model.determinism]} ${checkText(model)}`),
    ...(model.determinism === "exact" ? [] : [element("p", {}, "To compare another machine: ", element("code", { textContent: `seedmint models verify ${model.name}` }))]),
    element("h2", { textContent: "Evaluation" }),
    evaluation?.length
      ? table(["Metric", "Value", "Meaning", "Protocol"], evaluation.map((metric) => [
        element("th", { scope: "row", textContent: metric.metric }),
        cell(Number(metric.value.toPrecision(4)) + (metric.standard_error ? ` ± ${Number(metric.standard_error.toPrecision(2))}` : ""), "number"),
        cell(meaning(metric.metric)), cell(metric.protocol, "quiet")]))
      : element("p", { textContent: "The card holds no evaluation. Run: seedmint evaluate NAME --write" }),
    ...[nearestImages(model), curves?.node ?? null].filter(Boolean),
    element("h2", { textContent: "Properties" }),
    table(["Property", "Value"], [
      ["digest", model.digest], ["noise rule", noise.rule], ["z_dim", String(noise.z_dim)],
      ...(classes ? [["classes", classes.join(", ")]] : []), ...rows(licence ?? {}, "licence.")]
      .map(([name, value]) => [element("th", { scope: "row", textContent: name }), cell(value, "mono")])),
    element("h2", { textContent: "Provenance" }),
    model.card.provenance
      ? table(["Provenance", "Value"], rows(provenance).map(([name, value]) => [element("th", { scope: "row", textContent: name }), cell(value, "mono")]))
      : element("p", { textContent: "The card holds no provenance." }));
  return () => curves?.close();
}
