/**
 * Goal: what is made before the digests are known is what the plan with them asks for, and nothing of
 * it is left where there are none.
 * Method: the real kernels and disk, digests that come when the test says so, and outputs that are then
 * continued by the real assembler.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadKernels } from '../adapters/kernels.ts';
import { openOutputDirectory } from '../adapters/output-files.ts';
import type { BlockTypeName } from '../core/gguf/block-types.ts';
import { layoutGguf } from '../core/gguf/layout.ts';
import { planRun } from '../core/plan/plan.ts';
import { adoptedRuns } from '../core/schedule/ahead.ts';
import type { Clock } from '../ports.ts';
import { Assembler } from './assembler.ts';
import { attestable, quantizeMeanwhile } from './early.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'quantd-early-'));
const kernels = loadKernels({ addonPath, threads: 2 });
afterAll(() => {
  kernels.close();
  rmSync(scratch, { recursive: true });
});

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const signal = new AbortController().signal;
// Early work begins at once; whatever else waits does so for real.
const clock: Clock = {
  now: () => performance.now(),
  after: (milliseconds, work) => {
    const timer = setTimeout(work, milliseconds < 1000 ? 0 : milliseconds);
    return () => clearTimeout(timer);
  },
};

const ROWS = 96;
const COLUMNS = 64;
const names = Array.from({ length: 12 }, (_, layer) => `blk.${layer}.attn_q.weight`);
const bytesOfOne = ROWS * COLUMNS * 2;
const content = new Uint8Array(names.length * bytesOfOne);
// BF16 of about one, none of them infinite.
for (let at = 0; at < content.length; at += 2) content.set([(at * 7) % 251, 0x3f], at);

const tensors = names.map((name, index) => {
  const shape = [COLUMNS, ROWS];
  const place = { file: 'w', offset: index * bytesOfOne, bytes: bytesOfOne };
  const part = { name, dtype: 'BF16', shape, ...place } as const;
  return {
    ...{ name, shape, keepF32: false },
    source: { kind: 'checkpoint' as const, dtype: 'BF16' as const, parts: [part] },
  };
});

function outputOf(type: BlockTypeName) {
  const layout = layoutGguf({ metadata: [], tensors: tensors.map((each) => ({ ...each, type })) });
  return { file: `${type}.gguf`, types: new Map(names.map((name) => [name, type])), layout };
}
const outputs = [outputOf('Q8_0'), outputOf('Q4_0')];
const fileDigests = new Map([['w', Buffer.from(sha256(content)).toString('hex')]]);
const plan = planRun({ tensors, outputs, fileDigests, sha256 });

/** The blocks of an output, each tensor made at once. */
async function expectedOf({ types, layout }: (typeof outputs)[number]): Promise<Buffer> {
  const expected = Buffer.alloc(layout.fileBytes);
  expected.set(layout.header);
  for (const [index, { name, offset, bytes }] of layout.tensors.entries()) {
    const into = new Uint8Array(bytes);
    const source = content.slice(index * bytesOfOne, (index + 1) * bytesOfOne);
    const type = types.get(name) === 'Q8_0' ? 8 : 2;
    const job = { source, element: 'BF16', rows: ROWS, columns: COLUMNS };
    expect((await kernels.quantize({ ...job, targets: [{ type, into }] })).ok).toBe(true);
    expected.set(into, offset);
  }
  return expected;
}

/** Quantizes early in a folder, until so many tensors have been read or `end` says so. */
async function early(
  path: string,
  readsMax: number,
  { canBeEarly = true, end = () => Promise.resolve(fileDigests) } = {},
) {
  let reads = 0;
  let finish: () => void = () => undefined;
  const enough = new Promise<void>((resolve) => {
    finish = resolve;
  });
  if (readsMax === 0) setTimeout(finish, 50);
  return await quantizeMeanwhile(enough.then(end), {
    ...{
      tensors,
      outputs,
      importance: undefined,
      files: ['w'],
      kernels,
      clock,
      sha256,
      canBeEarly,
      buffers: [],
    },
    openDirectory: () => openOutputDirectory(path, kernels),
    source: {
      read: async (_, offset, into) => {
        into.set(content.subarray(offset, offset + into.length));
        if (++reads === readsMax) setTimeout(finish, 20);
      },
    },
    offer: { leasesMax: 2, memoryBytes: 1e8, bytesPerSecond: 1, multiplicationsPerSecond: 1 },
  });
}

const newFolder = (): string => mkdtempSync(join(scratch, 'out-'));

test.each([1, 5, 12])(
  'after %i reads, what is made is part of the plan of the digests',
  async (reads) => {
    const path = newFolder();
    const { madeOf } = await early(path, reads);
    const made = madeOf(plan);
    expect(made.units).toBeGreaterThan(0);
    // Each unit that it tells of is one of the plan's, of a type each.
    const units = new Set(plan.tasks.flatMap(({ runs }) => runs.map(({ unit }) => unit)));
    expect([...attestable(made)].flat().length).toBe(made.units);
    for (const { unit } of [...attestable(made)].flat()) expect(units.has(unit)).toBe(true);
    if (reads === names.length) expect(made.units).toBe(2 * names.length);
    const directory = await openOutputDirectory(path, kernels);
    for (const [index, output] of plan.outputs.entries()) {
      const adopted = adoptedRuns(output, made.runs.get(output.file) ?? []);
      expect(adopted.every(({ sum }) => sum !== undefined)).toBe(true);
      const assembler = await Assembler.open(output, false, { directory, sha256 }, adopted);
      const missing = output.runs.flatMap((_, run) => (assembler.hasRun(run) ? [] : [run]));
      expect(missing.length).toBe(output.runs.length - made.units / 2);
      // Of what it has nothing is wrong, and what it lacks is found out.
      expect(await assembler.verify(() => undefined, signal)).toEqual(missing);
      const wanted = outputs[index];
      const expected = wanted && (await expectedOf(wanted));
      for (const run of missing) {
        const { offset = 0, bytes = 0 } = output.runs[run] ?? {};
        const blocks = expected?.subarray(offset, offset + bytes) ?? new Uint8Array(0);
        await assembler.write(run, blocks, sha256(blocks));
      }
      await assembler.commit();
      expect(await assembler.verify(() => undefined, signal)).toEqual([]);
      await assembler.seal();
      await assembler.close();
      expect(readFileSync(join(path, output.file)).equals(expected ?? Buffer.alloc(0))).toBe(true);
    }
    await directory.close();
  },
);

test('without digests nothing is left, and the fault is theirs', async () => {
  const path = newFolder();
  const end = (): Promise<never> => Promise.reject(new Error('the source has changed'));
  await expect(early(path, 3, { end })).rejects.toThrow('the source has changed');
  expect(readdirSync(path)).toEqual(['.quantd']);
});

test('what is there already is left alone, and nothing is made where nothing may be', async () => {
  const path = newFolder();
  writeFileSync(join(path, 'Q8_0.gguf'), 'somebody else');
  const { madeOf } = await early(path, 4);
  expect([...madeOf(plan).runs.keys()]).toEqual(['Q4_0.gguf']);
  expect(readFileSync(join(path, 'Q8_0.gguf'), 'utf8')).toBe('somebody else');
  expect(existsSync(join(path, 'Q8_0.gguf.part'))).toBe(false);
  const other = newFolder();
  const none = await early(other, 0, { canBeEarly: false });
  expect(none.madeOf(plan).units).toBe(0);
  expect(readdirSync(other)).toEqual([]);
});
