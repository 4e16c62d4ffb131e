/**
 * The long comparison: every type, every kind of row and the fixture's tensors, until each type
 * has seen the wanted number of weights.
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
import { loadKernels } from '../../daemon/adapters/kernels.ts';
import type { ElementType, Kernels } from '../../daemon/ports.ts';
import { openGgml, type QuantizeRows, whyNoGgml } from './ggml.ts';
import { bytesOf, type QuantizerType, quantizerTypes, typesFor } from './quantizer-types.ts';
import { bf16ToFloats, fillRows, type RowKind, readTensors, rowKindNames } from './sample-rows.ts';

const inRoot = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** A job is one span of the kernels, so that all of it is made even where a scale overflows. */
const SPAN_ELEMENTS = 32768;

interface Tally {
  readonly type: QuantizerType;
  weights: number;
  differing: number;
}

interface Sample {
  readonly values: Float32Array;
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly columns: number;
}

class Comparison {
  readonly tallies: readonly Tally[] = quantizerTypes.map((type) => ({
    type,
    weights: 0,
    differing: 0,
  }));
  readonly #kernels: Kernels;
  readonly #oracle: QuantizeRows;

  constructor(kernels: Kernels, oracle: QuantizeRows) {
    this.#kernels = kernels;
    this.#oracle = oracle;
  }

  /** The least weights that any type has seen. */
  get weights(): number {
    return Math.min(...this.tallies.map(({ weights }) => weights));
  }

  async add({ values, source, element, columns }: Sample): Promise<void> {
    const rows = values.length / columns;
    const types = typesFor(columns);
    const targets = types.map((type) => ({
      type: type.id,
      into: new Uint8Array(bytesOf(type, values.length)),
    }));
    const running = this.#kernels.quantize({ source, element, rows, columns, targets });
    // The oracle works on this thread while ours does on another.
    const expected = targets.map(({ type, into }) => {
      const blocks = new Uint8Array(into.length);
      this.#oracle(type, values, rows, columns, blocks);
      return blocks;
    });
    await running;
    for (const [index, type] of types.entries()) {
      const tally = this.tallies.find((candidate) => candidate.type === type);
      const [made, wanted] = [targets[index]?.into, expected[index]];
      if (tally === undefined || made === undefined || wanted === undefined) continue;
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

function sampleOf(kind: RowKind, round: number): Sample {
  const columns = 256 * (1 + ((round * 7 + rowKindNames.indexOf(kind)) % 32));
  const values = new Float32Array(Math.floor(SPAN_ELEMENTS / columns) * columns);
  fillRows(kind, 1_000_000 + round, values);
  return { values, source: new Uint8Array(values.buffer), element: 'F32', columns };
}

function* fixtureSamples(): Generator<Sample> {
  for (const { columns, bytes } of readTensors(inRoot('fixtures/tiny-gemma4'))) {
    if (columns % 32 !== 0) continue;
    const step = Math.floor(SPAN_ELEMENTS / columns) * columns * 2;
    for (let start = 0; start < bytes.length; start += step) {
      const source = bytes.subarray(start, start + step);
      yield { values: bf16ToFloats(source), source, element: 'BF16', columns };
    }
  }
}

function report(tallies: readonly Tally[], isa: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: inRoot('.'), encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--', 'kernels') === '' ? '' : ' with changes';
  const rows = tallies.map(
    ({ type, weights, differing }) => `| ${type.name} | ${weights} | ${differing} |`,
  );
  return [
    '# Quantizers against llama.cpp',
    '',
    'Made by `node cluster-tests/oracle/quantizers-long.mjs --write`. Each type was made of sample',
    'rows (every kind of cluster-tests/oracle/sample-rows.ts) and of the tensors of',
    'fixtures/tiny-gemma4, and compared byte for byte with `ggml_quantize_chunk` of llama.cpp',
    'v0.5.0 (x86-64, out of @node-llama-cpp/linux-x64), without an importance matrix.',
    '',
    `CPU: ${cpus()[0]?.model ?? 'unknown'}. Instruction set: ${isa}. Commit: ${git('rev-parse', 'HEAD')}${changed}.`,
    '',
    '| type | weights | differing bytes |',
    '|---|---:|---:|',
    ...rows,
    '',
  ].join('\n');
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      write: { type: 'boolean', default: false },
      isa: { type: 'string' },
      weights: { type: 'string', default: '50000000' },
    },
  });
  const why = whyNoGgml();
  if (why !== undefined) throw new Error(`nothing to compare with: ${why}`);
  const { isa } = options;
  const kernels = loadKernels({
    addonPath: inRoot('build/kernels/quantd.node'),
    threads: 1,
    ...(isa === undefined ? {} : { isa }),
  });
  const comparison = new Comparison(kernels, openGgml());
  for (const sample of fixtureSamples()) await comparison.add(sample);
  for (let round = 0; comparison.weights < Number(options.weights); round++) {
    for (const kind of rowKindNames) await comparison.add(sampleOf(kind, round));
    if (process.stderr.isTTY) process.stderr.write(`\r${comparison.weights} weights of each type`);
  }
  kernels.close();
  const text = report(comparison.tallies, kernels.info.isa);
  console.log(text);
  if (options.write) writeFileSync(inRoot('docs/quantizers-result.md'), text);
  process.exitCode = comparison.tallies.every(({ differing }) => differing === 0) ? 0 : 1;
}

await main();
