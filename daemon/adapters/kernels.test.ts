import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { printLeftOut } from '../../cluster-tests/oracle/left-out-sets.ts';
import { FaultError } from '../../proto/fault.ts';
import type { QuantizeJob } from '../ports.ts';
import { kernelFaults } from './kernel-faults.ts';
import { loadKernels } from './kernels.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'quantd-kernels-'));
const kernels = loadKernels({ addonPath, threads: 2 });
printLeftOut(kernels.info.isas);
afterAll(() => {
  kernels.close();
  rmSync(directory, { recursive: true });
});

const Q8_0 = 8;
const anyJob = (): QuantizeJob => ({
  source: new Uint8Array(2 * 64 * 4),
  element: 'F32',
  rows: 2,
  columns: 64,
  targets: [{ type: Q8_0, into: new Uint8Array(4 * 34) }],
});
/** A value of the wrong type, as a bug of a caller would pass it. */
const wrongly = <Wanted>(value: unknown): Wanted => value as Wanted;

function faultOf(options: Parameters<typeof loadKernels>[0]): unknown {
  try {
    loadKernels(options).close();
  } catch (error) {
    return error instanceof FaultError ? error.kind : error;
  }
  return undefined;
}

test('info names the set in use among those that run', () => {
  expect(kernels.info.isas).toContain('scalar');
  expect(kernels.info.isas).toContain(kernels.info.isa);
  expect(kernels.info.threads).toBe(2);
});

test('an addon that is missing, broken or without the wanted set is an environment fault', () => {
  const broken = join(directory, 'broken.node');
  writeFileSync(broken, 'no shared library');
  const missing = join(directory, 'missing.node');
  expect(faultOf({ addonPath: missing, threads: 1 })).toBe(kernelFaults.addonMissing);
  expect(faultOf({ addonPath: broken, threads: 1 })).toBe(kernelFaults.addonBroken);
  expect(faultOf({ addonPath, threads: 1, isa: 'mmx' })).toBe(kernelFaults.isaUnavailable);
  for (const threads of [0, -1, 1.5, 1025, Number.NaN]) {
    expect(faultOf({ addonPath, threads })).toBeInstanceOf(TypeError);
  }
});

test('QUANTD_ISA chooses the set unless the caller does', () => {
  process.env['QUANTD_ISA'] = 'scalar';
  try {
    const chosen = loadKernels({ addonPath, threads: 1 });
    expect(chosen.info.isa).toBe('scalar');
    chosen.close();
    process.env['QUANTD_ISA'] = 'mmx';
    expect(faultOf({ addonPath, threads: 1 })).toBe(kernelFaults.isaUnavailable);
    expect(faultOf({ addonPath, threads: 1, isa: 'scalar' })).toBeUndefined();
  } finally {
    delete process.env['QUANTD_ISA'];
  }
});

