// The status line at the bottom of the page: version and provider of the server, and how many outputs wait in its queues.

import { serverDocument } from "./api.js";

const INTERVAL_MILLISECONDS = 10000;

/** The sum of a gauge over all label values, from the text format of Prometheus. */
function total(text, metric) {
  return text.split("\n").filter((line) => line.startsWith(metric) && "{ ".includes(line[metric.length]))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function describe() {
  const page = await serverDocument();
  const providers = [...new Set(page.models.map((model) => model.provider))];
  return ["Seedmint", page.version, ...(providers.length ? [`on ${providers.join(", ")}`] : [])].join(" ");
}

async function waiting() {
  const response = await fetch("metrics");
  return response.ok ? `${total(await response.text(), "seedmint_queue_size")} in the queue` : null;
}

/** Shows the status in an element, and updates the text while the page is visible. */
export function showStatus(node) {
  let about = null;
  const update = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      about ??= await describe();
      node.textContent = [about, await waiting()].filter(Boolean).join(" · ");
    } catch {
      about = null; // another version may run when the server is back
      node.textContent = "The server does not answer.";
    }
  };
  setInterval(update, INTERVAL_MILLISECONDS);
  document.addEventListener("visibilitychange", update);
  update();
}
