import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeDat, encodeGguf } from '../../daemon/core/importance/encode-imatrix.ts';
import { writeFixed } from '../../daemon/core/importance/fixed-point.ts';
import { importanceKeys } from '../../daemon/core/importance/importance-keys.ts';
import type { ImportanceMatrix } from '../../daemon/core/importance/importance-matrix.ts';
import { measuredEntries } from '../../daemon/core/importance/measured.ts';
import { mergeMatrices } from '../../daemon/core/importance/merge-files.ts';
import { countsOffset, sumsBytes } from '../../daemon/core/importance/statistics.ts';
import type { Statistic } from '../../daemon/core/models/forward.ts';
import { categoryOf } from '../../daemon/core/recipe/categories.ts';
import { openImatrix, useMatrix } from '../../daemon/roles/open-imatrix.ts';
import { type OpenFile, readMatrix } from '../../daemon/roles/read-imatrix.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { type Random, seededRandom } from '../checkpoints/random.ts';
import { checkpointSpecs } from '../checkpoints/spec.ts';
import { compareGguf } from '../oracle/compare-gguf.ts';
import { readGguf } from '../oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { imatrixDat, imatrixGguf, meansOf } from './write-imatrix.ts';

const sha256 = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(createHash('sha256').update(bytes).digest());

/** A file that lies in memory. */
function openBytes(file: Uint8Array): OpenFile {
  return async () => ({
    bytes: file.length,
    read: async (offset: number, into: Uint8Array) =>
      into.set(file.subarray(offset, offset + into.length)),
    close: async () => {},
  });
}

function sumsOf(statistics: readonly Statistic[], random: Random): Uint8Array {
  const bytes = new Uint8Array(sumsBytes(statistics));
  const start = countsOffset(statistics);
  const sums = Float64Array.from(
    { length: start / 16 },
    () => 10 ** (random.below(12_001) / 1000 - 6),
  );
  writeFixed(statistics, sums, bytes);
  const view = new DataView(bytes.buffer);
  for (let at = start; at < bytes.length; at += 8) {
    // Above 2^24 a count is no longer exact in binary32.
    const count = random.below(5) === 0 ? 2 ** 24 + random.below(1000) : random.below(4000);
    view.setBigUint64(at, BigInt(count), true);
  }
  // What nobody counted was not summed.
  let sumAt = 0;
  let countAt = start;
  for (const { matrices, columns } of statistics) {
    for (let matrix = 0; matrix < matrices; matrix++) {
      if (view.getBigUint64(countAt, true) === 0n) bytes.fill(0, sumAt, sumAt + 16 * columns);
      sumAt += 16 * columns;
      countAt += 8;
    }
  }
  return bytes;
}

const layersOf = (layer: number): readonly Statistic[] => [
  { names: [`blk.${layer}.attn_q.weight`, `blk.${layer}.attn_k.weight`], matrices: 1, columns: 32 },
  { names: [`blk.${layer}.ffn_down_exps.weight`], matrices: 5, columns: 7 },
  { names: [`blk.${layer}.attn_output.weight`], matrices: 1, columns: 40 },
];

function drawMatrix(seed: number): ImportanceMatrix {
  const random = seededRandom(seed);
  // Ten and more layers: by name, layer 10 comes before layer 2.
  const layers = Array.from({ length: 12 }, (_, layer) => {
    const statistics = layersOf(layer);
    return { statistics, bytes: sumsOf(statistics, random) };
  });
  return {
    entries: measuredEntries(layers),
    datasets: ['some/folder/text.txt', 'second.txt'],
    chunkCount: 33,
    chunkSize: 512,
  };
}

/** The tensors of a model that differs from the matrix in all the ways there are. */
const tensors = [
  ...layersOf(0),
  ...layersOf(2),
  { names: ['blk.3.attn_q.weight'], matrices: 1, columns: 31 },
  { names: ['output.weight'], matrices: 1, columns: 32 },
]
  .flatMap(({ names, matrices, columns }) =>
    names.map((name) => ({ name, shape: matrices > 1 ? [columns, 9, matrices] : [columns, 9] })),
  )
  .concat([{ name: 'blk.1.attn_output.weight', shape: [40, 2] }])
  .map((tensor) =>
    tensor.name === 'blk.1.attn_output.weight'
      ? { ...tensor, originalName: 'blk.10.attn_output.weight' }
      : tensor,
  );