// Goal: no argument reaches a kernel unchecked. Method: one wrong field at a time in a good job.
test('a job with a wrong argument is rejected with a TypeError', async () => {
  expect((await kernels.quantize(anyJob())).ok).toBe(true);
  const detached = new Uint8Array(512);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const resizable = Reflect.construct(ArrayBuffer, [512, { maxByteLength: 1024 }]);
  const into = new Uint8Array(4 * 34);
  const shared = new Uint8Array(600);
  const floats = new Float32Array(64);
  const wrong: Record<string, unknown>[] = [
    { source: undefined },
    { source: new Float32Array(128) },
    { source: new Uint8Array(511) },
    { source: new Uint8Array(513) },
    { source: new Uint8Array(new SharedArrayBuffer(512)) },
    { source: new Uint8Array(resizable) },
    { source: detached },
    { element: 'F64' },
    { element: 3 },
    { rows: 0 },
    { rows: -2 },
    { rows: 1.5 },
    { rows: '2' },
    { rows: Number.NaN },
    { rows: Number.POSITIVE_INFINITY },
    { rows: 2 ** 40, columns: 2 ** 40 },
    { columns: 0 },
    { columns: 2 ** 62 },
    { targets: undefined },
    { targets: [] },
    { targets: new Array(65).fill({ type: Q8_0, into }) },
    { targets: [null] },
    { targets: [{ type: 8.5, into }] },
    { importance: null },
    { importance: new Float64Array(64) },
    { importance: new Float32Array(63) },
    { importance: new Float32Array(65) },
    { importance: new Float32Array(64).fill(1, 0, 63).fill(-1e-30, 63) },
    { importance: new Float32Array(64).fill(Number.NaN, 63) },
    { importance: new Float32Array(64).fill(Number.POSITIVE_INFINITY, 0, 1) },
    { importance: new Float32Array(new SharedArrayBuffer(256)) },
    { importance: floats, targets: [{ type: Q8_0, into: new Uint8Array(floats.buffer, 0, 136) }] },
    { targets: [{ type: 9, into }] },
    { targets: [{ type: 2 ** 33, into }] },
    { targets: [{ type: Q8_0 }] },
    { targets: [{ type: Q8_0, into: new Uint8Array(4 * 34 - 1) }] },
    { targets: [{ type: 12, into }] },
    { source: shared.subarray(0, 512), targets: [{ type: Q8_0, into: shared.subarray(400, 536) }] },
    {
      targets: [
        { type: Q8_0, into },
        { type: Q8_0, into },
      ],
    },
  ];
  for (const part of wrong) {
    const job = wrongly<QuantizeJob>({ ...anyJob(), ...part });
    await expect(kernels.quantize(job), JSON.stringify(part)).rejects.toThrow(TypeError);
  }
  for (const job of [undefined, null, 7, 'job']) {
    await expect(kernels.quantize(wrongly(job))).rejects.toThrow(TypeError);
  }
  await expect(kernels.sha256(wrongly('text'))).rejects.toThrow(TypeError);
  await expect(kernels.sha256(detached))
    .resolves.toBeDefined()
    .catch(() => {});
  await expect(kernels.sha256File(wrongly(7))).rejects.toThrow(TypeError);
  await expect(kernels.sha256File('a\0b')).rejects.toThrow(TypeError);
});

// Goal: what a type needs of importance is enforced, and rows with it are bounded. Method: a type
// that ignores it gets the bytes it has without; one that requires it is refused without; a row
// beyond the bound is refused before memory is taken for it.
test('importance is ignored, required or too long', async () => {
  const made = async (importance: { importance?: Float32Array }) => {
    const job = anyJob();
    new Float32Array(job.source.buffer).forEach((_, i, floats) => {
      floats[i] = Math.sin(i);
    });
    expect((await kernels.quantize({ ...job, ...importance })).ok).toBe(true);
    return job.targets[0]?.into ?? new Uint8Array();
  };
  const importance = new Float32Array(64).map((_, i) => i % 3);
  expect(Buffer.compare(await made({ importance }), await made({}))).toBe(0);

  const [IQ2_XS, columns] = [17, 256];
  const source = new Uint8Array(columns * 4);
  const job = { source, element: 'F32', rows: 1, columns };
  const targets = [{ type: IQ2_XS, into: new Uint8Array(74) }];
  await expect(kernels.quantize({ ...job, targets })).rejects.toThrow('without importance');
  const weighted = { ...job, targets, importance: new Float32Array(columns) };
  expect((await kernels.quantize(weighted)).ok).toBe(true);

  const long = 2 ** 20 + 32;
  const longJob = {
    ...{ source: new Uint8Array(long * 4), element: 'F32', rows: 1, columns: long },
    targets: [{ type: Q8_0, into: new Uint8Array((long / 32) * 34) }],
  };
  expect((await kernels.quantize(longJob)).ok).toBe(true);
  const importanceTooLong = { ...longJob, importance: new Float32Array(long) };
  await expect(kernels.quantize(importanceTooLong)).rejects.toThrow('too long');
});

// Goal: where a codebook has no entry, the job says where, in every instruction set. Method: one
// number whose distances to every point overflow, beside a target that holds it.
test.each(kernels.info.isas)('a number beyond every codebook is named, %s', async (isa) => {
  const one = loadKernels({ addonPath, threads: 1, isa });
  const [F32, IQ3_S, columns] = [0, 21, 512];
  const values = new Float32Array(2 * columns).map((_, i) => Math.sin(i));
  values[columns + 300] = 1e30;
  const result = await one.quantize({
    ...{ source: new Uint8Array(values.buffer), element: 'F32', rows: 2, columns },
    targets: [
      { type: F32, into: new Uint8Array(4 * values.length) },
      { type: IQ3_S, into: new Uint8Array(4 * 110) },
    ],
  });
  one.close();
  expect(result).toEqual({ ok: false, reason: 'no-grid-point', row: 1, column: 256, target: 1 });
});

