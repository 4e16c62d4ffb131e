/** Run bits: a set of an output's runs, a bit for each, the first the lowest of the first byte. */

export function runBits(runs: Iterable<number>, count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (const run of runs) bits[run >> 3] = (bits[run >> 3] ?? 0) | (1 << (run & 7));
  return bits;
}

/** The runs below `count` whose bit is set; bits that are not there are not set. */
export function setBits(bits: Uint8Array, count: number): number[] {
  const runs: number[] = [];
  for (let run = 0; run < count; run++) {
    if (((bits[run >> 3] ?? 0) >> (run & 7)) & 1) runs.push(run);
  }
  return runs;
}