const anyFilters = fc.constantFrom(
  { include: [], exclude: [] },
  { include: ['attn'], exclude: [] },
  { include: [], exclude: ['exps', 'blk.0.'] },
);

// Goal: a measured matrix is used as its file would be. Method: write it, open the file as --imatrix
// does, and compare all that the plan and the headers are made from.
test('a measurement and its file are the same importance', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), anyFilters, async (seed, filters) => {
      const matrix = drawMatrix(seed);
      const kernels = { sha256: async (bytes: Uint8Array) => sha256(bytes) };
      const at = { file: 'imatrix.gguf', given: 'd/imatrix.gguf', filters };
      const ours = await useMatrix(matrix, at, tensors, { kernels });
      const theirs = await openImatrix(
        { path: 'd/imatrix.gguf', given: 'd/imatrix.gguf', filters },
        tensors,
        {
          openFile: openBytes(encodeGguf(matrix)),
          splitPath: (path) => ({ file: basename(path) }),
          kernels,
        },
      );
      expect(ours).toEqual(theirs);
      expect(importanceKeys(ours, 'none')).toEqual(importanceKeys(theirs, 'none'));
      expect(ours.dataset).toBe('text.txt');
      expect([...ours.tensors.keys()].length).toBeGreaterThan(2);
    }),
    { numRuns: 20 },
  );
});

describe('a file', () => {
  const matrix = drawMatrix(1);
  const bare = { ...matrix, datasets: ['text.txt', 'second.txt'] };
  const plain = {
    entries: matrix.entries.map(({ name, sums, counts }) => ({
      name,
      sums,
      counts: Float32Array.from(counts),
    })),
    datasets: bare.datasets,
    chunks: matrix.chunkCount,
  };
  const read = (file: Uint8Array): ReturnType<typeof readMatrix> =>
    readMatrix(openBytes(file), { path: 'x', file: 'x' });

  test('is written as the writer of the tests writes it, entries sorted', () => {
    expect(matrix.entries.map(({ name }) => name.slice(0, 7)).slice(0, 9)).toEqual(
      [
        'blk.0.a',
        'blk.0.a',
        'blk.0.a',
        'blk.0.f',
        'blk.1.a',
        'blk.1.a',
        'blk.1.a',
        'blk.1.f',
      ].concat('blk.10.'),
    );
    expect(Buffer.compare(encodeGguf(matrix), imatrixGguf(plain))).toBe(0);
    const entries = plain.entries.filter(({ counts }) => counts.some((count) => count > 0));
    expect(Buffer.compare(encodeDat(matrix), imatrixDat({ ...plain, entries }))).toBe(0);
  });

  test('that is read and written again is the same', async () => {
    const once = mergeMatrices([await read(encodeGguf(matrix))]);
    expect(Buffer.compare(encodeGguf(once), encodeGguf(bare))).toBe(0);
    const dat = mergeMatrices([await read(encodeDat(matrix))]);
    expect([dat.chunkCount, dat.chunkSize, dat.datasets]).toEqual([33, 512, ['text.txt']]);
    // Means are rounded when they are made and again when they are taken apart.
    const found = new Map(dat.entries.map((entry) => [entry.name, entry]));
    for (const { name, sums, counts } of matrix.entries) {
      const entry = found.get(name);
      if (counts.every((count) => count === 0)) expect(entry).toBeUndefined();
      else expectClose(weights(entry), meansOf(sums, Float32Array.from(counts)));
    }
  });

  // Goal: nothing in the file surprises a reader that is not ours. Method: Hugging Face's reader.
  test('is read by Hugging Face', async () => {
    const scratch = await makeScratch('imatrix-files');
    try {
      const path = join(scratch.path, 'imatrix.gguf');
      const file = encodeGguf(matrix);
      await writeFile(path, file);
      const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, {
        allowLocalFile: true,
      });
      expect(metadata).toMatchObject({
        'general.type': 'imatrix',
        'imatrix.datasets': ['text.txt', 'second.txt'],
        'imatrix.chunk_count': 33,
        'imatrix.chunk_size': 512,
      });
      expect(Object.keys(metadata).slice(-4)[0]).toBe('general.type');
      expect(tensorInfos).toHaveLength(2 * matrix.entries.length);
      for (const [index, { name, columns, matrices, sums }] of matrix.entries.entries()) {
        const [squares, counts] = tensorInfos.slice(2 * index, 2 * index + 2);
        expect(squares).toMatchObject({ name: `${name}.in_sum2`, n_dims: 2, dtype: 0 });
        expect(squares?.shape.map(Number)).toEqual([columns, matrices]);
        expect(counts?.shape.map(Number)).toEqual([1, matrices]);
        const start = Number(tensorDataOffset + (squares?.offset ?? 0n));
        expect(new Float32Array(file.slice(start, start + 4 * sums.length).buffer)).toEqual(sums);
      }
    } finally {
      await scratch.remove();
    }
  });
});

