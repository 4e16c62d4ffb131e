import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { type CheckpointSpec, checkpointSpecs } from '../checkpoints/spec.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { compareGguf } from './compare-gguf.ts';
import { readGguf } from './gguf-file.ts';
import { type Ftype, ftypes, openOracle, type QuantizeOptions, whyNoOracle } from './llama.ts';

const { SEED = '1' } = process.env;
const specs = checkpointSpecs(Number(SEED));
const everyType = Object.keys(ftypes) as Ftype[];

// Goal: what we make straight from a checkpoint is, to the last byte, what llama.cpp makes in two
// steps. Method: convert to the checkpoint's own type, let llama.cpp quantize that to each type,
// and compare with one run of our own over all of them.
describe.skipIf(whyNoOracle() !== undefined)('the bytes of llama.cpp', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  const data = (): string => join(scratch.path, 'data');
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  beforeAll(async () => {
    scratch = await makeScratch('same-bytes');
    // One daemon for all of it: a start for each of the runs would take most of the time.
    daemon = await connectQuantd(data());
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });

  test.each(specs.map((spec) => [spec.name, spec] as const))('%s', async (_, spec) => {
    // Every type of every model is a part of the soak, which sets the variable.
    const isWhole = specs.indexOf(spec) < 3 || process.env['QUANTD_SOAK'] !== undefined;
    const types = isWhole ? everyType : everyType.filter((_type, index) => index % 3 === 1);
    const differences = await compareTypes(spec, types, { words: [], options: {} });
    expect(differences, `SEED=${SEED}`).toEqual([]);
  });

  // Type numbers are those of ggml: Q8_0 is 8, Q5_1 is 7, Q6_K is 14.
  test.each<readonly [string, Choice]>([
    ['--pure', { words: ['--pure'], options: { pure: true } }],
    [
      '--tensor-type, the first that matches',
      {
        words: ['--tensor-type', 'attn_q=Q6_K', '--tensor-type', 'attn_=Q8_0'],
        options: {
          tensorTypes: [
            { pattern: 'attn_q', type: 14 },
            { pattern: 'attn_', type: 8 },
          ],
        },
      },
    ],
    [
      '--tensor-type with --pure',
      {
        words: ['--pure', '--tensor-type', 'blk\\.(0|2)\\.ffn_.*=Q5_1'],
        options: { pure: true, tensorTypes: [{ pattern: 'blk\\.(0|2)\\.ffn_.*', type: 7 }] },
      },
    ],
  ])('%s', async (_, choice) => {
    for (const name of ['moe', 'dense-deep']) {
      const spec = specs.find((candidate) => candidate.name === name);
      if (spec === undefined) throw new Error(`no spec ${name}`);
      const differences = await compareTypes(spec, ['Q2_K', 'Q4_K_M', 'Q5_0'], choice);
      expect(differences, `SEED=${SEED}`).toEqual([]);
    }
  });

  interface Choice {
    readonly words: readonly string[];
    readonly options: QuantizeOptions;
  }

  async function compareTypes(
    spec: CheckpointSpec,
    types: readonly Ftype[],
    { words, options }: Choice,
  ): Promise<string[]> {
    const directory = join(scratch.path, `${spec.name}-${words.length}`);
    const checkpoint = join(directory, 'source');
    // Each run wants an output directory of its own.
    const converted = join(directory, 'converted', 'model.gguf');
    const outputs = join(directory, 'quantized');
    const named = ['--name', spec.name];
    await writeCheckpoint(checkpoint, spec);
    const ask = ['quantize', checkpoint, '--type', types.join(','), '--out', outputs];
    await Promise.all([
      mustRunQuantd(['convert', checkpoint, '--type', spec.dtype, '--out', converted, ...named], {
        data: data(),
      }),
      mustRunQuantd([...ask, ...named, ...words], { data: data() }),
    ]);
    const differences: string[] = [];
    for (const type of types) {
      const [ours, theirs] = [join(outputs, `${spec.name}-${type}.gguf`), `${converted}.${type}`];
      await oracle.quantize({ input: converted, output: theirs, ftype: type, ...options });
      const found = compareGguf({ ours: await readGguf(ours), theirs: await readGguf(theirs) });
      differences.push(...found.map((difference) => `${type}: ${difference}`));
    }
    return differences;
  }
});
