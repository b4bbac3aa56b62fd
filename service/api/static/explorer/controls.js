// Controls that several views share: class, truncation and seed.

import { announce, element } from "./dom.js";
import { CLASS_LIMIT } from "./model.js";
import { parseSeed } from "./noise.js";

/** A list of the classes, or null for an unconditional generator. `onChange` receives a class number, or null. */
export function classChoice(model, label, onChange, all = "Class of the seed") {
  if (!model.classes) return null;
  const choice = element("select", { ariaLabel: "Class" });
  choice.append(element("option", { value: "", textContent: all }));
  model.classes.slice(0, CLASS_LIMIT).forEach((name, number) => choice.append(element("option", { value: number, textContent: name })));
  choice.value = label ?? "";
  choice.addEventListener("change", () => onChange(choice.value === "" ? null : Number(choice.value)));
  return element("label", { textContent: "Class" }, choice);
}

/** A slider of the truncation; null for a generator without truncation. `onChange` receives a number, while the slider moves. */
export function truncationSlider(model, truncation, onChange) {
  if (model.truncation === "none") return null;
  const value = element("output", { textContent: truncation });
  const slider = element("input", { type: "range", min: 0.1, max: 1, step: 0.05, value: truncation, ariaLabel: "Truncation" });
  slider.addEventListener("input", () => {
    value.textContent = slider.value;
    onChange(Number(slider.value));
  });
  return element("label", { textContent: "Truncation " }, element("span", {}, slider, " ", value));
}

/** A field for a seed. `onChange` receives a seed when the user presses Enter or leaves the field. */
export function seedField(name, seed, onChange) {
  const field = element("input", { type: "text", inputMode: "numeric", className: "seed", value: String(seed), autocomplete: "off" });
  field.addEventListener("change", () => {
    const parsed = parseSeed(field.value.trim());
    field.setAttribute("aria-invalid", String(parsed === null));
    if (parsed === null) announce("A seed is a whole number from 0 to 9223372036854775807.");
    else onChange(parsed);
  });
  return element("label", { textContent: name }, field);
}

export function button(text, onClick, properties = {}) {
  const created = element("button", { type: "button", textContent: text, ...properties });
  created.addEventListener("click", onClick);
  return created;
}

/** Reads label and truncation from the parameters of a view. */
export function readOptions(model, parameters) {
  const label = parameters.get("label");
  const number = label !== null && /^[0-9]+$/.test(label) && Number(label) < (model.classes?.length ?? 0) ? Number(label) : null;
  const truncation = Number(parameters.get("truncation") ?? 1);
  return { label: number, truncation: model.truncation !== "none" && truncation >= 0.001 && truncation <= 1 ? truncation : 1 };
}
