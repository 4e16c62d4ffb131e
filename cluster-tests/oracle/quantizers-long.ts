/**
 * The long comparison: every type with and without importance, every kind of row and the
 * fixture's tensors, until each has seen the wanted number of weights.
 *
 *   sample rows ──▶ our job and ggml_quantize_chunk ──▶ a table of differing bytes
 *
 * Started by quantizers-long.mjs.
 */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Kernels } from '../../daemon/ports.ts';
import { ORACLE_CODEBOOK_MAX, openGgml, type QuantizeRows, whyNoGgml } from './ggml.ts';
import {
  makeTargets,
  openKernels,
  type Sample,
  SPAN_ELEMENTS,
  sampleOf,
  withImportance,
} from './quantizer-samples.ts';
import { type QuantizerType, quantizerTypes, typesFor } from './quantizer-types.ts';
import { bf16ToFloats, type RowKind, readTensors, rowKindNames } from './sample-rows.ts';

const inRoot = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

interface Tally {
  readonly type: QuantizerType;
  readonly weighted: boolean;
  weights: number;
  differing: number;
  /** Wall time of the oracle alone. */
  seconds: number;
}

class Comparison {
  readonly tallies: readonly Tally[];
  readonly #kernels: Kernels;
  readonly #oracle: QuantizeRows;
  readonly #wanted: number;

  /** Compares until each tally of the types has seen `wanted` weights. */
  constructor(
    kernels: Kernels,
    oracle: QuantizeRows,
    types: readonly QuantizerType[],
    wanted: number,
  ) {
    this.#kernels = kernels;
    this.#oracle = oracle;
    this.#wanted = wanted;
    const columns = 256;
    this.tallies = [false, true].flatMap((weighted) =>
      typesFor(kernels.info, columns, weighted)
        .filter((type) => types.includes(type) && (!weighted || type.importance !== 'ignored'))
        .map((type) => ({ type, weighted, weights: 0, differing: 0, seconds: 0 })),
    );
  }

