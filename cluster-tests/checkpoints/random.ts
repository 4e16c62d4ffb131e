/**
 * Random: numbers that a seed fixes, the same in every run and on every machine.
 *
 *   seed ──▶ seededRandom ──▶ below(n), normal()
 */

export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** One of the standard normal distribution. */
  normal(): number;
}

/** The generator sfc32 (C. Doty-Humphrey, PractRand), seeded by counting. */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9 | 0;
  let b = seed | 0;
  let c = Math.floor(seed / 2 ** 32) | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  // The first dozen still shows how near two seeds are.
  for (let step = 0; step < 12; step++) next();

  let spare: number | undefined;
  return {
    below: (limit) => Math.floor((next() / 2 ** 32) * limit),
    normal() {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      // Box and Muller's pair; the logarithm needs a number above 0.
      const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
      const angle = (2 * Math.PI * next()) / 2 ** 32;
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
  };
}
