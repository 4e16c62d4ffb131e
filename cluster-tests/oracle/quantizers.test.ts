import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { loadKernels } from '../../daemon/adapters/kernels.ts';
import type { ElementType, Kernels } from '../../daemon/ports.ts';
import { openGgml, whyNoGgml } from './ggml.ts';
import {
  bytesOf,
  firstOverflow,
  type QuantizerType,
  quantizerTypes,
  typesFor,
} from './quantizer-types.ts';
import { bf16ToFloats, fillRows, Random, readTensors, rowKindNames } from './sample-rows.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const fixture = fileURLToPath(new URL('../../fixtures/tiny-gemma4', import.meta.url));

const { isas } = withKernels(1, undefined);
const opened: Kernels[] = [];
afterAll(() => {
  for (const kernels of opened) kernels.close();
});

function withKernels(threads: number, isa: string | undefined): Kernels['info'] {
  const kernels = loadKernels({ addonPath, threads, ...(isa === undefined ? {} : { isa }) });
  const { info } = kernels;
  kernels.close();
  return info;
}

function open(threads: number, isa?: string): Kernels {
  const kernels = loadKernels({ addonPath, threads, ...(isa === undefined ? {} : { isa }) });
  opened.push(kernels);
  return kernels;
}

const bytesOfFloats = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

interface Rows {
  readonly source: Uint8Array;
  readonly element: ElementType;
  readonly rows: number;
  readonly columns: number;
}

const makeTargets = (types: readonly QuantizerType[], { rows, columns }: Rows) =>
  types.map((type) => ({ type: type.id, into: new Uint8Array(bytesOf(type, rows * columns)) }));

/** Where two byte strings differ first, or undefined. Much cheaper than a matcher. */
function difference(a: Uint8Array, b: Uint8Array): string | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return `byte ${at}: ${a[at]} is not ${b[at]}`;
}

const why = whyNoGgml();
if (why !== undefined) console.warn(`The comparison with llama.cpp is left out: ${why}.`);

