import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { runSlowly, type SlowWave } from '../../cluster-tests/det1/slow-layer.ts';
import {
  numbersOf,
  POSITIONS_MAX,
  type SmallModel,
  smallLayer,
  writeSmallLayer,
} from '../../cluster-tests/det1/small-layer.ts';
import { FaultError } from '../../proto/fault.ts';
import { sumsBytes } from '../core/importance/statistics.ts';
import { planRegisters } from '../core/models/registers.ts';
import type { ForwardKernels, LayerJob, PlacedWeight, PreparedLayer } from '../ports.ts';
import { loadForward } from './forward.ts';
import { kernelFaults } from './kernel-faults.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'quantd-forward-'));
const model = writeSmallLayer(directory);
const forward = loadForward({ addonPath, threads: 2, planRegisters });
afterAll(() => {
  forward.close();
  rmSync(directory, { recursive: true });
});

const states = [...smallLayer.reads, ...smallLayer.leaves.slice(1), ...smallLayer.inputs];
const prepare = (kernels: ForwardKernels, from: SmallModel = model): Promise<PreparedLayer> =>
  kernels.prepareLayer(from.layer, from.placed, from.tables);

/** Chunks [first, first + chunks) of an endless text; `spoil` may change the hidden state. */
function waveOf(
  chunks: number,
  positions: number,
  { first = 0, spoil }: { first?: number; spoil?: (hidden: Float32Array) => void } = {},
): SlowWave & { readonly state: Map<string, Float32Array>; readonly sums: Uint8Array } {
  const state = new Map(
    states.map(({ register, width }) => {
      const numbers = new Float32Array(chunks * positions * width);
      for (let chunk = 0; chunk < chunks; chunk++) {
        const seed = 1000 * (first + chunk) + width;
        numbers.set(numbersOf(seed, positions * width), chunk * positions * width);
      }
      return [register, numbers];
    }),
  );
  const targets = state.get('targets');
  // Some are no row of the vocabulary.
  const some = [0, 255, 256, 269, 270, 77];
  targets?.set(targets.map((_, token) => some[(token % positions) % some.length] ?? 0));
  spoil?.(state.get('hidden') ?? new Float32Array(0));
  return { chunks, positions, state, sums: new Uint8Array(sumsBytes(smallLayer.statistics)) };
}

const jobOf = (prepared: PreparedLayer, wave: SlowWave): LayerJob => ({
  ...wave,
  scratch: new Uint8Array(prepared.scratchBytes(wave.chunks, wave.positions)).fill(0xff),
});

/** Bits, because NaN is not NaN and -0 is 0. */
const bitsOf = ({ state, sums }: SlowWave): unknown => [
  ...[...state].map(([name, { buffer }]) => [name, Buffer.from(buffer).toString('hex')]),
  Buffer.from(sums ?? []).toString('hex'),
];

// Goal: the bits of det-1, whatever carries it out. Method: a layer with every operation, against
// the same list done number by number; every instruction set, teams of 1 to 3 threads.
test('every set and every team gives the bits of the page', async () => {
  const slow = waveOf(2, POSITIONS_MAX);
  expect(runSlowly(model, slow)).toEqual([]);
  for (const isa of forward.isas) {
    for (const threads of [1, 2, 3]) {
      const kernels = loadForward({ addonPath, threads, isa, planRegisters });
      const prepared = await prepare(kernels);
      const wave = waveOf(2, POSITIONS_MAX);
      expect(await prepared.run(jobOf(prepared, wave))).toEqual({ bad: [] });
      expect(bitsOf(wave), `${isa}, ${threads} threads`).toEqual(bitsOf(slow));
      kernels.close();
    }
  }
});

