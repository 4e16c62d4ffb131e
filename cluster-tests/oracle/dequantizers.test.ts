import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { afterAll, describe, expect, test } from 'vitest';
import { loadKernels } from '../../daemon/adapters/kernels.ts';
import { type BlockTypeName, blockTypes } from '../../daemon/core/gguf/block-types.ts';
import type { Kernels } from '../../daemon/ports.ts';
import { assert } from '../../proto/assert.ts';
import { whyNoGgml } from './ggml.ts';
import { printLeftOut } from './left-out-sets.ts';
import { Random } from './sample-rows.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const library = fileURLToPath(
  new URL(
    '../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
    import.meta.url,
  ),
);

// Where the halves of a block lie whose exponents must not say "infinite".
const types: readonly (readonly [BlockTypeName, readonly number[]])[] = [
  ['Q4_0', [0]],
  ['Q4_1', [0, 2]],
  ['Q5_0', [0]],
  ['Q5_1', [0, 2]],
  ['Q8_0', [0]],
  ['Q2_K', [80, 82]],
  ['Q3_K', [108]],
  ['Q4_K', [0, 2]],
  ['Q5_K', [0, 2]],
  ['Q6_K', [208]],
  ['IQ2_XXS', [0]],
  ['IQ2_XS', [0]],
  ['IQ3_XXS', [0]],
  ['IQ1_S', [0]],
  ['IQ4_NL', [0]],
  ['IQ3_S', [0]],
  ['IQ2_S', [0]],
  ['IQ4_XS', [0]],
  // The top nibbles of four words together are a half; the highest is that of the last word.
  ['IQ1_M', [54]],
  ['TQ1_0', [52]],
  ['TQ2_0', [64]],
  ['MXFP4', []],
  ['NVFP4', []],
  ['Q1_0', [0]],
  ['Q2_0', [0]],
];

const ROWS = 20;
const ROW_BLOCKS = 200;

/** Any bytes, but scales that are finite: where a half or an exponent would not be, it changes. */
function randomBlocks(type: BlockTypeName, halves: readonly number[]): Uint8Array {
  const { blockBytes } = blockTypes[type];
  const bytesWanted = ROWS * ROW_BLOCKS * blockBytes;
  const random = new Random(blockTypes[type].id);
  const words = Uint32Array.from({ length: Math.ceil(bytesWanted / 4) }, () => random.bits());
  const bytes = new Uint8Array(words.buffer, 0, bytesWanted);
  for (let start = 0; start < bytes.length; start += blockBytes) {
    for (const at of halves) bytes[start + at + 1] = (bytes[start + at + 1] ?? 0) & 0xbf;
    // The largest level, 12, times a larger power is infinite.
    if (type === 'MXFP4') bytes[start] = Math.min(252, bytes[start] ?? 0);
  }
  return bytes;
}

const why = whyNoGgml();
if (why !== undefined) console.warn(`The comparison with llama.cpp is left out: ${why}.`);

// Goal: a quantized source stands for the very floats that llama.cpp reads in it. Method: 4000
// blocks of random bytes of each type, through a job whose target is F32, against llama.cpp's
// function for the type, on every instruction set.
describe.skipIf(why !== undefined)('against dequantize_row', () => {
  // Once: the library does not survive being loaded a second time.
  const ggml = why === undefined ? koffi.load(library) : undefined;
  const { isas } = withKernels((kernels) => kernels.info);
  printLeftOut(isas);
  const opened = isas.map((isa) => loadKernels({ addonPath, threads: 1, isa }));
  afterAll(() => {
    for (const kernels of opened) kernels.close();
  });

  function withKernels<Result>(use: (kernels: Kernels) => Result): Result {
    const kernels = loadKernels({ addonPath, threads: 1 });
    try {
      return use(kernels);
    } finally {
      kernels.close();
    }
  }

  function oracle(type: BlockTypeName, blocks: Uint8Array, count: number): Float32Array {
    const name = type.toLowerCase().replace(/^(q\d)_k$/, '$1_K');
    const dequantize = ggml?.func(`dequantize_row_${name}`, 'void', ['void *', 'void *', 'int64']);
    assert(dequantize !== undefined, 'these tests run only where the library is');
    const into = new Float32Array(count);
    dequantize(blocks, into, count);
    return into;
  }

  test.each(types)('%s', async (type, halves) => {
    const source = randomBlocks(type, halves);
    const columns = ROW_BLOCKS * blockTypes[type].blockElements;
    const floats = oracle(type, source, ROWS * columns);
    const expected = Buffer.from(floats.buffer);
    // An oracle that wrote nothing would agree with kernels that write nothing.
    expect(floats.filter((value) => value !== 0).length).toBeGreaterThan(floats.length / 4);
    for (const kernels of opened) {
      const into = new Uint8Array(expected.length);
      const targets = [{ type: blockTypes.F32.id, into }];
      const job = { source, element: type, rows: ROWS, columns, targets };
      const result = await kernels.quantize(job);
      expect(result.ok, kernels.info.isa).toBe(true);
      expect(Buffer.compare(into, expected), kernels.info.isa).toBe(0);
    }
  });
});