describe.skipIf(why !== undefined)('against ggml_quantize_chunk', () => {
  const oracle = why === undefined ? openGgml() : () => {};

  /** Runs one job of at most one span, in every type, and compares all of it. */
  async function compare(kernels: Kernels, rows: Rows, values: Float32Array, label: string) {
    const types = typesFor(rows.columns);
    const targets = makeTargets(types, rows);
    const result = await kernels.quantize({ ...rows, targets });
    const overflows: { element: number; target: number }[] = [];
    for (const [index, type] of types.entries()) {
      const made = targets[index]?.into ?? new Uint8Array();
      const expected = new Uint8Array(made.length);
      oracle(type.id, values, rows.rows, rows.columns, expected);
      expect(difference(made, expected), `${label}, ${type.name}`).toBeUndefined();
      const element = firstOverflow(type, expected);
      if (element !== undefined) overflows.push({ element, target: index });
      if (result.ok) {
        const digest = createHash('sha256').update(expected).digest();
        expect(Buffer.compare(result.digests[index] ?? digest.subarray(1), digest)).toBe(0);
      }
    }
    const [first] = overflows.sort((a, b) => a.element - b.element || a.target - b.target);
    if (first === undefined) {
      expect(result.ok, label).toBe(true);
      return;
    }
    expect(result, label).toEqual({
      ok: false,
      reason: 'scale-overflow',
      row: Math.floor(first.element / rows.columns),
      column: first.element % rows.columns,
      target: first.target,
    });
  }

  // Goal: the bytes of every type are those of llama.cpp on the rows where a wrong rounding, tie
  // or order shows, at every row length from 1 to 32 blocks, and an overflow is reported where
  // its validation would find it. Method: all types of one row in one job, against the oracle.
  test.each(isas)('every kind of row, %s', async (isa) => {
    const kernels = open(2, isa);
    const weights = new Map<string, number>(quantizerTypes.map(({ name }) => [name, 0]));
    const count = async (rows: Rows, values: Float32Array, label: string) => {
      await compare(kernels, rows, values, label);
      for (const { name } of typesFor(rows.columns)) {
        weights.set(name, (weights.get(name) ?? 0) + values.length);
      }
    };
    for (const [index, kind] of rowKindNames.entries()) {
      for (let blocks = 1 + (index % 4); blocks <= 32; blocks += 4) {
        const label = `${kind}, ${blocks} blocks`;
        const long = new Float32Array(blocks * 256);
        fillRows(kind, blocks, long);
        const source = bytesOfFloats(long);
        await count({ source, element: 'F32', rows: 1, columns: long.length }, long, label);
        const short = new Float32Array(3 * blocks * 32);
        fillRows(kind, blocks + 100, short);
        const rows = { element: 'F32', rows: 3, columns: blocks * 32 } as const;
        await count({ ...rows, source: bytesOfFloats(short) }, short, `${label} of 32`);
      }
    }
    expect(Math.min(...weights.values())).toBeGreaterThan(1_000_000);
  });

  // Goal: the same on the weights of a model. Method: the first span of every bf16 tensor of the
  // fixture, from its own bytes; the long command takes all of them.
  test('tensors of a checkpoint', async () => {
    const kernels = open(2);
    let weights = 0;
    for (const { name, columns, bytes } of readTensors(fixture)) {
      if (columns % 32 !== 0) continue;
      const source = bytes.subarray(0, Math.max(1, Math.floor(32768 / columns)) * columns * 2);
      const rows = { source, element: 'BF16', rows: source.length / 2 / columns, columns } as const;
      await compare(kernels, rows, bf16ToFloats(source), name);
      weights += source.length / 2;
    }
    expect(weights).toBeGreaterThan(1_000_000);
  });

  // Goal: half-precision sources are read exactly. Method: all 63488 finite halves as one column
  // of values that a twin decodes.
  test('every finite half as source', async () => {
    const finite = Array.from({ length: 0x10000 }, (_, bits) => bits).filter(
      (bits) => (bits & 0x7c00) !== 0x7c00,
    );
    const value = (bits: number) => {
      const exponent = (bits >> 10) & 31;
      const mantissa = bits & 1023;
      const magnitude =
        exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
      return bits & 0x8000 ? -magnitude : magnitude;
    };
    const kernels = open(1);
    for (let start = 0; start < finite.length; start += 256) {
      const bits = finite.slice(start, start + 256);
      const source = new Uint8Array(new Uint16Array(bits).buffer);
      const rows = { source, element: 'F16', rows: 1, columns: 256 } as const;
      await compare(kernels, rows, new Float32Array(bits.map(value)), `halves from ${start}`);
    }
  });
});

// Goal: rows are independent of the job, the thread and the instruction set they are made in.
// Method: one block of rows, longer than a span, as one job on one thread of the scalar kernels;
// then cut anywhere, on four threads, with each set.
test('any cut on any number of threads gives the same bytes', async () => {
  const columns = 2816;
  const rowCount = 30;
  const values = new Float32Array(rowCount * columns);
  fillRows('bell', 1, values);
  const source = bytesOfFloats(values);
  const whole: Rows = { source, element: 'F32', rows: rowCount, columns };
  const types = typesFor(columns);
  const expected = makeTargets(types, whole);
  expect((await open(1, 'scalar').quantize({ ...whole, targets: expected })).ok).toBe(true);

  const makers = [open(1), ...isas.map((isa) => open(4, isa))];
  const anyCuts = fc.uniqueArray(fc.integer({ min: 1, max: rowCount - 1 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(anyCuts, fc.constantFrom(...makers), async (cuts, kernels) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), rowCount];
      const made = makeTargets(types, whole);
      const jobs = edges.slice(1).map((end, index) => {
        const start = edges[index] ?? 0;
        const part = { element: 'F32', rows: end - start, columns } as const;
        const targets = made.map(({ type, into }) => {
          const rowBytes = into.length / rowCount;
          return { type, into: into.subarray(start * rowBytes, end * rowBytes) };
        });
        const bytes = source.subarray(start * columns * 4, end * columns * 4);
        return kernels.quantize({ ...part, source: bytes, targets });
      });
      for (const result of await Promise.all(jobs)) expect(result.ok).toBe(true);
      for (const [index, { into }] of made.entries()) {
        expect(difference(into, expected[index]?.into ?? into.subarray(1))).toBeUndefined();
      }
    }),
    { numRuns: 30 },
  );
});

