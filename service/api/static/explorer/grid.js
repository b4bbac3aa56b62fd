// An endless grid of seeds. Each block is one contact sheet; blocks far from the screen hold no picture.

import { ApiError, release, show } from "./api.js";
import { announce, element, rem, viewUrl } from "./dom.js";
import { effectiveLabel, hasImages, outputPath, pinned, sheetPath } from "./model.js";
import { SEED_LIMIT } from "./noise.js";

const GAP = 2; // pixels between the images of a contact sheet
const SHEET_PIXELS = 1 << 21;
const CELL = 4.5; // approximate size of an image, in units of the font size
const ROWS = 6;
const PLOTS = 12;
const NEAR = { sheets: "150% 0px", plots: "25% 0px" }; // how far from the screen pictures are loaded

/** Size of a cell, and enlargement of the images in it. */
export function cellSize({ width, height }, target = CELL * rem()) {
  const longest = Math.max(width, height);
  const scale = Math.max(1, Math.round(target / longest));
  const shrink = Math.min(1, (target * 2) / (longest * scale));
  return { scale, shrink, width: width * scale * shrink, height: height * scale * shrink };
}

/**
 * One contact sheet with a link on each image.
 *
 * @param {object} model The generator.
 * @param {bigint} first The first seed.
 * @param {number} count Number of seeds.
 * @param {number} columns Images in a row.
 * @param {{label: ?number, truncation: number}} options
 */
export class Block {
  constructor(model, first, count, columns, options, target) {
    Object.assign(this, { model, first, count, columns, options });
    const { scale, shrink } = cellSize(model.output, target);
    this.scale = scale;
    const [width, height] = [model.output.width * scale, model.output.height * scale];
    const rows = Math.ceil(count / columns);
    const pixels = [columns * (width + GAP) - GAP, rows * (height + GAP) - GAP].map((size) => size * shrink);
    this.image = element("img", { alt: "", className: "pixels" });
    this.node = element("div", { className: "block" }, this.image);
    this.node.style.width = `${pixels[0]}px`;
    this.node.style.height = `${pixels[1]}px`;
    this.links = Array.from({ length: count }, (_, i) => {
      const link = element("a", { className: "cell" });
      link.style.left = `${(i % columns) * (width + GAP) * shrink}px`;
      link.style.top = `${Math.floor(i / columns) * (height + GAP) * shrink}px`;
      link.style.width = `${width * shrink}px`;
      link.style.height = `${height * shrink}px`;
      return link;
    });
    this.node.append(...this.links);
    this.describe();
  }

  describe() {
    const { label, truncation } = this.options;
    this.links.forEach((link, i) => {
      const seed = this.first + BigInt(i);
      const number = effectiveLabel(this.model, seed, label);
      link.href = viewUrl(`/models/${pinned(this.model)}/${seed}`, { label, truncation: truncation === 1 ? null : truncation });
      link.title = `Seed ${seed}${number === null ? "" : `, class ${this.model.classes[number]}`}`;
      link.setAttribute("aria-label", link.title);
    });
  }

  /** Changes label or truncation. The old picture stays until the new one is there. */
  change(options) {
    this.options = options;
    this.describe();
    if (this.visible) this.load();
  }

  async load() {
    this.visible = true;
    this.node.classList.toggle("old", this.image.hasAttribute("src"));
    const path = sheetPath(this.model, this.first, this.count, this.columns, { ...this.options, scale: this.scale });
    try {
      if (await show(this.image, path)) this.node.classList.remove("old");
    } catch (error) {
      announce(error instanceof ApiError ? error.message : "The server does not answer.");
    }
  }

  release() {
    this.visible = false;
    release(this.image);
  }
}

/** The plot of one sample. */
class Plot {
  constructor(model, seed, options) {
    Object.assign(this, { model, seed, options });
    this.image = element("img", { alt: `Plot of seed ${seed}` });
    this.node = element("a", { title: `Seed ${seed}` }, this.image);
    this.change(options);
  }

  change(options) {
    this.options = options;
    const { label, truncation } = options;
    this.node.href = viewUrl(`/models/${pinned(this.model)}/${this.seed}`, { label, truncation: truncation === 1 ? null : truncation });
    if (this.visible) this.load();
  }