// Goal: a job cannot be changed under the check. Method: a getter that runs last takes away the
// memory that was checked first, and one that throws.
test('a getter that detaches or throws is answered, not obeyed', async () => {
  const job = anyJob();
  const late = {
    ...job,
    get targets() {
      structuredClone(job.source.buffer, { transfer: [job.source.buffer as ArrayBuffer] });
      return job.targets;
    },
  };
  await expect(kernels.quantize(late)).rejects.toThrow(TypeError);
  const throwing = {
    ...anyJob(),
    get rows(): number {
      throw new RangeError('mine');
    },
  };
  await expect(kernels.quantize(throwing)).rejects.toThrow('mine');
});

test('SHA-256 of bytes and of files is that of node:crypto', async () => {
  const file = join(directory, 'file');
  await fc.assert(
    fc.asyncProperty(fc.nat(200_000), fc.nat(63), fc.nat(255), async (size, offset, byte) => {
      const bytes = new Uint8Array(offset + size).map((_, i) => (i * 7 + byte + (i >> 8)) & 255);
      const message = bytes.subarray(offset);
      const expected = createHash('sha256').update(message).digest();
      expect(Buffer.compare(await kernels.sha256(message), expected)).toBe(0);
      writeFileSync(file, message);
      expect(Buffer.compare(await kernels.sha256File(file), expected)).toBe(0);
    }),
    { numRuns: 40 },
  );
  // Longer than one read, and not a whole number of them.
  const long = new Uint8Array(5_300_001).fill(170);
  writeFileSync(file, long);
  const expected = createHash('sha256').update(long).digest();
  expect(Buffer.compare(await kernels.sha256File(file), expected)).toBe(0);
});

// Goal: pieces of a file, in any cut and over any chain of calls. Method: node:crypto on slices.
test('SHA-256 of pieces and of all of them is that of node:crypto', async () => {
  const path = join(directory, 'pieces');
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const anySizes = fc.array(fc.nat(3000), { maxLength: 9 });
  await fc.assert(
    fc.asyncProperty(fc.nat(300), fc.array(anySizes, { maxLength: 4 }), async (start, calls) => {
      const sizes = calls.flat();
      const length = start + sizes.reduce((sum, size) => sum + size, 0);
      const bytes = new Uint8Array(length).map((_, i) => (i * i) >> 4);
      writeFileSync(path, bytes);
      let offset = start;
      let chain: Uint8Array | undefined;
      for (const pieces of calls) {
        const part = { path, offset, pieces, ...(chain === undefined ? {} : { chain }) };
        const found = await kernels.sha256Pieces(part);
        const expected = pieces.map((size) => {
          offset += size;
          return sha256(bytes.subarray(offset - size, offset));
        });
        expect(found.pieces.map(hexOf)).toEqual(expected);
        expect(hexOf(found.digest)).toBe(sha256(bytes.subarray(start, offset)));
        ({ chain } = found);
      }
    }),
    { numRuns: 40 },
  );
});

/** CRC-32C bit by bit, as RFC 3720 has it. */
function crc32c(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0x82f63b78 : 0);
  }
  return ~rest >>> 0;
}

/** Four of them, each of every fourth eight bytes. */
function checksum(bytes: Uint8Array): string {
  const sum = Buffer.alloc(16);
  for (let lane = 0; lane < 4; lane++) {
    const own = bytes.filter((_, at) => (at >> 3) % 4 === lane);
    sum.writeUInt32LE(crc32c(own), 4 * lane);
  }
  return sum.toString('hex');
}

