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

/** The value of a code of a column without strings: a number, a text, or null if it is missing. */
export function value(column, code) {
  if (code === NULL) return null;
  if (column.type === "text") return column.categories[code];
  if (column.type === "boolean") return String(code === 1);
  const units = exact(column.first + code * column.step);
  if (column.type in TEXTS) return TEXTS[column.type](units) + (column.timezone ? "+00:00" : "");
  return column.decimals >= 0 ? units / 10 ** column.decimals : units * 10 ** -column.decimals;
}

/** The string of codes: the characters before the first end. */
export function string({ alphabet }, codes) {
  const end = codes.indexOf(0);
  return Array.from(end < 0 ? codes : codes.slice(0, end), (code) => alphabet[code - 1]).join("");
}

/** Number of codes of one value. */
const width = ({ length }) => length ?? 1;

/** The values of one row of codes. */
export function rowValues(columns, codes) {
  let start = 0;
  return columns.map((column) => {
    const part = codes.slice(start, start += width(column));
    return column.type === "string" ? string(column, part) : value(column, part[0]);
  });
}

/** The places of one column of rows on an axis; of a string, its number of characters. */
export function places(columns, codes, index) {
  const size = columns.reduce((sum, column) => sum + width(column), 0);
  const start = columns.slice(0, index).reduce((sum, column) => sum + width(column), 0);
  const column = columns[index];
  return Array.from({ length: codes.length / size }, (_, row) => {
    const part = codes.slice(row * size + start, row * size + start + width(column));
    return column.type === "string" ? [...string(column, part)].length : place(column, part[0]);
  });
}

/** The value of a code on an axis: numbers as they are, others by their codes; NaN, which no plot shows, if it is missing. */
const place = (column, code) => (code === NULL ? NaN : isNumber(column) ? value(column, code) : code);

/** The text of a place on an axis; empty between two codes. */
export function placeText(column, at) {
  if (isNumber(column) || column.type === "string") return String(at);
  return Number.isInteger(at) && at >= 0 && at < column.count ? String(value(column, at)) : "";
}

export const title = ({ name, unit }) => (unit ? `${name} (${unit})` : name);

/** Whether the outputs are single strings. */
export const isText = ({ columns, label, labels }) => Boolean(columns) && !label && !labels && columns.length === 1 && columns[0].type === "string";

/** The first two columns for a plot: numbers, dates and times, if there are two of them. */
export function firstAxes(columns) {
  const found = columns.flatMap(({ first }, i) => (first === null ? [] : [i]));
  return found.length > 1 ? found.slice(0, 2) : [0, Math.min(1, columns.length - 1)];
}

const isNumber = ({ type }) => type === "number" || type === "integer";
