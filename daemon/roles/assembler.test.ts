/**
 * Goal: reading back finds every byte that is not what was stored, and its digest is the file's.
 * Method: outputs of random runs and gaps on the real disk, with bytes changed behind our back.
 */

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { loadKernels } from '../adapters/kernels.ts';
import { openOutputDirectory } from '../adapters/output-files.ts';
import type { OutputRun, PlannedOutput } from '../core/plan/plan.ts';
import type { StoredRun } from '../core/plan/run-journal.ts';
import type { UnitId } from '../core/plan/unit-id.ts';
import { type AheadRun, adoptedRuns } from '../core/schedule/ahead.ts';
import type { OutputDirectory, OutputFile } from '../ports.ts';
import { Assembler } from './assembler.ts';
import { DraftOutput } from './draft-output.ts';
import { outputFaults } from './faults.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'quantd-assembler-'));
const kernels = loadKernels({ addonPath, threads: 2 });
afterAll(() => {
  kernels.close();
  rmSync(scratch, { recursive: true });
});

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const signal = new AbortController().signal;

interface Made {
  readonly output: PlannedOutput;
  readonly runs: readonly Uint8Array[];
  readonly expected: Buffer;
}

/** An output of the runs' bytes with as many zeros in front of each, and some at the end. */
function makeOutput(
  header: Uint8Array,
  parts: readonly (readonly [number, Uint8Array])[],
  end: number,
): Made {
  let at = header.length;
  const runs: OutputRun[] = parts.map(([gap, { length }], task) => {
    const offset = at + gap;
    at = offset + length;
    return { unit: `unit ${task}` as UnitId, task, offset, bytes: length };
  });
  const fileBytes = at + end;
  const expected = Buffer.alloc(fileBytes);
  expected.set(header);
  for (const [index, [, bytes]] of parts.entries()) expected.set(bytes, runs[index]?.offset);
  const layout = { header, fileBytes, dataStart: header.length, tensors: [] };
  const output = { file: 'model.gguf', layout, runs, id: sha256(expected) };
  return { output, runs: parts.map(([, bytes]) => bytes), expected };
}

const anyBytes = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: 1, maxLength });
const anyOutput: fc.Arbitrary<Made> = fc
  .tuple(
    anyBytes(200),
    fc.array(fc.tuple(fc.nat(70), anyBytes(700)), { minLength: 1, maxLength: 12 }),
    fc.nat(40),
  )
  .map((parts) => makeOutput(...parts));

/** Opens `output` in a directory of its own, with every run written and committed. */
async function assemble({ output, runs }: Made, change?: (file: OutputFile) => void) {
  const path = mkdtempSync(join(scratch, 'out-'));
  const real = await openOutputDirectory(path, kernels);
  const directory: OutputDirectory = {
    ...real,
    open: async (...args) => {
      const file = await real.open(...args);
      change?.(file);
      return file;
    },
  };
  const assembler = await Assembler.open(output, false, { directory, sha256 });
  for (const [run, bytes] of runs.entries()) await assembler.write(run, bytes, sha256(bytes));
  await assembler.commit();
  const close = async (): Promise<void> => {
    await assembler.close();
    await directory.close();
  };
  return { assembler, path: join(path, output.file), close };
}

test('the digest of reading back is that of the sealed file', async () => {
  await fc.assert(
    fc.asyncProperty(anyOutput, async (made) => {
      const { assembler, path, close } = await assemble(made);
      let bytes = 0;
      const lost = await assembler.verify((more) => {
        bytes += more;
      }, signal);
      expect(lost).toEqual([]);
      expect(bytes).toBe(made.expected.length);
      const digest = await assembler.seal();
      expect(digest).toBe(Buffer.from(sha256(made.expected)).toString('hex'));
      expect(readFileSync(path).equals(made.expected)).toBe(true);
      await close();
    }),
    { numRuns: 30 },
  );
});

test('a changed byte loses its run, or is put right where no run lies', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyOutput,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (made, at, by) => {
        const { assembler, path, close } = await assemble(made);
        const { output, runs, expected } = made;
        const place = at % expected.length;
        const bytes = Buffer.from(expected);
        bytes[place] = (bytes[place] ?? 0) ^ by;
        writeFileSync(`${path}.part`, bytes);
        const hit = output.runs.findIndex(
          (run) => place >= run.offset && place < run.offset + run.bytes,
        );
        expect(await assembler.verify(() => undefined, signal)).toEqual(hit < 0 ? [] : [hit]);
        const again = runs[hit];
        if (again !== undefined) {
          expect(assembler.hasRun(hit)).toBe(false);
          await assembler.write(hit, again, sha256(again));
          await assembler.commit();
          expect(await assembler.verify(() => undefined, signal)).toEqual([]);
        }
        expect(await assembler.seal()).toBe(Buffer.from(sha256(expected)).toString('hex'));
        expect(readFileSync(path).equals(expected)).toBe(true);
        await close();
      },
    ),
    { numRuns: 40 },
  );
});

/** What the addon has as the checksum of the bytes. */
async function sumOf(bytes: Uint8Array): Promise<Uint8Array> {
  const { pieces } = await kernels.sha256Step({ bytes, pieces: [bytes.length], sums: [true] });
  return pieces[0] ?? new Uint8Array(0);
}

