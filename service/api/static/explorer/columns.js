// The typed columns of a table: the values of codes, as seedmint/models/columns.py computes them.

const NULL = -1;
const DAY = 86_400_000_000; // microseconds

const clock = (microseconds) => {
  const seconds = Math.floor(microseconds / 1e6);
  const parts = [seconds / 3600, (seconds % 3600) / 60, seconds % 60].map((part) => String(Math.floor(part)).padStart(2, "0"));
  const rest = microseconds % 1e6;
  return parts.join(":") + (rest ? `.${String(rest).padStart(6, "0")}` : "");
};
const date = (days) => new Date(days * 86_400_000).toISOString().slice(0, 10);
const TEXTS = {
  date,
  time: clock,
  datetime: (units) => `${date(Math.floor(units / DAY))}T${clock(((units % DAY) + DAY) % DAY)}`,
};

/** A time beyond 2^53 microseconds, the year 2255, to the millisecond: its microseconds are not exact. */
const exact = (units) => (Number.isSafeInteger(units) ? units : Math.round(units / 1000) * 1000);

/** The value of a code: a number, a text, or null if it is missing. */
export function value(column, code) {
  if (code === NULL) return null;
  if (column.type === "text") return column.categories[code];
  if (column.type === "boolean") return String(code === 1);
  const units = exact(column.first + code * column.step);
  if (column.type in TEXTS) return TEXTS[column.type](units) + (column.timezone ? "+00:00" : "");
  return column.decimals >= 0 ? units / 10 ** column.decimals : units * 10 ** -column.decimals;
}

/** The value of a code on an axis: numbers as they are, others by their codes; NaN, which no plot shows, if it is missing. */
export const place = (column, code) => (code === NULL ? NaN : isNumber(column) ? value(column, code) : code);

/** The text of a place on an axis; empty between two codes. */
export function placeText(column, at) {
  if (isNumber(column)) return String(at);
  return Number.isInteger(at) && at >= 0 && at < column.count ? String(value(column, at)) : "";
}

export const title = ({ name, unit }) => (unit ? `${name} (${unit})` : name);

/** The first two columns for a plot: numbers, dates and times, if there are two of them. */
export function firstAxes(columns) {
  const found = columns.flatMap(({ first }, i) => (first === null ? [] : [i]));
  return found.length > 1 ? found.slice(0, 2) : [0, Math.min(1, columns.length - 1)];
}

const isNumber = ({ type }) => type === "number" || type === "integer";
