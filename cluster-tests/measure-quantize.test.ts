/**
 * Goal: what is measured and quantized in one run is what llama.cpp makes with that matrix, on one
 * machine and on several, and no weight is sent twice on the way.
 * Method: whole files are compared: of a run alone, of one with three workers, of one that is given
 * the matrix of the first, and of llama_model_quantize.
 */

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunEvent } from '../proto/api.ts';
import { endDaemons } from './cluster.ts';
import { type Done, digestsOf, startRun } from './cluster-run.ts';
import { meansOf } from './importance/write-imatrix.ts';
import { SOURCE, startCoordinator, startWorkers } from './measure-run.ts';
import { compareGguf } from './oracle/compare-gguf.ts';
import { readGguf } from './oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from './oracle/llama.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const TYPES = ['Q4_K_M', 'Q2_K'] as const;
// Two whole groups: while the last passes the later stages, the machine of the first has time.
const CHUNKS = 32;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let reference: Map<string, string>;
beforeAll(async () => {
  scratch = await makeScratch('measure-quantize');
  const calibration = ['--calibration', 'default', '--chunks', String(CHUNKS), '--ctx', '128'];
  await mustRunQuantd([...words('alone'), ...calibration, '--solo']);
  reference = digestsOf(join(scratch.path, 'alone'));
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const words = (out: string): string[] => [
  ...['quantize', SOURCE, '--type', TYPES.join(), '--name', 'm', '--json'],
  ...['--out', join(scratch.path, out)],
];

test('the matrix by itself makes the same files', async () => {
  expect([...reference.keys()]).toEqual(['m-Q2_K.gguf', 'm-Q4_K_M.gguf', 'm-imatrix.gguf']);
  const imatrix = join(scratch.path, 'alone', 'm-imatrix.gguf');
  await mustRunQuantd([...words('given'), '--imatrix', imatrix]);
  const given = digestsOf(join(scratch.path, 'given'));
  for (const type of TYPES) {
    expect(given.get(`m-${type}.gguf`)).toBe(reference.get(`m-${type}.gguf`));
  }
});

test('three workers make the same files, and no weight is sent twice', async () => {
  const coordinator = await startCoordinator(scratch.path);
  const names = ['a', 'b', 'c'];
  await startWorkers(
    scratch.path,
    coordinator,
    names.map((name) => ({ name })),
  );
  const calibration = ['--calibration', 'default', '--chunks', String(CHUNKS), '--ctx', '128'];
  const run = startRun([...words('three'), ...calibration], coordinator.data);
  const done = await run.done;
  expect(digestsOf(join(scratch.path, 'three'))).toEqual(reference);
  const ahead = run.events.find(({ type }) => type === 'ahead');
  if (ahead?.type !== 'ahead') throw new Error('nothing was quantized while others measured');
  console.log(`ahead: ${ahead.units} units, ${ahead.runs} runs of use`);
  expect(ahead.units).toBeGreaterThan(0);
  expect(ahead.runs).toBeGreaterThanOrEqual(ahead.units);
  // Those that were made ahead are counted with the others.
  expect(done.unitsMade).toBeGreaterThanOrEqual(unitsOf(run.events));
  const { measuring, all } = sentBytes(run.events, done);
  console.log(`sent: ${measuring} bytes to measure, ${all} in all, of ${done.sourceBytes}`);
  expect(measuring).toBeGreaterThan(done.sourceBytes / 2);
  expect(all).toBeLessThanOrEqual(done.sourceBytes);
});

/** Units of the plan. */
function unitsOf(events: readonly RunEvent[]): number {
  const plan = events.find(({ type }) => type === 'plan');
  return plan?.type === 'plan' ? plan.units : Number.POSITIVE_INFINITY;
}

/** Source bytes that left for the workers. */
function sentBytes(
  events: readonly RunEvent[],
  { peers }: Done,
): { measuring: number; all: number } {
  const measured = events.findLast(({ type }) => type === 'measured');
  const sum = (works: readonly { readonly sourceBytes: number }[]): number =>
    works.reduce((bytes, { sourceBytes }) => bytes + sourceBytes, 0);
  return {
    measuring: measured?.type === 'measured' ? sum(measured.peers) : 0,
    all: sum(peers.filter(({ name }) => name !== 'local')),
  };
}

describe.skipIf(whyNoOracle() !== undefined)('llama.cpp', () => {
  const oracle = openOracle();
  afterAll(() => oracle.close());

  test('makes the same files with the matrix', async () => {
    const converted = join(scratch.path, 'converted.gguf');
    const named = ['--name', 'm'];
    await mustRunQuantd(['convert', SOURCE, '--type', 'BF16', '--out', converted, ...named]);
    const matrix = await readGguf(join(scratch.path, 'alone', 'm-imatrix.gguf'));
    const tensors = new Map(matrix.tensors.map((tensor) => [tensor.name, tensor]));
    const floats = (name: string): Float32Array => {
      const { bytes } = tensors.get(name) ?? { bytes: Buffer.alloc(0) };
      return new Float32Array(Uint8Array.from(bytes).buffer);
    };
    const entries = [...tensors.keys()].flatMap((name) =>
      name.endsWith('.in_sum2') ? [name.slice(0, -'.in_sum2'.length)] : [],
    );
    expect(entries.length).toBeGreaterThan(30);
    for (const ftype of TYPES) {
      const output = join(scratch.path, `theirs-${ftype}.gguf`);
      await oracle.quantize({
        input: converted,
        output,
        ftype,
        importance: entries.map((name) => ({
          name,
          weights: meansOf(floats(`${name}.in_sum2`), floats(`${name}.counts`)),
        })),
        overrides: [
          { key: 'quantize.imatrix.file', type: 'str', value: 'm-imatrix.gguf' },
          { key: 'quantize.imatrix.dataset', type: 'str', value: 'quantd-default.txt' },
          { key: 'quantize.imatrix.entries_count', type: 'int', value: entries.length },
          { key: 'quantize.imatrix.chunks_count', type: 'int', value: CHUNKS },
        ],
      });
      const ours = await readGguf(join(scratch.path, 'alone', `m-${ftype}.gguf`));
      expect(compareGguf({ ours, theirs: await readGguf(output) }), ftype).toEqual([]);
    }
  });
});