const nonFinite = {
  F32: [0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001],
  BF16: [0x7f80, 0xff80, 0x7fc0, 0x7f81],
  F16: [0x7c00, 0xfc00, 0x7e00, 0x7c01],
};

// Goal: the first value that is no number is named, whatever else is wrong with the rows.
// Method: one or two such values anywhere among finite ones, and an overflow before them.
test('a source that is not finite is reported at its first row and column', async () => {
  const kernels = open(2);
  const [rows, columns] = [9, 8192];
  const spots = fc.array(fc.nat(rows * columns - 1), { minLength: 1, maxLength: 2 });
  const elements = fc.constantFrom('F32', 'F16', 'BF16');
  await fc.assert(
    fc.asyncProperty(elements, spots, fc.nat(3), async (element, at, which) => {
      const elementBytes = element === 'F32' ? 4 : 2;
      const source = new Uint8Array(rows * columns * elementBytes);
      const view = new DataView(source.buffer);
      for (const spot of at) {
        const bits = nonFinite[element][which] ?? 0;
        if (element === 'F32') view.setUint32(spot * 4, bits, true);
        else view.setUint16(spot * 2, bits, true);
      }
      const into = new Uint8Array(((rows * columns) / 32) * 18);
      const result = await kernels.quantize({
        ...{ source, element, rows, columns },
        targets: [{ type: 2, into }],
      });
      const first = Math.min(...at);
      expect(result).toEqual({
        ok: false,
        reason: 'source-not-finite',
        row: Math.floor(first / columns),
        column: first % columns,
      });
    }),
  );
});

// Goal: the first value that a type cannot hold is named with its type. Method: one value beyond
// a half among small ones, in a job of several spans; a twin says where its block begins.
test('an overflow is reported at its row, the start of its block and its target', async () => {
  const kernels = open(2);
  const [rows, columns] = [20, 4096];
  const types = ['BF16', 'Q8_0', 'Q6_K', 'F16'].map((name) => find(name));
  const spot = fc.nat(rows * columns - 1);
  await fc.assert(
    fc.asyncProperty(spot, fc.shuffledSubarray(types, { minLength: 1 }), async (at, wanted) => {
      const values = new Float32Array(rows * columns);
      const random = new Random(at);
      for (let i = 0; i < values.length; i++) values[i] = random.uniform();
      // Not so large that its cube, which Q6_K sums, is infinite too.
      values[at] = 1e9;
      const job: Rows = { source: bytesOfFloats(values), element: 'F32', rows, columns };
      const result = await kernels.quantize({ ...job, targets: makeTargets(wanted, job) });
      const starts = wanted.map(({ name, elements }) =>
        name === 'BF16' ? Number.POSITIVE_INFINITY : at - (at % elements),
      );
      const first = Math.min(...starts);
      if (first === Number.POSITIVE_INFINITY) {
        expect(result.ok).toBe(true);
        return;
      }
      expect(result).toEqual({
        ok: false,
        reason: 'scale-overflow',
        row: Math.floor(first / columns),
        column: first % columns,
        target: starts.indexOf(first),
      });
    }),
    { numRuns: 30 },
  );
});

function find(name: string): QuantizerType {
  const type = quantizerTypes.find((candidate) => candidate.name === name);
  if (type === undefined) throw new Error(`no type ${name}`);
  return type;
}