  async load() {
    this.visible = true;
    await show(this.image, outputPath(this.model, this.seed, "png", this.options)).catch((error) => announce(error.message));
  }

  release() {
    this.visible = false;
    release(this.image);
  }
}

/** The endless grid. Insert its element `node` into the document. `change` sets label and truncation. */
export class SeedGrid {
  constructor(model, first, options, target) {
    Object.assign(this, { model, first, next: first, options, target });
    this.items = new Map();
    this.body = element("div", { className: hasImages(model) ? "blocks" : "plots" });
    this.end = element("div", { className: "quiet", textContent: "…" });
    this.node = element("div", {}, this.body, this.end);
    const rootMargin = hasImages(model) ? NEAR.sheets : NEAR.plots;
    this.watcher = new IntersectionObserver((entries) => this.onIntersection(entries), { rootMargin });
    this.more = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.extend();
    }, { rootMargin });
  }

  /** Starts to fill the grid. Call this when `node` is in the document: the width of `node` determines the number of columns. */
  start() {
    this.more.observe(this.end);
    if (!hasImages(this.model)) return this;
    this.resized = new ResizeObserver(() => { if (this.items.size && this.columns() !== this.shown) this.layOut(); });
    this.resized.observe(this.node);
    return this;
  }

  /** The number of images that fit beside each other. */
  columns() {
    return Math.max(1, Math.floor((this.body.clientWidth + GAP) / (cellSize(this.model.output, this.target).width + GAP)));
  }

  /** Shows the same seeds after the width has changed. The first seed on the screen stays there. */
  layOut() {
    const top = [...this.items.values()].find(({ node }) => node.getBoundingClientRect().bottom > 0)?.first ?? this.first;
    const end = this.next;
    for (const item of this.items.values()) { this.watcher.unobserve(item.node); item.release(); }
    this.items.clear();
    this.body.replaceChildren();
    this.next = this.first;
    while (this.next < end) this.addBlock(SEED_LIMIT - this.next);
    if (top !== this.first) [...this.items.values()].findLast(({ first }) => first <= top).node.scrollIntoView();
  }

  change(options) {
    this.options = options;
    for (const item of this.items.values()) item.change(options);
  }

  close() {
    this.watcher.disconnect();
    this.more.disconnect();
    this.resized?.disconnect();
    for (const item of this.items.values()) item.release();
  }

  extend() {
    if (!this.node.isConnected) return;
    const remaining = SEED_LIMIT - this.next;
    if (remaining <= 0n) {
      this.end.textContent = "The last seed is 2⁶³ − 1.";
      this.more.disconnect();
      return;
    }
    if (hasImages(this.model)) this.addBlock(remaining);
    else this.addPlots(remaining);
    // Observe the end of the grid again, because it may still be near the screen.
    this.more.unobserve(this.end);
    this.more.observe(this.end);
  }

  addBlock(remaining) {
    const { scale } = cellSize(this.model.output, this.target);
    const columns = this.shown = this.columns();
    const perImage = (this.model.output.width * scale + GAP) * (this.model.output.height * scale + GAP);
    const rows = Math.max(1, Math.min(ROWS, Math.floor(SHEET_PIXELS / (perImage * columns))));
    const count = Math.min(columns * rows, 1024, Number(remaining < 1024n ? remaining : 1024n));
    this.add(new Block(this.model, this.next, count, columns, this.options, this.target), count);
  }

  addPlots(remaining) {
    const count = Math.min(PLOTS, Number(remaining < 1024n ? remaining : 1024n));
    for (let i = 0; i < count; i++) this.add(new Plot(this.model, this.next, this.options), 1);
  }

  add(item, count) {
    this.items.set(item.node, item);
    this.body.append(item.node);
    this.next += BigInt(count);
    this.watcher.observe(item.node);
  }

  onIntersection(entries) {
    for (const { target, isIntersecting } of entries) {
      const item = this.items.get(target);
      if (isIntersecting) item.load();
      else if (item.visible) item.release();
    }
  }
}
