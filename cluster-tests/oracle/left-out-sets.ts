/**
 * Left-out sets: which instruction sets the addon holds that tests cannot run on this CPU.
 *
 *   sets that were built, sets that run ──▶ leftOutLines ──▶ a line for each that is missing
 *   (read next: kernels/dispatch.cpp)
 */

import { readFileSync } from 'node:fs';

const stampPath = new URL('../../build/kernels/quantd.json', import.meta.url);

/** `avx512: left out: CPU` for each set that is `built` and does not run. */
export const leftOutLines = (built: readonly string[], runs: readonly string[]): string[] =>
  built.filter((set) => !runs.includes(set)).map((set) => `${set}: left out: CPU`);

/** The sets that kernels/build.mjs says it built into the addon. */
export function builtSets(): string[] {
  const stamp: unknown = JSON.parse(readFileSync(stampPath, 'utf8'));
  const sets = stamp instanceof Object && 'sets' in stamp ? stamp.sets : undefined;
  if (!Array.isArray(sets)) throw new Error('build/kernels/quantd.json names no sets');
  return sets.map(String);
}

/** Prints what tests of every set leave out; `runs` are those that the addon offers here. */
export function printLeftOut(runs: readonly string[]): void {
  for (const line of leftOutLines(builtSets(), runs)) console.warn(line);
}
