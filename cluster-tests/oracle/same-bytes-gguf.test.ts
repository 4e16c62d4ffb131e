import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BlockTypeName, blockTypes } from '../../daemon/core/gguf/block-types.ts';
import { isReadable } from '../../daemon/core/models/gguf-source.ts';
import { type Ftype, ftypes } from '../../daemon/core/recipe/ftypes.ts';
import { requirementsOf } from '../../daemon/core/recipe/requirements.ts';
import { seededRandom } from '../checkpoints/random.ts';
import { drawEntry, imatrixGguf, meansOf } from '../importance/write-imatrix.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { compareGguf } from './compare-gguf.ts';
import { readGguf } from './gguf-file.ts';
import { openOracle, type QuantizeOptions, whyNoOracle } from './llama.ts';
import { type MadeModel, madeModels, writeMadeGguf, writeMadeParts } from './made-gguf.ts';

/** Those that need nothing but the kernels there are. */
const makeable = ftypes.filter((ftype) => {
  const { missingTypes, needsImportance } = requirementsOf(ftype);
  return missingTypes.length === 0 && !needsImportance;
});
const plain = ftypes.filter(({ type }) => !blockTypes[type].quantized);
const named = (...names: readonly string[]): Ftype[] =>
  ftypes.filter(({ name }) => names.includes(name));

interface Choice {
  readonly types: readonly Ftype[];
  readonly words?: readonly string[];
  readonly options?: QuantizeOptions;
}

