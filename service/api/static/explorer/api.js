// Requests to the server: API key, retries, and a limit of images that load at the same time.

import { element } from "./dom.js";

const KEY = "seedmint-key";
const IN_FLIGHT = 2;
const ATTEMPTS = 8;
const QUEUE = []; // lists of functions that were queued together
let [running, newest] = [0, null];

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

let pendingSignIn = null;

function signIn() {
  pendingSignIn ??= new Promise((resolve) => {
    const title = element("h2", { id: "sign-in-title", textContent: "Sign in" });
    const input = element("input", { type: "password", autocomplete: "off", required: true });
    const note = element("p", { className: "quiet", textContent: "The key is kept until this tab is closed." });
    const form = element("form", { method: "dialog" }, title, element("label", {}, "API key ", input), note, element("button", { textContent: "Sign in" }));
    const dialog = element("dialog", { "aria-labelledby": "sign-in-title" }, form);
    dialog.addEventListener("close", () => {
      if (input.value.trim()) sessionStorage.setItem(KEY, input.value.trim());
      dialog.remove();
      pendingSignIn = null;
      resolve();
    }, { once: true });
    document.body.append(dialog);
    dialog.showModal();
  });
  return pendingSignIn;
}

/** Returns the API key of this tab, or null. */
export function apiKey() {
  return sessionStorage.getItem(KEY);
}

/** Fetches a path. If the server is busy, waits for the time in `Retry-After`. If the server requires an API key, opens the sign-in dialog. */
export async function request(path, options = {}) {
  for (let attempt = 1; ; attempt++) {
    const key = apiKey();
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (options.signal?.aborted || attempt >= ATTEMPTS) throw error;
      await wait(500 * attempt, options.signal);
      continue;
    }
    if (response.ok) return response;
    if (response.status === 401 && attempt < ATTEMPTS) {
      await signIn();
    } else if ([429, 503].includes(response.status) && attempt < ATTEMPTS) {
      await wait(1000 * Number(response.headers.get("Retry-After") ?? 1), options.signal);
    } else {
      const problem = await response.json().catch(() => ({}));
      throw new ApiError(response.status, problem.detail ?? `The server answered ${response.status}.`);
    }
  }
}

let firstPage = null;

/** Returns the document of `/v1/models`: the generators, and the version of the server. */
export function serverDocument() {
  firstPage ??= request("v1/models").then((response) => response.json()).catch((error) => { firstPage = null; throw error; });
  return firstPage;
}

/** Returns all generators of `/v1/models`. */
export async function models() {
  const first = await serverDocument();
  return [...first.models, ...await nextPages(first.next_url)];
}

async function nextPages(url) {
  if (!url) return [];
  const page = await (await request(url)).json();
  return [...page.models, ...await nextPages(page.next_url)];
}

/** Discards the cached list, so that the next call of `models` finds new generators. */
export function refresh() { firstPage = null; }

/** Returns one generator with its card, by name or NAME@DIGEST12. */
export async function model(name) {
  return (await request(`v1/models/${name}`)).json();
}

function next() {
  while (running < IN_FLIGHT && QUEUE.length) {
    running++;
    const latest = QUEUE.at(-1); // its images are probably on the screen
    const { work, resolve, reject } = latest.shift();
    if (!latest.length) QUEUE.pop();
    if (newest === latest && !latest.length) newest = null;
    work().then(resolve, reject).finally(() => { running--; next(); });
  }
}

/** Runs a function as soon as fewer than `IN_FLIGHT` functions are running. Of functions that are queued together, the first runs first. */
export function queued(work) {
  return new Promise((resolve, reject) => {
    if (!newest) {
      QUEUE.push(newest = []);
      queueMicrotask(() => { newest = null; next(); });
    }
    newest.push({ work, resolve, reject });
  });
}

/** Shows the picture of a path in an <img>. A later call for the same <img> replaces an earlier one that is not loaded yet. */
export async function show(image, path) {
  image.loader?.abort();
  const loader = image.loader = new AbortController();
  try {
    const blob = await queued(async () => {
      if (loader.signal.aborted) throw loader.signal.reason;
      return (await request(path, { signal: loader.signal })).blob();
    });
    if (loader.signal.aborted) return false;
    const old = image.src;
    image.src = URL.createObjectURL(blob);
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    await image.decode();
    return true;
  } catch (error) {
    if (loader.signal.aborted) return false;
    throw error;
  }
}

/** Removes the picture of an <img> and frees its memory. */
export function release(image) {
  image.loader?.abort();
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
}
