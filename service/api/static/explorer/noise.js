// The parts of the noise rule that the page needs.

const WORDS = 1n << 64n;
export const SEED_LIMIT = 1n << 63n;

/** Sums of the class weights up to each class, for each generator that was shown. */
const limits = new WeakMap();

/**
 * The label that a seed determines. A seed has one 64-bit word of Philox4x64-10 with key 1. Without class weights (rule labels-v1), the
 * label is the word modulo the number of classes. With weights (labels-v2), it is the first class whose sum of weights exceeds the word
 * modulo the sum of all weights.
 */
export function defaultLabel(seed, model) {
  const word = labelWord(seed);
  if (!model.class_weights) return Number(word % BigInt(model.classes.length));
  if (!limits.has(model.class_weights)) {
    let total = 0;
    limits.set(model.class_weights, model.class_weights.map((weight) => (total += weight)));
  }
  const sums = limits.get(model.class_weights);
  const rest = Number(word % BigInt(sums[sums.length - 1]));
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sums[middle] > rest) high = middle; else low = middle + 1;
  }
  return low;
}

function labelWord(seed) {
  let [a, b, c, d] = [(BigInt(seed) >> 2n) + 1n, 0n, 0n, 0n];
  for (let round = 0n; round < 10n; round++) {
    const [left, right] = [0xD2E7470EE14C6C93n * a, 0xCA5A826395121157n * c];
    const keys = [(1n + round * 0x9E3779B97F4A7C15n) % WORDS, (round * 0xBB67AE8584CAA73Bn) % WORDS];
    [a, b, c, d] = [right / WORDS ^ b ^ keys[0], right % WORDS, left / WORDS ^ d ^ keys[1], left % WORDS];
  }
  return [a, b, c, d][Number(BigInt(seed) % 4n)];
}

/** Parses a seed. Returns null if the text is not a seed. */
export function parseSeed(text) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) return null;
  const seed = BigInt(text);
  return seed < SEED_LIMIT ? seed : null;
}

/** A seed below 2^31: short enough to remember. */
export function randomSeed() {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0] >>> 1);
}