// Goal: what is computed together changes nothing. Method: the same six chunks in waves of other
// sizes, for several lengths; sums of all must agree, and each chunk's state.
test('waves of any size give the same state and the same sums', async () => {
  const prepared = await prepare(forward);
  for (const positions of [1, 7, 66]) {
    const runs = [[6], [1, 1, 1, 1, 1, 1], [2, 3, 1]].map(async (cut) => {
      const sums = new Uint8Array(sumsBytes(smallLayer.statistics));
      const parts: string[] = [];
      let first = 0;
      for (const chunks of cut) {
        const wave = { ...waveOf(chunks, positions, { first }), sums };
        expect((await prepared.run(jobOf(prepared, wave))).bad).toEqual([]);
        const of = (name: string, chunk: number): string => {
          const bytes = Buffer.from(wave.state.get(name)?.buffer ?? new ArrayBuffer(0));
          const size = bytes.length / chunks;
          return bytes.subarray(chunk * size, (chunk + 1) * size).toString('hex');
        };
        for (let chunk = 0; chunk < chunks; chunk++) {
          parts.push(...states.map(({ register }) => of(register, chunk)));
        }
        first += chunks;
      }
      return [parts, Buffer.from(sums).toString('hex')];
    });
    const [whole, ...others] = await Promise.all(runs);
    for (const other of others) expect(other).toEqual(whole);
  }
  prepared.close();
});

test('an expert with more rows than a batch holds gives the same sums as its chunks alone', async () => {
  const prepared = await prepare(forward);
  const of = async (cut: readonly number[]): Promise<string> => {
    const sums = new Uint8Array(sumsBytes(smallLayer.statistics));
    let first = 0;
    for (const chunks of cut) {
      const wave = { ...waveOf(chunks, POSITIONS_MAX, { first }), sums };
      await prepared.run(jobOf(prepared, wave));
      first += chunks;
    }
    return Buffer.from(sums).toString('hex');
  };
  expect(await of([40])).toBe(await of([20, 1, 19]));
  prepared.close();
});

test('sums are added to what is there; without them only the state changes', async () => {
  const prepared = await prepare(forward);
  const once = waveOf(1, 5);
  const twice = waveOf(1, 5);
  await prepared.run(jobOf(prepared, once));
  for (const wave of [waveOf(1, 5), waveOf(1, 5)]) {
    await prepared.run(jobOf(prepared, { ...wave, sums: twice.sums }));
  }
  const view = (wave: typeof once, at: number): bigint =>
    new DataView(wave.sums.buffer).getBigUint64(at, true);
  const last = once.sums.length - 8;
  expect(view(once, 0)).toBeGreaterThan(0n);
  expect(view(twice, last)).toBe(2n * view(once, last));
  const { sums: _, ...silent } = waveOf(1, 5);
  expect(await prepared.run(jobOf(prepared, silent))).toEqual({ bad: [] });
  expect(bitsOf({ ...silent, sums: once.sums })).toEqual(bitsOf(once));
  prepared.close();
});

// Goal: a broken chunk is found and the others are not touched. Method: the third and the last of
// five get a number that is not finite, or one whose square is too large.
test('bad chunks are told by their index', async () => {
  const prepared = await prepare(forward);
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY, 3e38]) {
    const spoil = (hidden: Float32Array): void => {
      hidden[2 * 8 * 37 + 11] = number;
      hidden[hidden.length - 1] = number;
    };
    const wave = waveOf(5, 8, { spoil });
    const slow = waveOf(5, 8, { spoil });
    const { bad } = await prepared.run(jobOf(prepared, wave));
    expect(bad).toEqual(runSlowly(model, slow));
    if (!Number.isFinite(number)) expect(bad).toEqual([2, 4]);
    const sound = waveOf(5, 8);
    await prepared.run(jobOf(prepared, sound));
    const size = 8 * 37;
    for (const chunk of [0, 1, 3]) {
      const range = [chunk * size, (chunk + 1) * size] as const;
      const of = (some: SlowWave): Float32Array | undefined =>
        some.state.get('hidden')?.subarray(...range);
      expect(of(wave)).toEqual(of(sound));
    }
  }
  prepared.close();
});

