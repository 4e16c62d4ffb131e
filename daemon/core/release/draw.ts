/** Draw: numbers that follow from a seed, the same on every machine, to look at a part of many. */

// Any odd 32-bit constants without pattern do; these are the ones known from mulberry32.
const STEP = 0x6d2b79f5;

function* numbers(seed: number): Generator<number> {
  for (let state = seed >>> 0; ; ) {
    state = (state + STEP) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

/**
 * `count` different numbers below `total`, ascending; all of them where there are not more.
 * @param seed a whole number below 2^32
 */
export function drawDistinct(count: number, total: number, seed: number): number[] {
  if (count >= total) return Array.from({ length: total }, (_, index) => index);
  const drawn = new Set<number>();
  for (const number of numbers(seed)) {
    if (drawn.size >= count) break;
    drawn.add(Math.floor((number / 2 ** 32) * total));
  }
  return [...drawn].sort((a, b) => a - b);
}
