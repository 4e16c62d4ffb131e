import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { blockTypes } from '../../daemon/core/gguf/block-types.ts';
import type { Kernels } from '../../daemon/ports.ts';
import { Comparison, difference } from './compare-quantizers.ts';
import { whyNoGgml } from './ggml.ts';
import {
  bytesOfFloats,
  everyKindOfRow,
  kernelInfo,
  makeTargets,
  openKernels,
  SPAN_ELEMENTS,
  withImportance,
} from './quantizer-samples.ts';
import { type QuantizerType, quantizerTypes, typesFor } from './quantizer-types.ts';
import { bf16ToFloats, fillImportance, fillRows, Random, readTensors } from './sample-rows.ts';

const fixture = fileURLToPath(new URL('../../fixtures/tiny-gemma4', import.meta.url));
const info = kernelInfo();
const { isas } = info;
const opened: { close(): void }[] = [];
afterAll(() => {
  for (const one of opened) one.close();
});

function open(threads: number, isa?: string): Kernels {
  const kernels = openKernels(threads, isa);
  opened.push(kernels);
  return kernels;
}

const why = whyNoGgml();
if (why !== undefined) console.warn(`The comparison with llama.cpp is left out: ${why}.`);

// The codebook types, for which the oracle needs seconds to begin, have processes of their own:
// quantizers-iq1.test.ts and quantizers-iq2-iq3.test.ts.
describe.skipIf(why !== undefined)('against ggml_quantize_chunk', () => {
  function compareIn(sets: readonly string[]): Comparison {
    const comparison = new Comparison(sets, ({ codebook }) => !codebook);
    opened.push(comparison);
    return comparison;
  }

  // Goal: the bytes of every type are those of llama.cpp on the rows where a wrong rounding, tie
  // or order shows, at every row length from 1 to 32 blocks, with and without importance, and an
  // overflow is reported where its validation would find it. Method: all types of some rows in
  // one job of each instruction set, against the oracle.
  test('every kind of row, in every instruction set', { timeout: 600_000 }, async () => {
    const comparison = compareIn(isas);
    let seed = 0;
    for (const sample of everyKindOfRow(7)) {
      await comparison.add(sample);
      await comparison.add(withImportance(sample, ++seed));
    }
    comparison.expectWeights(1_000_000);
  });

  // Goal: importance may look at a whole row, however long. Method: rows longer than a span.
  test('rows longer than a span', async () => {
    const comparison = compareIn(isas);
    const [rows, columns] = [2, SPAN_ELEMENTS + 2816];
    const values = new Float32Array(rows * columns);
    fillRows('bell', 7, values);
    const source = bytesOfFloats(values);
    const sample = { label: 'long', source, element: 'F32', rows, columns, values } as const;
    await comparison.add(sample);
    await comparison.add(withImportance(sample, 1));
  });

  // Goal: the same on the weights of a model. Method: the first span of every bf16 tensor of the
  // fixture, from its own bytes; the long command takes all of them.
  test('tensors of a checkpoint', async () => {
    const comparison = compareIn([info.isa]);
    let seed = 0;
    let weights = 0;
    for (const { name, columns, bytes } of readTensors(fixture)) {
      if (columns % 32 !== 0) continue;
      const source = bytes.subarray(
        0,
        Math.max(1, Math.floor(SPAN_ELEMENTS / columns)) * columns * 2,
      );
      const rows = { source, element: 'BF16', rows: source.length / 2 / columns, columns } as const;
      const sample = { ...rows, label: name, values: bf16ToFloats(source) };
      await comparison.add(sample);
      await comparison.add(withImportance(sample, ++seed));
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
    const comparison = compareIn([info.isa]);
    for (let start = 0; start < finite.length; start += 256) {
      const bits = finite.slice(start, start + 256);
      const source = new Uint8Array(new Uint16Array(bits).buffer);
      const rows = { source, element: 'F16', rows: 1, columns: 256 } as const;
      const values = new Float32Array(bits.map(value));
      await comparison.add({ ...rows, label: `halves from ${start}`, values });
    }
  });
});

// Goal: what the recipe may plan is what the kernels make, and every type has its row in this
// comparison. Method: three tables of block types against what the addon lists.
test.each(isas)('every makeable block type has its kernels, %s', (isa) => {
  const { quantizers } = open(1, isa).info;
  for (const { id, name, makeable } of Object.values(blockTypes)) {
    const listed = quantizers.find(({ type }) => type === id);
    expect(listed !== undefined, name).toBe(makeable);
    if (listed === undefined) continue;
    const { importance } = find(name);
    expect(listed.plain, name).toBe(importance !== 'required');
    expect(listed.weighted, name).toBe(importance !== 'ignored');
  }
});

// Goal: rows are independent of the job, the thread and the instruction set they are made in.
// Method: one block of rows, longer than a span, as one job on one thread of the scalar kernels;
// then some types of it cut anywhere, on four threads, with each set.
test.each([false, true])('any cut on any number of threads, importance %s', async (weighted) => {
  const columns = 2816;
  const rowCount = 30;
  const values = new Float32Array(rowCount * columns);
  fillRows('bell', 1, values);
  const importance = new Float32Array(columns);
  fillImportance('unexcited', 1, importance);
  const whole = {
    ...{ source: bytesOfFloats(values), element: 'F32', rows: rowCount, columns },
    ...(weighted ? { importance } : {}),
  };
  const types = typesFor(info, columns, weighted);
  const expected = makeTargets(types, whole);
  expect((await open(1, 'scalar').quantize({ ...whole, targets: expected })).ok).toBe(true);

  const makers = [open(1), ...isas.map((isa) => open(4, isa))];
  const anyCuts = fc.uniqueArray(fc.integer({ min: 1, max: rowCount - 1 }), { maxLength: 8 });
  const anyTypes = fc.subarray(
    types.map((_, index) => index),
    { minLength: 1, maxLength: Math.min(6, types.length) },
  );
  await fc.assert(
    fc.asyncProperty(anyCuts, anyTypes, fc.constantFrom(...makers), async (cuts, some, kernels) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), rowCount];
      const made = makeTargets(
        some.flatMap((index) => types[index] ?? []),
        whole,
      );
      const jobs = edges.slice(1).map((end, index) => {
        const start = edges[index] ?? 0;
        const targets = made.map(({ type, into }) => {
          const rowBytes = into.length / rowCount;
          return { type, into: into.subarray(start * rowBytes, end * rowBytes) };
        });
        const source = whole.source.subarray(start * columns * 4, end * columns * 4);
        return kernels.quantize({ ...whole, source, rows: end - start, targets });
      });
      for (const result of await Promise.all(jobs)) expect(result.ok).toBe(true);
      for (const [index, { into }] of made.entries()) {
        const { into: wanted = new Uint8Array() } = expected[some[index] ?? 0] ?? {};
        expect(difference(into, wanted)).toBeUndefined();
      }
    }),
    { numRuns: 40 },
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
      const job = { source: bytesOfFloats(values), element: 'F32', rows, columns };
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