test('jobs queue, and layers may be closed while they run', async () => {
  const prepared = await prepare(forward);
  const other = await prepare(forward);
  const waves = [waveOf(3, 40), waveOf(3, 40), waveOf(3, 40)];
  const runs = waves.map((wave, index) => {
    const layer = index === 1 ? other : prepared;
    return layer.run(jobOf(layer, wave));
  });
  prepared.close();
  prepared.close();
  await Promise.all(runs);
  expect(bitsOf(waves[1] ?? waveOf(1, 1))).toEqual(bitsOf(waves[0] ?? waveOf(1, 1)));
  expect(bitsOf(waves[2] ?? waveOf(1, 1))).toEqual(bitsOf(waves[0] ?? waveOf(1, 1)));
  expect(() => prepared.scratchBytes(1, 1)).toThrow(TypeError);
  const wave = waveOf(1, 1);
  await expect(
    prepared.run({ ...wave, scratch: new Uint8Array(other.scratchBytes(1, 1)) }),
  ).rejects.toThrow(TypeError);
  other.close();
});

test('a signal ends what runs and what waits; closing ends the rest', async () => {
  const kernels = loadForward({ addonPath, threads: 2, isa: 'scalar', planRegisters });
  const prepared = await prepare(kernels);
  const controller = new AbortController();
  const begin = (signal?: AbortSignal): Promise<unknown> =>
    prepared.run(jobOf(prepared, waveOf(200, POSITIONS_MAX)), signal);
  const reason = new Error('enough');
  const runs = [begin(controller.signal), begin(controller.signal)];
  controller.abort(reason);
  const ends = await Promise.allSettled(runs);
  expect(ends).toEqual(ends.map(() => ({ status: 'rejected', reason })));
  await expect(begin(controller.signal)).rejects.toBe(reason);
  const last = Promise.allSettled([begin(), begin()]);
  kernels.close();
  for (const end of await last) {
    expect(end).toMatchObject({ reason: { message: 'the kernels are closed' } });
  }
  await expect(prepare(kernels)).rejects.toThrow('closed');
  expect(() => prepared.scratchBytes(1, 1)).toThrow(TypeError);
  kernels.close();
});

// Goal: no argument reaches a kernel unchecked. Method: one wrong field at a time in a good job.
test('a wave with a wrong argument is rejected with a TypeError', async () => {
  const prepared = await prepare(forward);
  const good = (): LayerJob => jobOf(prepared, waveOf(2, 3));
  expect(await prepared.run(good())).toEqual({ bad: [] });
  const state = (name: string, numbers: unknown): object => ({
    state: new Map<string, unknown>([...good().state, [name, numbers]]),
  });
  const hidden = new Float32Array(6 * 37);
  const overlapping = new Uint8Array(prepared.scratchBytes(2, 3) + 64);
  const wrong: object[] = [
    { chunks: 0 },
    { chunks: 1.5 },
    { chunks: -1 },
    { chunks: 2 ** 40, positions: 2 ** 40 },
    { chunks: '2' },
    { positions: 0 },
    { positions: 4 },
    { chunks: 1, positions: POSITIONS_MAX + 1 },
    { state: new Map() },
    state('hidden', new Float32Array(6 * 37 - 1)),
    state('hidden', new Float32Array(6 * 37 + 1)),
    state('hidden', new Float64Array(6 * 37)),
    state('hidden', [1, 2]),
    state('hidden', new Float32Array(new SharedArrayBuffer(6 * 37 * 4))),
    state('hidden', new Float32Array(overlapping.buffer, 0, 6 * 37)),
    { state: new Map([...good().state, ['hidden', hidden], ['keys', hidden.subarray(0, 72)]]) },
    { scratch: good().scratch.subarray(1) },
    { scratch: undefined },
    { scratch: new Uint8Array(0) },
    { sums: new Uint8Array(3) },
    { sums: null },
    { sums: overlapping.subarray(0, sumsBytes(smallLayer.statistics)) },
  ];
  for (const [index, part] of wrong.entries()) {
    const job = { ...good(), scratch: overlapping, ...part } as LayerJob;
    await expect(prepared.run(job), `${index}`).rejects.toThrow(TypeError);
  }
  for (const [chunks, positions] of [
    [0, 1],
    [1, 0],
    [1.5, 1],
    [2 ** 30, 2 ** 30],
    [1, 91],
  ]) {
    expect(() => prepared.scratchBytes(chunks ?? 0, positions ?? 0)).toThrow(TypeError);
  }
  prepared.close();
});

