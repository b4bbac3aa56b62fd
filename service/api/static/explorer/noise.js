// The parts of the noise rule that the page needs.

const WORDS = 1n << 64n;
export const SEED_LIMIT = 1n << 63n;

/** The label that a seed determines: Philox4x64-10 with key 1, one 64-bit word a seed, modulo the number of classes. */
export function defaultLabel(seed, classes) {
  let [a, b, c, d] = [(BigInt(seed) >> 2n) + 1n, 0n, 0n, 0n];
  for (let round = 0n; round < 10n; round++) {
    const [left, right] = [0xD2E7470EE14C6C93n * a, 0xCA5A826395121157n * c];
    const keys = [(1n + round * 0x9E3779B97F4A7C15n) % WORDS, (round * 0xBB67AE8584CAA73Bn) % WORDS];
    [a, b, c, d] = [right / WORDS ^ b ^ keys[0], right % WORDS, left / WORDS ^ d ^ keys[1], left % WORDS];
  }
  return Number([a, b, c, d][Number(BigInt(seed) % 4n)] % BigInt(classes));
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