  /** The tallies that have not seen enough. */
  get open(): readonly Tally[] {
    return this.tallies.filter(({ weights }) => weights < this.#wanted);
  }

  async add(sample: Sample): Promise<void> {
    const { source, element, rows, columns, values, importance } = sample;
    const weighted = importance !== undefined;
    const tame = values.every((value) => Math.abs(value) <= ORACLE_CODEBOOK_MAX);
    const tallies = this.open.filter(
      (tally) =>
        tally.weighted === weighted &&
        columns % tally.type.elements === 0 &&
        (tame || !tally.type.codebook),
    );
    if (tallies.length === 0) return;
    const types = tallies.map(({ type }) => type);
    const targets = makeTargets(types, sample);
    const job = { source, element, rows, columns, targets };
    const running = this.#kernels.quantize(weighted ? { ...job, importance } : job);
    // The oracle works on this thread while ours does on another.
    const expected = makeTargets(types, sample).map(({ type, into }, index) => {
      const started = performance.now();
      this.#oracle(type, { values, rows, columns, importance }, into);
      const tally = tallies[index];
      if (tally !== undefined) tally.seconds += (performance.now() - started) / 1000;
      return into;
    });
    await running;
    for (const [index, tally] of tallies.entries()) {
      const [made, wanted] = [targets[index]?.into, expected[index]];
      if (made === undefined || wanted === undefined) continue;
      tally.weights += values.length;
      tally.differing += countDiffering(made, wanted);
    }
  }
}

function countDiffering(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return 0;
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}

function sampleOfRound(kind: RowKind, round: number): Sample {
  const columns = 256 * (1 + ((round * 7 + rowKindNames.indexOf(kind)) % 32));
  return sampleOf(kind, 1_000_000 + round, Math.floor(SPAN_ELEMENTS / columns), columns);
}

function* fixtureSamples(): Generator<Sample> {
  for (const { name, columns, bytes } of readTensors(inRoot('fixtures/tiny-gemma4'))) {
    if (columns % 32 !== 0) continue;
    const step = Math.floor(SPAN_ELEMENTS / columns) * columns * 2;
    for (let start = 0; start < bytes.length; start += step) {
      const source = bytes.subarray(start, start + step);
      const values = bf16ToFloats(source);
      const rows = values.length / columns;
      yield { label: name, values, source, element: 'BF16', rows, columns };
    }
  }
}

function report(tallies: readonly Tally[], isa: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: inRoot('.'), encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--', 'kernels') === '' ? '' : ' with changes';
  const rows = quantizerTypes.flatMap((type) => {
    const cells = [false, true].flatMap((weighted) => {
      const tally = tallies.find((one) => one.type === type && one.weighted === weighted);
      return tally === undefined ? ['–', '–'] : [String(tally.weights), String(tally.differing)];
    });
    const seen = tallies.some((tally) => tally.type === type);
    return seen ? [`| ${[type.name, ...cells].join(' | ')} |`] : [];
  });
  return [
    '# Quantizers against llama.cpp',
    '',
    'Made by `node cluster-tests/oracle/quantizers-long.mjs --write`. Each type was made of sample',
    'rows (every kind of cluster-tests/oracle/sample-rows.ts; codebook types of magnitudes up to',
    '1e10, since the oracle aborts beyond) and of the tensors of fixtures/tiny-gemma4, and compared',
    'byte for byte with `ggml_quantize_chunk` of llama.cpp v0.5.0 (x86-64, out of',
    '@node-llama-cpp/linux-x64), without an importance matrix and with every kind of importance.',
    '',
    `CPU: ${cpus()[0]?.model ?? 'unknown'}. Instruction set: ${isa}. Commit: ${git('rev-parse', 'HEAD')}${changed}.`,
    '',
    '| type | weights, plain | differing bytes | weights, importance | differing bytes |',
    '|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}

function typesNamed(list: string | undefined): readonly QuantizerType[] {
  if (list === undefined) return quantizerTypes;
  return list.split(',').map((name) => {
    const type = quantizerTypes.find((candidate) => candidate.name === name);
    if (type === undefined) throw new Error(`no type ${name}`);
    return type;
  });
}

/** Until every tally is full; each sample once without importance and once with it. */
async function run(comparison: Comparison): Promise<void> {
  let seed = 0;
  const addBoth = async (sample: Sample): Promise<void> => {
    await comparison.add(sample);
    await comparison.add(withImportance(sample, ++seed));
  };
  for (const sample of fixtureSamples()) await addBoth(sample);
  for (let round = 0; comparison.open.length > 0; round++) {
    for (const kind of rowKindNames) await addBoth(sampleOfRound(kind, round));
    if (process.stderr.isTTY) process.stderr.write(`\r${comparison.open.length} left `);
  }
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      write: { type: 'boolean', default: false },
      isa: { type: 'string' },
      types: { type: 'string' },
      weights: { type: 'string', default: '50000000' },
    },
  });
  const why = whyNoGgml();
  if (why !== undefined) throw new Error(`nothing to compare with: ${why}`);
  const kernels = openKernels(1, options.isa);
  const wanted = Number(options.weights);
  const comparison = new Comparison(kernels, openGgml(), typesNamed(options.types), wanted);
  await run(comparison);
  kernels.close();
  const text = report(comparison.tallies, kernels.info.isa);
  console.log(text);
  for (const { type, weighted, seconds } of comparison.tallies) {
    if (seconds >= 10) {
      const variant = weighted ? 'importance' : 'plain';
      console.log(`llama.cpp took ${seconds.toFixed(0)} s for ${type.name}, ${variant}`);
    }
  }
  if (options.write) writeFileSync(inRoot('docs/quantizers-result.md'), text);
  process.exitCode = comparison.tallies.every(({ differing }) => differing === 0) ? 0 : 1;
}

await main();
