// The card of a generator: evaluation, provenance and licence.

import { element } from "./dom.js";
import { nearestImages, trainingCurves } from "./evidence.js";
import { intervalText, isOutside, meaning, valueText } from "./metrics.js";
import { DETERMINISM, checkText } from "./model.js";

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

function outside(metrics) {
  const measured = metrics.filter((metric) => metric.interval);
  return measured.length ? `This generator is outside for ${measured.filter(isOutside).length} of ${measured.length} metrics.` : "This card has no intervals.";
}

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
      ? element("div", {}, element("p", { className: "quiet", textContent: `99.9% of real data: the interval of a perfect generator's score. ${outside(evaluation)}` }),
        table(["Metric", "Value", "99.9% of real data", "Meaning", "Protocol"], evaluation.map((metric) => [
          element("th", { scope: "row", textContent: metric.metric }),
          cell(valueText(metric), "number"), cell(intervalText(metric) + (isOutside(metric) ? " (outside)" : ""), "number"),
          cell(meaning(metric)), cell(metric.protocol, "quiet")])))
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