function weights(entry: ImportanceMatrix['entries'][number] | undefined): Float32Array {
  return meansOf(entry?.sums ?? new Float32Array(), Float32Array.from(entry?.counts ?? []));
}

function expectClose(found: Float32Array, wanted: Float32Array): void {
  expect(found.length).toBe(wanted.length);
  for (const [i, value] of wanted.entries()) {
    expect(Math.abs((found[i] ?? 0) - value)).toBeLessThanOrEqual(value * 2 ** -21);
  }
}

// Goal: llama.cpp quantizes with what we write. Method: our file through `--imatrix`, its sums by
// hand through llama_model_quantize; the tensors are the same bytes.
describe.skipIf(whyNoOracle() !== undefined)('llama.cpp and our file', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  beforeAll(async () => {
    scratch = await makeScratch('imatrix-oracle');
    daemon = await connectQuantd(join(scratch.path, 'data'));
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });

  test('make the same tensors', async () => {
    const directory = scratch.path;
    const data = join(directory, 'data');
    const spec = checkpointSpecs(1).find(({ name }) => name === 'moe');
    if (spec === undefined) throw new Error('there is a mixture of experts among the checkpoints');
    const source = join(directory, 'checkpoint');
    await mkdir(source);
    await writeCheckpoint(source, spec);
    const converted = join(directory, 'converted.gguf');
    const words = ['convert', source, '--type', spec.dtype, '--out', converted, '--name', 'm'];
    await mustRunQuantd(words, { data });
    const statistics = (await readGguf(converted)).tensors
      .filter(({ name, shape }) => shape.length > 1 && categoryOf(name) !== 'embedding')
      .map(({ name, shape: [columns = 1, , matrices = 1] }) => ({
        names: [name],
        columns,
        matrices,
      }));
    const bytes = sumsOf(statistics, seededRandom(3));
    const entries = measuredEntries([{ statistics, bytes }]);
    const file = join(directory, 'imatrix.gguf');
    await writeFile(
      file,
      encodeGguf({ entries, datasets: ['t.txt'], chunkCount: 9, chunkSize: 512 }),
    );
    const outputs = join(directory, 'outputs');
    const types = ['Q4_K_M', 'Q3_K_M'] as const;
    const ask = ['quantize', source, '--type', types.join(), '--out', outputs, '--name', 'm'];
    await mustRunQuantd([...ask, '--imatrix', file], { data });
    for (const ftype of types) {
      const output = join(directory, `${ftype}.gguf`);
      await oracle.quantize({
        input: converted,
        output,
        ftype,
        importance: entries.map((entry) => ({ name: entry.name, weights: weights(entry) })),
        overrides: [
          { key: 'quantize.imatrix.file', type: 'str', value: 'imatrix.gguf' },
          { key: 'quantize.imatrix.dataset', type: 'str', value: 't.txt' },
          { key: 'quantize.imatrix.entries_count', type: 'int', value: entries.length },
          { key: 'quantize.imatrix.chunks_count', type: 'int', value: 9 },
        ],
      });
      const ours = await readGguf(join(outputs, `m-${ftype}.gguf`));
      expect(compareGguf({ ours, theirs: await readGguf(output) }), ftype).toEqual([]);
    }
  });
});