// Goal: of any GGUF we make, to the last byte, what llama-quantize makes of it. Method: models of
// several architectures with invented keys and random weights, quantized by both.
describe.skipIf(whyNoOracle() !== undefined)('the bytes of llama.cpp, from a GGUF', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  const data = (): string => join(scratch.path, 'data');
  beforeAll(async () => {
    scratch = await makeScratch('same-bytes-gguf');
    daemon = await connectQuantd(data());
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });
  let places = 0;
  /** A new path, so that no run finds what another has left. */
  const place = (name: string): string => join(scratch.path, `${places++}-${name}`);

  /** Quantizes `input` to each type on both sides and returns where they differ. */
  async function compareTypes(input: string, choice: Choice): Promise<string[]> {
    const { types, words = [], options = {} } = choice;
    const out = place('out');
    const ask = [
      'quantize',
      input,
      '--type',
      types.map(({ name }) => name).join(','),
      '--out',
      out,
    ];
    await mustRunQuantd([...ask, '--name', 'ours', ...words], { data: data() });
    const differences: string[] = [];
    for (const { name, id } of types) {
      const theirs = place('theirs');
      await oracle.quantize({ input, output: theirs, ftype: id, ...options });
      const suffixes = options.keepSplit === true ? partSuffixes(input) : [''];
      for (const suffix of suffixes) {
        const found = compareGguf({
          ours: await readGguf(join(out, `ours-${name}${suffix || '.gguf'}`)),
          theirs: await readGguf(`${theirs}${suffix}`),
        });
        differences.push(...found.map((difference) => `${name}${suffix}: ${difference}`));
      }
    }
    return differences;
  }

  function modelNamed(name: string): MadeModel {
    const model = madeModels.find((candidate) => candidate.name === name);
    if (model === undefined) throw new Error(`no model ${name}`);
    return model;
  }

  test('there are ftypes to compare', () => {
    console.log(`${makeable.length} ftypes: ${makeable.map(({ name }) => name).join(' ')}`);
    expect(makeable.length).toBeGreaterThan(15);
  });

  test.each(madeModels.map((model) => [model.name, model] as const))('%s', async (name, model) => {
    for (const type of ['F16', 'BF16', 'F32'] as const) {
      const input = place(`${name}.gguf`);
      await writeMadeGguf(input, model, type);
      const types = type === 'F16' ? fitting(model) : [...plain, ...named('Q4_K_M')];
      expect(await compareTypes(input, { types }), type).toEqual([]);
    }
  });

  /** Q1_0 refuses rows that are no whole blocks of it; every other type has a fallback. */
  const fitting = (model: MadeModel): Ftype[] =>
    makeable.filter(({ name }) => !(model.name === 'tied rows of 160' && name === 'Q1_0'));

  // What convert makes of a checkpoint has a tokenizer and everything else that a real file has.
  test.each(['tiny-gemma4', 'tiny-gemma4-e', 'tiny-gemma4-k'])('%s, converted', async (name) => {
    for (const dtype of ['BF16', 'F16', 'F32']) {
      const input = join(place('converted'), 'model.gguf');
      const ask = ['convert', `fixtures/${name}`, '--type', dtype, '--out', input];
      await mustRunQuantd(ask, { data: data() });
      // Rows of these models are no whole blocks of Q1_0, which alone has no fallback.
      const every = makeable.filter((ftype) => ftype.name !== 'Q1_0');
      // All of them on each model are a part of the soak, which sets the variable.
      const isWhole = name === 'tiny-gemma4' || process.env['QUANTD_SOAK'] !== undefined;
      const all = isWhole ? every : every.filter((_, index) => index % 4 === 1);
      const types = dtype === 'BF16' ? all : named('Q4_K_M', 'BF16');
      expect(await compareTypes(input, { types }), dtype).toEqual([]);
    }
  });

  test.each<readonly [string, Omit<Choice, 'types'>]>([
    ['--pure', { words: ['--pure'], options: { pure: true } }],
    [
      '--leave-output-tensor',
      { words: ['--leave-output-tensor'], options: { quantizeOutput: false } },
    ],
    [
      'types of single tensors',
      {
        words: [
          ...['--tensor-type', 'blk\\.[0-3]\\.attn_v=Q8_0', '--tensor-type', 'attn_v=Q5_1'],
          ...['--output-tensor-type', 'Q5_K', '--token-embedding-type', 'Q4_0'],
        ],
        options: {
          tensorTypes: [
            { pattern: 'blk\\.[0-3]\\.attn_v', type: 8 },
            { pattern: 'attn_v', type: 7 },
          ],
          outputType: 13,
          embeddingType: 2,
        },
      },
    ],
    [
      '--prune-layers',
      { words: ['--prune-layers', '2,5,6'], options: { prunedLayers: [2, 5, 6] } },
    ],
    [
      '--prune-layers with a type of a new number',
      {
        words: ['--prune-layers', '4', '--prune-layers', '0', '--tensor-type', 'blk\\.4\\.=Q8_0'],
        options: { prunedLayers: [0, 4], tensorTypes: [{ pattern: 'blk\\.4\\.', type: 8 }] },
      },
    ],
  ])('%s', async (_, choice) => {
    for (const name of ['llama', 'eight experts']) {
      const input = place(`${name}.gguf`);
      await writeMadeGguf(input, modelNamed(name), 'BF16');
      const types = named('Q4_K_M', 'Q3_K_L', 'Q2_K', 'Q5_0');
      expect(await compareTypes(input, { types, ...choice })).toEqual([]);
    }
  });

  const sizes: Readonly<Record<string, readonly number[]>> = {
    'in three parts': [4, 60, 40],
    'with a first part without tensors': [0, 104],
    'in one part': [104],
  };
  test.each(Object.entries(sizes))('split %s', async (_, parts) => {
    const model = modelNamed('llama');
    expect(model.tensors).toHaveLength(parts.reduce((sum, size) => sum + size, 0));
    const files = await writeMadeParts(place('split'), model, 'F16', parts);
    const types = named('Q4_K_M', 'F16');
    const [first = '', ...others] = files;
    expect(await compareTypes(first, { types })).toEqual([]);
    const keep: Choice = { types, words: ['--keep-split'], options: { keepSplit: true } };
    expect(await compareTypes(first, keep)).toEqual([]);
    const pruned: Choice = {
      types,
      words: ['--keep-split', '--prune-layers', '1,8'],
      options: { keepSplit: true, prunedLayers: [1, 8] },
    };
    expect(await compareTypes(first, pruned)).toEqual([]);
    // llama.cpp wants the first part; here any of them names the whole.
    for (const other of others) {
      const out = place('out');
      const ask = ['quantize', other, '--type', 'Q8_0', '--out', out, '--name', 'ours'];
      await mustRunQuantd(ask, { data: data() });
      const theirs = place('theirs');
      await oracle.quantize({ input: first, output: theirs, ftype: 'Q8_0' });
      expect(await readFile(join(out, 'ours-Q8_0.gguf'))).toEqual(await readFile(theirs));
    }
  });

  test('--keep-split of a whole GGUF', async () => {
    const input = place('whole.gguf');
    await writeMadeGguf(input, modelNamed('many experts'), 'F16');
    const choice: Choice = {
      types: named('Q4_K_M'),
      words: ['--keep-split'],
      options: { keepSplit: true },
    };
    expect(await compareTypes(input, choice)).toEqual([]);
  });

  test('a tensor that is what it should be is copied', async () => {
    for (const [made, wanted] of [
      ['Q4_K_M', 'Q4_K_M'],
      ['Q8_0', 'Q8_0'],
      ['Q5_0', 'Q5_0'],
    ] as const) {
      const source = place('plain.gguf');
      await writeMadeGguf(source, modelNamed('llama'), 'F16');
      const input = place('quantized.gguf');
      await oracle.quantize({ input: source, output: input, ftype: made });
      expect(await compareTypes(input, { types: named(wanted) }), made).toEqual([]);
    }
  });

  test('importance knows a pruned model by its old numbers', async () => {
    const model = modelNamed('eight experts');
    const input = place('plain.gguf');
    await writeMadeGguf(input, model, 'F16');
    const random = seededRandom(5);
    const entries = model.tensors
      .filter(({ name, shape }) => shape.length > 1 && name.startsWith('blk.'))
      .map((tensor) => drawEntry(tensor, random, 'positive'));
    const given = place('imatrix.gguf');
    await writeFile(given, imatrixGguf({ entries, datasets: [], chunks: 7 }));
    const choice: Choice = {
      types: named('Q4_K_M', 'Q5_0', 'Q2_K'),
      words: ['--prune-layers', '1,4', '--imatrix', given, '--compat', 'llama-quantize'],
      options: {
        prunedLayers: [1, 4],
        importance: entries.map(({ name, sums, counts }) => ({
          name,
          weights: meansOf(sums, counts),
        })),
        overrides: [
          { key: 'quantize.imatrix.file', type: 'str', value: given },
          { key: 'quantize.imatrix.entries_count', type: 'int', value: entries.length },
          { key: 'quantize.imatrix.chunks_count', type: 'int', value: 7 },
        ],
      },
    };
    expect(await compareTypes(input, choice)).toEqual([]);
  });

  // Goal: an alignment is kept to where llama.cpp states it and does not. Method: the same tensors
  // byte for byte, in a file that our strict reader takes.
  test.each([8, 64, 4096])('general.alignment %i', async (alignment) => {
    const { metadata, ...rest } = modelNamed('tied rows of 160');
    const key = 'general.alignment';
    const stated = { key, value: { type: 'u32' as const, value: alignment } };
    const input = place('aligned.gguf');
    await writeMadeGguf(input, { ...rest, metadata: [...metadata, stated] }, 'F16');
    const out = place('out');
    const ask = ['quantize', input, '--type', 'Q4_K_M', '--out', out, '--name', 'ours'];
    await mustRunQuantd(ask, { data: data() });
    const usual = place('usual.gguf');
    await writeMadeGguf(usual, { ...rest, metadata }, 'F16');
    const theirs = place('theirs');
    await oracle.quantize({ input: usual, output: theirs, ftype: 'Q4_K_M' });
    const ours = await readGguf(join(out, 'ours-Q4_K_M.gguf'));
    const tensorsOf = ({ tensors }: Awaited<ReturnType<typeof readGguf>>) =>
      tensors.map(({ name, type, bytes }) => ({ name, type, bytes }));
    expect(tensorsOf(ours)).toEqual(tensorsOf(await readGguf(theirs)));
    const kept = alignment < 32 ? [] : [alignment];
    expect(ours.metadata.filter((entry) => entry.key === key).map(({ value }) => value)).toEqual(
      kept,
    );
    await mustRunQuantd(['inspect', join(out, 'ours-Q4_K_M.gguf')], { data: data() });
  });

  const readable = (Object.keys(blockTypes) as BlockTypeName[]).filter(
    (name) => blockTypes[name].quantized && isReadable(name),
  );
  test.each(readable)('--allow-requantize, from %s', async (type) => {
    const input = place('quantized.gguf');
    await writeMadeGguf(input, modelNamed('many experts'), type);
    const choice: Choice = {
      types: named('Q4_K_M', 'F16', 'Q8_0'),
      words: ['--allow-requantize'],
      options: { allowRequantize: true },
    };
    expect(await compareTypes(input, choice)).toEqual([]);
  });

  function partSuffixes(input: string): string[] {
    const count = Number(/-of-(\d{5})\.gguf$/.exec(basename(input))?.[1] ?? 1);
    const five = (part: number): string => String(part).padStart(5, '0');
    return Array.from({ length: count }, (_, part) => `-${five(part + 1)}-of-${five(count)}.gguf`);
  }
});