/** The operations of the small layer with one field changed, and which. */
function spoiledOperations(): [string, unknown[]][] {
  const others: Record<string, unknown[]> = {
    string: ['nothing', 'factor', 'targets', 7, null],
    number: [1e300, -1, Number.NaN, 'x', undefined],
    object: [undefined, [0, 0], [1, 9], [2]],
  };
  // What can be carried out, whatever it is good for.
  const fitting = [
    ...['multiply weight factor', 'multiply into targets', 'scale into targets'],
    ...['norm epsilon -1', 'scale factor -1', 'attention scale -1', 'loss softcap -1'],
  ];
  return smallLayer.operations.flatMap((operation, index) =>
    Object.entries(operation).flatMap(([field, value]) =>
      (others[typeof value] ?? [])
        .filter((other) => other !== value)
        .map((other): [string, unknown[]] => [
          `${operation.kind} ${field} ${other}`,
          [...smallLayer.operations].with(index, { ...operation, [field]: other } as never),
        ])
        .filter(([what]) => !fitting.includes(what)),
    ),
  );
}

// Goal: whatever a family writes, nothing outside of the registers is reached. Method: each
// operation of a good layer with each of its fields replaced by what does not fit.
test('a layer that does not fit together is rejected with a TypeError', async () => {
  const refuse = async (
    layer: object,
    placed: readonly PlacedWeight[] = model.placed,
    what = JSON.stringify(layer),
  ): Promise<void> => {
    const changed = { ...smallLayer, ...layer } as typeof smallLayer;
    const made = await forward.prepareLayer(changed, placed, model.tables).catch((e: unknown) => e);
    expect(made, what).toBeInstanceOf(TypeError);
  };
  for (const [what, operations] of spoiledOperations()) {
    await refuse({ operations }, model.placed, what);
  }
  await refuse({ statistics: smallLayer.statistics.map((s) => ({ ...s, columns: 2 ** 40 })) });
  await refuse({ inputs: [] });
  await refuse({ reads: [{ register: 'hidden', width: 38 }] });
  await refuse({ registers: new Map([...smallLayer.registers, ['normed', 38]]) });
  const [first, ...rest] = model.placed;
  const change = (part: object): PlacedWeight[] => [{ ...first, ...part } as PlacedWeight, ...rest];
  await refuse({}, rest);
  await refuse({}, change({ pieces: [] }));
  for (const part of [
    { offset: -1 },
    { offset: 2 ** 60 },
    { rows: 0 },
    { rows: 2 },
    { path: 'a\0b' },
  ]) {
    await refuse({}, change({ pieces: [{ ...first?.pieces[0], ...part }] }));
  }
  for (const part of [
    { type: 'F64' },
    { shape: [37, 2] },
    { shape: [] },
    { shape: [37, 1, 1, 1] },
  ]) {
    await refuse({}, change({ weight: { ...first?.weight, ...part } }));
  }
});

const faultOf = async (made: Promise<unknown>): Promise<unknown> => {
  const error: unknown = await made.catch((reason: unknown) => reason);
  return error instanceof FaultError ? { kind: error.kind, ...error.detail } : error;
};