// Goal: checksums are what kernels/checksum.h says, however the bytes come. Method: CRC-32C as the RFC
// describes it, which gives what it prints; steps that are cut anywhere, of several readings at once on
// one thread, so that they are taken two at a time.
test('steps of any length give the digests and checksums of their pieces', async () => {
  expect(crc32c(new Uint8Array(32)).toString(16)).toBe('8a9136aa');
  expect(crc32c(new Uint8Array(32).map((_, i) => i)).toString(16)).toBe('46dd794e');
  const one = loadKernels({ addonPath, threads: 1 });
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const anyPiece = fc.record({ size: fc.nat(500), sum: fc.boolean() });
  const anyReading = fc.record({
    wanted: fc.array(anyPiece, { maxLength: 9 }),
    cuts: fc.array(fc.nat(700), { maxLength: 9 }),
    seed: fc.nat(99),
  });
  type Reading = typeof anyReading extends fc.Arbitrary<infer Each> ? Each : never;
  const read = async ({ wanted, cuts, seed }: Reading): Promise<void> => {
    const total = wanted.reduce((sum, { size }) => sum + size, 0);
    const bytes = new Uint8Array(total).map((_, i) => (i * i + seed) >> 4);
    const results: string[] = [];
    let progress: Uint8Array | undefined;
    let at = 0;
    for (const cut of [...cuts, total]) {
      const left = wanted.slice(results.length);
      const step = bytes.subarray(at, at + cut);
      const found = await one.sha256Step({
        ...{ bytes: step, pieces: left.map(({ size }) => size), sums: left.map((w) => w.sum) },
        ...(progress === undefined ? {} : { progress }),
      });
      results.push(...found.pieces.map(hexOf));
      at += step.length;
      expect(hexOf(found.digest)).toBe(sha256(bytes.subarray(0, at)));
      ({ progress } = found);
    }
    let offset = 0;
    const expected = wanted.map(({ size, sum }) => {
      const piece = bytes.subarray(offset, offset + size);
      offset += size;
      return sum ? checksum(piece) : sha256(piece);
    });
    expect(results).toEqual(expected);
  };
  const anyReadings = fc.array(anyReading, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(anyReadings, async (readings) => {
      await Promise.all(readings.map(read));
    }),
    { numRuns: 40 },
  );
  one.close();
});

test('what is made comes with its checksum', async () => {
  const into = new Uint8Array(34 * 3001);
  const source = new Uint8Array(Float32Array.from({ length: 32 * 3001 }, (_, i) => i % 97).buffer);
  const job = { source, element: 'F32', rows: 1, columns: 32 * 3001, targets: [{ type: 8, into }] };
  const made = await kernels.quantize(job);
  const sums = made.ok ? (made.sums ?? []) : [];
  expect(sums.map((sum) => Buffer.from(sum).toString('hex'))).toEqual([checksum(into)]);
});

test.each([
  ['no job', 7],
  ['no bytes', { pieces: [] }],
  ['sums of other pieces', { bytes: new Uint8Array(3), pieces: [3], sums: [] }],
  ['progress of nothing', { bytes: new Uint8Array(3), pieces: [3], progress: new Uint8Array(9) }],
])('a step is refused for %s', async (_, wrong) => {
  const step = wrongly<Parameters<typeof kernels.sha256Step>[0]>(wrong);
  await expect(kernels.sha256Step(step)).rejects.toThrow(TypeError);
});

test('pieces beyond the end, and what is no job, are refused', async () => {
  const path = join(directory, 'short');
  writeFileSync(path, new Uint8Array(100));
  const short = kernels.sha256Pieces({ path, offset: 50, pieces: [30, 30] });
  await expect(short).rejects.toMatchObject({ code: 'ENODATA' });
  for (const wrong of [
    ...[undefined, {}, { path: 7, offset: 0, pieces: [] }, { path: 'a\0b', offset: 0, pieces: [] }],
    ...[-1, 0.5, 2 ** 53].map((offset) => ({ path, offset, pieces: [] })),
    ...[[-1], ['1'], [2 ** 53 - 1, 1], 7].map((pieces) => ({ path, offset: 0, pieces })),
    ...[new Uint8Array(103), new Uint8Array(104).fill(1), 'x'].map((chain) => ({
      ...{ path, offset: 0, pieces: [] },
      chain,
    })),
  ]) {
    const pieces = wrongly<Parameters<typeof kernels.sha256Pieces>[0]>(wrong ?? 7);
    await expect(kernels.sha256Pieces(pieces)).rejects.toThrow(TypeError);
  }
});

test('a file that cannot be read gives the error that node:fs would give', async () => {
  const folder = join(directory, 'folder');
  mkdirSync(folder);
  await expect(kernels.sha256File(join(directory, 'none'))).rejects.toMatchObject({
    code: 'ENOENT',
    syscall: 'open',
    path: join(directory, 'none'),
  });
  await expect(kernels.sha256File(folder)).rejects.toMatchObject({ code: 'EISDIR' });
  await expect(kernels.sha256File('/dev/zero')).rejects.toMatchObject({ code: 'EINVAL' });
  const pipe = join(directory, 'pipe');
  if (spawnSync('mkfifo', [pipe]).status === 0) {
    await expect(kernels.sha256File(pipe)).rejects.toMatchObject({ code: 'EINVAL' });
  }
});