// Goal: reading back while the file grows changes nothing of what is found in the end. Method: a part
// of the runs at a time, read ahead after each; a byte that is changed before it is read.
test('what is read ahead is not read again, and is as good', async () => {
  await fc.assert(
    fc.asyncProperty(anyOutput, fc.nat(), fc.boolean(), async (made, at, hasSums) => {
      const path = mkdtempSync(join(scratch, 'out-'));
      const directory = await openOutputDirectory(path, kernels);
      const { output, runs, expected } = made;
      const assembler = await Assembler.open(output, false, { directory, sha256 });
      const hit = at % runs.length;
      for (const [run, bytes] of runs.entries()) {
        const stored = run === hit ? bytes.map((byte) => byte ^ 1) : bytes;
        const sum = hasSums ? await sumOf(bytes) : undefined;
        await assembler.write(run, stored, sha256(bytes), sum);
        await assembler.readAhead(signal);
        await assembler.commit();
        await assembler.readAhead(signal);
      }
      const told: number[] = [];
      const lost = await assembler.verify((bytes) => told.push(bytes), signal);
      expect(lost).toEqual([hit]);
      // The first is what had been read; the padding behind the last run may stand there already.
      expect(told).toEqual([expected.length]);
      const right = sha256(runs[hit] ?? new Uint8Array(0));
      await assembler.write(hit, runs[hit] ?? new Uint8Array(0), right);
      await assembler.commit();
      await assembler.readAhead(signal);
      // What was read and is written again is read again.
      await assembler.write(hit, Buffer.alloc(runs[hit]?.length ?? 0, 0x5a), right);
      await assembler.commit();
      const isSame = runs[hit]?.every((byte) => byte === 0x5a) === true;
      expect(await assembler.verify(() => undefined, signal)).toEqual(isSame ? [] : [hit]);
      await assembler.close();
      await directory.close();
    }),
    { numRuns: 20 },
  );
});

// Goal: what is put right is looked at too, so that a disk which keeps nothing cannot be sealed.
test('padding that the disk does not take is a fault', async () => {
  const made = makeOutput(new Uint8Array(64), [[0, new Uint8Array(500).fill(7)]], 12);
  let isDeaf = false;
  const { assembler, path, close } = await assemble(made, (file) => {
    const write = file.write.bind(file);
    file.write = (offset, bytes) => (isDeaf ? Promise.resolve() : write(offset, bytes));
  });
  const bytes = Buffer.from(made.expected);
  bytes[570] = 1;
  writeFileSync(`${path}.part`, bytes);
  isDeaf = true;
  await expect(assembler.verify(() => undefined, signal)).rejects.toMatchObject({
    kind: outputFaults.keepsFailing,
    detail: { byte: 564 },
  });
  await close();
});

test('a sealed file that was changed is a fault, and so is a shorter one', async () => {
  const made = makeOutput(new Uint8Array(64), [[0, new Uint8Array(500).fill(7)]], 0);
  const { assembler, path, close } = await assemble(made);
  await assembler.verify(() => undefined, signal);
  await assembler.seal();
  const bytes = Buffer.from(made.expected);
  bytes[100] = 1;
  writeFileSync(path, bytes);
  await expect(assembler.verify(() => undefined, signal)).rejects.toMatchObject({
    kind: outputFaults.changedSince,
    detail: { byte: 64 },
  });
  writeFileSync(path, bytes.subarray(0, 300));
  await expect(assembler.verify(() => undefined, signal)).rejects.toMatchObject({
    kind: { code: 'QD-6104' },
  });
  await expect(
    assembler.verify(() => undefined, AbortSignal.abort(new Error('enough'))),
  ).rejects.toThrow('enough');
  await close();
});

/** Has these bytes written as the output's first runs, whatever their digests say. */
async function makeAhead(
  { output, runs }: Made,
  file: OutputFile,
  written: readonly Uint8Array[],
): Promise<StoredRun[]> {
  await file.draft();
  const draft = { file, made: new Map<number, AheadRun>() };
  const ahead = new DraftOutput(output, draft);
  for (const [run, content] of written.entries()) {
    const digest = sha256(runs[run] ?? content);
    await ahead.place(run, { unit: '', from: '', digest, content });
    expect([ahead.holds(run), ahead.hasRun(run)]).toEqual([true, false]);
  }
  await ahead.commit();
  expect(ahead.storedRuns()).toEqual([...written.keys()]);
  await file.close();
  return adoptedRuns(output, [...draft.made.values()]);
}

test('an output goes on with what was made ahead of it, and reads it back like the rest', async () => {
  await fc.assert(
    fc.asyncProperty(anyOutput, fc.nat(), fc.boolean(), async (made, choice, isWrong) => {
      const { output, runs, expected } = made;
      const path = mkdtempSync(join(scratch, 'out-'));
      const directory = await openOutputDirectory(path, kernels);
      const file = await directory.open(output.file, expected.length, { overwrite: false });
      const chosen = choice % runs.length;
      const written = runs.slice(0, chosen + 1).map((bytes, run) => {
        return run === chosen && isWrong ? bytes.map((byte) => byte ^ 1) : bytes;
      });
      const adopted = await makeAhead(made, file, written);
      expect(adopted.map(({ run }) => run)).toEqual([...Array(chosen + 1).keys()]);
      const assembler = await Assembler.open(output, true, { directory, sha256 }, adopted);
      expect(assembler.storedRuns()).toEqual([...Array(chosen + 1).keys()]);
      for (const [run, bytes] of runs.entries()) {
        if (run > chosen) await assembler.write(run, bytes, sha256(bytes));
      }
      await assembler.commit();
      const lost = await assembler.verify(() => undefined, signal);
      expect(lost).toEqual(isWrong ? [chosen] : []);
      await assembler.close();
      // Its journal tells of them as of the others.
      const again = await Assembler.open(output, false, { directory, sha256 });
      expect(again.storedRuns().length).toBe(runs.length);
      await again.close();
      await directory.close();
    }),
    { numRuns: 15 },
  );
});
