// Random numbers by counting: number i of a stream is a function of (seed, stream, i) only.

/** Mixes the bits of a 32-bit integer (Wellons, 2018, "lowbias32"). */
function mixed(value) {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Number i of a stream, uniform on (0, 1). */
export const uniformAt = (seed, stream, i) => (mixed((mixed(mixed(seed + 1) ^ stream) + i) >>> 0) + 0.5) / 2 ** 32;

export const STREAMS = { generator: 1, discriminator: 2, dataSet: 3, data: 4, noise: 5 };