test('an abort ends the hashing of a file with the reason of the signal', async () => {
  const file = join(directory, 'large');
  writeFileSync(file, new Uint8Array(64 << 20));
  const reason = new Error('enough');
  await expect(kernels.sha256File(file, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const hashing = kernels.sha256File(file, controller.signal);
  controller.abort(reason);
  await expect(hashing).rejects.toBe(reason);
});

// Goal: who computes never waits for who reads a file. Method: one thread, and a file of holes that takes
// far longer to hash than the job.
test('a file that is being hashed takes no thread of those that compute', async () => {
  const file = join(directory, 'holes');
  writeFileSync(file, '');
  truncateSync(file, 2 ** 40);
  const one = loadKernels({ addonPath, threads: 1 });
  const hashing = one.sha256File(file, AbortSignal.timeout(60_000));
  const ended = hashing.then(() => 'hashed').catch(() => 'given up');
  const made = one.quantize(anyJob()).then(({ ok }) => ok);
  expect(await Promise.race([made, ended])).toBe(true);
  one.close();
  expect(await ended).toBe('given up');
});

// Goal: closing never hangs, crashes or leaves a promise open. Method: more jobs than threads,
// closed at once; every promise settles, and later calls reject.
test('close settles what is under way and rejects what comes later', async () => {
  const closing = loadKernels({ addonPath, threads: 2 });
  const source = new Uint8Array(1 << 20);
  const jobs = Array.from({ length: 20 }, () =>
    closing.quantize({
      ...{ source, element: 'F32', rows: 64, columns: 4096 },
      targets: [{ type: 13, into: new Uint8Array(64 * 16 * 176) }],
    }),
  );
  closing.close();
  closing.close();
  const states = (await Promise.allSettled(jobs)).map(({ status }) => status);
  expect(states.filter((state) => state === 'rejected').length).toBeGreaterThan(10);
  await expect(closing.quantize(anyJob())).rejects.toThrow('closed');
  await expect(closing.sha256(source)).rejects.toThrow('closed');
  await expect(closing.sha256File('x')).rejects.toThrow('closed');
});

const startJobs = `
  const addon = { exports: {} };
  process.dlopen(addon, ${JSON.stringify(addonPath)});
  const kernels = new addon.exports.Kernels({ threads: 3 });
  const source = new Uint8Array(1 << 22);
  const job = () => kernels.quantize({ source, element: 'F32', rows: 256, columns: 4096,
    targets: [{ type: 13, into: new Uint8Array(256 * 16 * 176) }] });
  for (let i = 0; i < 10; i++) job();
`;
const runNode = (program: string) =>
  spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 60_000 });

// Goal: the end of an environment joins the threads. Method: processes that end, and a worker
// that is ended, with jobs in flight; and a process that waits for nothing but its jobs.
test('a process or worker ends with jobs in flight', () => {
  expect(runNode(`${startJobs} process.exit(7);`)).toMatchObject({ status: 7, signal: null });
  const worker = `
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(${JSON.stringify(
      `${startJobs} require('node:worker_threads').parentPort.postMessage(1); setInterval(() => {}, 1e6);`,
    )}, { eval: true });
    worker.on('message', () => worker.terminate().then(() => process.exit(5)));`;
  // The termination races with deliveries: one round would often miss it.
  for (let round = 0; round < 6; round++) {
    expect(runNode(worker)).toMatchObject({ status: 5, signal: null });
  }
  const waits = `${startJobs} job().then((result) => console.log(result.ok));`;
  expect(runNode(waits)).toMatchObject({ status: 0, stdout: 'true\n' });
  const idle = `new (process.dlopen.call(process, globalThis.m = { exports: {} },
    ${JSON.stringify(addonPath)}), m.exports.Kernels)({ threads: 2 });`;
  expect(runNode(idle)).toMatchObject({ status: 0, signal: null });
});

// Goal: kernels leave the event loop and libuv's threads alone. Method: while every thread of the
// pool works, timers and file reads go on.
test('the event loop turns while all threads compute', async () => {
  const source = new Uint8Array(8 << 20);
  const jobs = Array.from({ length: 4 }, () =>
    kernels.quantize({
      ...{ source, element: 'F32', rows: 512, columns: 4096 },
      targets: [{ type: 14, into: new Uint8Array(512 * 16 * 210) }],
    }),
  );
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await Promise.all(jobs);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(3);
});