test('weights that are not finite, missing or cut off are faults with their place', async () => {
  const spoiled = mkdtempSync(join(directory, 'spoiled-'));
  const copy = writeSmallLayer(spoiled);
  const at = copy.placed.findIndex(({ weight }) => weight.tensor === 'down_exps');
  const piece = copy.placed[at]?.pieces[1];
  const bytes = Buffer.alloc(1 << 20);
  const infinite = Buffer.from([0x80, 0x7f]);
  const tooLarge = Buffer.from([0x80, 0x6f]);
  const put = (element: number, number: Buffer): void => {
    const { writeSync, openSync, closeSync } = process.getBuiltinModule('node:fs');
    const file = openSync(piece?.path ?? '', 'r+');
    writeSync(file, number, 0, 2, (piece?.offset ?? 0) + 2 * element);
    closeSync(file);
  };
  put(500, tooLarge);
  put(700, infinite);
  // The first piece has a third of 185 rows, of 7 columns: 61. 37 of them are an expert.
  const row = 61 + Math.floor(500 / 7);
  expect(await faultOf(prepare(forward, copy))).toMatchObject({
    kind: kernelFaults.weightNotFinite,
    tensor: 'down_exps',
    row,
    why: `column ${500 % 7}, expert ${Math.floor(row / 37)}`,
  });
  writeFileSync(join(spoiled, 'first'), bytes.subarray(0, 100));
  expect(await faultOf(prepare(forward, copy))).toMatchObject({
    kind: kernelFaults.weightUnreadable,
    file: join(spoiled, 'first'),
  });
  rmSync(join(spoiled, 'first'));
  expect(await faultOf(prepare(forward, copy))).toMatchObject({
    kind: kernelFaults.weightUnreadable,
    why: expect.stringContaining('ENOENT'),
  });
});

test('a file that becomes shorter between two waves is a fault, not a crash', async () => {
  const shrinking = mkdtempSync(join(directory, 'shrinking-'));
  const prepared = await prepare(forward, writeSmallLayer(shrinking));
  await prepared.run(jobOf(prepared, waveOf(1, 2)));
  truncateSync(join(shrinking, 'second'), 1000);
  expect(await faultOf(prepared.run(jobOf(prepared, waveOf(1, 2))))).toMatchObject({
    kind: kernelFaults.weightUnreadable,
  });
  prepared.close();
});

test('rows of a table are looked up and scaled', async () => {
  const table = model.placed.find(({ weight }) => weight.tensor === 'output');
  if (table === undefined) throw new Error('no table');
  const numbers = model.numbers.get('output') ?? new Float32Array(0);
  const factor = Math.fround(Math.sqrt(37));
  const tokens = Int32Array.from({ length: 150 }, (_, i) => (i * 67) % 270);
  const into = new Float32Array(150 * 37);
  await forward.embed(table, tokens, factor, into);
  const wanted = Float32Array.from(into, (_, i) => {
    const row = tokens[Math.floor(i / 37)] ?? 0;
    return (numbers[row * 37 + (i % 37)] ?? 0) * factor;
  });
  expect(into).toEqual(wanted);
  await forward.embed(table, new Int32Array(0), 1, new Float32Array(0));
  const embed = (...job: unknown[]): Promise<void> =>
    (forward.embed as (...job: unknown[]) => Promise<void>)(...job);
  await expect(embed(table, Int32Array.of(270), 1, into.subarray(0, 37))).rejects.toThrow(
    TypeError,
  );
  await expect(embed(table, Int32Array.of(-1), 1, into.subarray(0, 37))).rejects.toThrow(TypeError);
  await expect(embed(table, tokens, 1, into.subarray(1))).rejects.toThrow(TypeError);
  await expect(embed(table, tokens, Number.NaN, into)).rejects.toThrow(TypeError);
  await expect(embed(table, [1], 1, into.subarray(0, 37))).rejects.toThrow(TypeError);
  const experts = model.placed.find(({ weight }) => weight.tensor === 'down_exps');
  await expect(embed(experts, Int32Array.of(0), 1, into.subarray(0, 7))).rejects.toThrow(TypeError);
});
