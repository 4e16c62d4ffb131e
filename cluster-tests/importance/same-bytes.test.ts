import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { categoryOf } from '../../daemon/core/recipe/categories.ts';
import { type Ftype, ftypes } from '../../daemon/core/recipe/ftypes.ts';
import { requirementsOf } from '../../daemon/core/recipe/requirements.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { seededRandom } from '../checkpoints/random.ts';
import { type CheckpointSpec, checkpointSpecs } from '../checkpoints/spec.ts';
import { compareGguf } from '../oracle/compare-gguf.ts';
import { type GgufFile, readGguf } from '../oracle/gguf-file.ts';
import { type KeyOverride, openOracle, whyNoOracle } from '../oracle/llama.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import {
  datMeansOf,
  drawEntry,
  type Entry,
  type Imatrix,
  imatrixDat,
  imatrixGguf,
  type Kind,
  meansOf,
} from './write-imatrix.ts';

const { SEED = '1', QUANTD_SOAK } = process.env;
// Every ftype on every model is a part of the soak, which sets the variable.
const MORE = QUANTD_SOAK === undefined ? 'some' : 'all';
// llama.cpp takes its time over the codebook types.
const MODEL_MS_MAX = 400_000;
const fixtures = join(import.meta.dirname, '../../fixtures');
const specs = checkpointSpecs(Number(SEED));
// Q1_0 has no fallback for the short rows of these models, and looks at no weights.
const makeable = ftypes.filter(
  (ftype) => ftype.name !== 'Q1_0' && requirementsOf(ftype).missingTypes.length === 0,
);
const chosen: Readonly<Record<'all' | 'some', readonly Ftype[]>> = {
  all: makeable,
  some: makeable.filter((_, index) => index % 6 === Number(SEED) % 6),
};

interface Model {
  readonly name: string;
  readonly dtype: string;
  /** Writes the checkpoint into a directory, or names the one where it lies. */
  source(directory: string): Promise<string>;
}

interface Choice {
  readonly form: 'gguf' | 'dat';
  readonly kind: Kind;
  readonly types: 'all' | 'some';
}

// Goal: quantizing with importance, straight from a checkpoint, gives what llama-quantize gives in
// two steps, header and all. Method: draw an importance matrix over the model's tensors, hand our
// program the file and llama_model_quantize the weights and the four keys that the tool around it
// adds (docs/imatrix.md), and compare whole files, for every ftype that there are kernels for.
describe.skipIf(whyNoOracle() !== undefined)('the bytes of llama-quantize --imatrix', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  const data = (): string => join(scratch.path, 'data');
  beforeAll(async () => {
    scratch = await makeScratch('importance-bytes');
    daemon = await connectQuantd(data());
    console.log(`ftypes compared: ${makeable.map(({ name }) => name).join(' ')}`);
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });

  test('there are ftypes to compare', () => {
    expect(makeable.length).toBeGreaterThan(15);
  });

  test.each<readonly [string, Choice]>([
    ['tiny-gemma4', { form: 'gguf', kind: 'unreached', types: MORE }],
    ['tiny-gemma4-k', { form: 'dat', kind: 'positive', types: 'some' }],
  ])(
    'fixture %s, %o',
    async (name, choice) => {
      const source = async (): Promise<string> => join(fixtures, name);
      expect(await compare({ name, dtype: 'BF16', source }, choice), `SEED=${SEED}`).toEqual([]);
    },
    MODEL_MS_MAX,
  );

  test.each<readonly [string, Choice]>([
    ['moe', { form: 'gguf', kind: 'unreached', types: 'some' }],
    ['moe-wide', { form: 'gguf', kind: 'zeros', types: MORE }],
    ['moe-rough', { form: 'dat', kind: 'positive', types: 'some' }],
    ['moe-single-shards', { form: 'gguf', kind: 'unreached', types: 'some' }],
    ['moe-f16', { form: 'dat', kind: 'unreached', types: 'some' }],
    ['dense-f32-rough', { form: 'gguf', kind: 'zeros', types: 'some' }],
    ['dense-hidden-512', { form: 'gguf', kind: 'positive', types: MORE }],
    ['dense-deep', { form: 'gguf', kind: 'positive', types: 'some' }],
    ['per-layer', { form: 'gguf', kind: 'positive', types: 'some' }],
  ])(
    'generated %s, %o',
    async (name, choice) => {
      const spec = specs.find((candidate) => candidate.name === name);
      if (spec === undefined) throw new Error(`no spec ${name}`);
      expect(await compare(generated(spec), choice), `SEED=${SEED}`).toEqual([]);
    },
    MODEL_MS_MAX,
  );

  test('overrides of metadata, which come before the keys of the importance matrix', async () => {
    const [spec] = specs;
    if (spec === undefined) throw new Error('no specs');
    const overrides: readonly KeyOverride[] = [
      { key: 'general.license', type: 'str', value: 'apache-2.0 = free' },
      { key: 'general.name', type: 'str', value: 'Another ☃' },
      { key: 'some.count', type: 'int', value: -7 },
      { key: 'some.share', type: 'float', value: 0.1 },
      { key: 'some.claim', type: 'bool', value: true },
      { key: 'quantize.imatrix.file', type: 'str', value: 'is replaced' },
    ];
    const choice: Choice = { form: 'gguf', kind: 'positive', types: 'some' };
    expect(await compare(generated(spec), choice, overrides)).toEqual([]);
  });

  /** Quantizes both ways and returns the differences. */
  async function compare(
    model: Model,
    { form, kind, types }: Choice,
    overrides: readonly KeyOverride[] = [],
  ): Promise<string[]> {
    const directory = join(scratch.path, `${model.name}-${form}-${kind}-${overrides.length}`);
    await mkdir(directory, { recursive: true });
    const source = await model.source(join(directory, 'source'));
    const converted = join(directory, 'converted', 'model.gguf');
    const named = ['--name', model.name];
    await mustRunQuantd(['convert', source, '--type', model.dtype, '--out', converted, ...named], {
      data: data(),
    });
    const imatrix = drawImatrix(await readGguf(converted), kind);
    // A path with a folder: with --compat it stands in the file as it was given.
    const given = `./imatrix of ${kind}.${form}`;
    await writeFile(
      join(directory, given),
      form === 'gguf' ? imatrixGguf(imatrix) : imatrixDat(imatrix),
    );

    const outputs = join(directory, 'quantized');
    const ask = ['quantize', source, '--out', outputs, ...named, '--imatrix', given];
    const list = chosen[types].map(({ name }) => name).join(',');
    await mustRunQuantd(
      [...ask, '--type', list, '--compat', 'llama-quantize', ...words(overrides)],
      { data: data(), directory },
    );
    const differences: string[] = [];
    for (const { name, id } of chosen[types]) {
      const theirs = `${converted}.${name}`;
      await oracle.quantize({
        input: converted,
        output: theirs,
        ftype: id,
        importance: imatrix.entries.map((entry) => ({
          name: entry.name,
          weights: form === 'gguf' ? meansOf(entry.sums, entry.counts) : datMeansOf(entry),
        })),
        overrides: [...overrides, ...toolKeys(imatrix, given)],
      });
      const ours = await readGguf(join(outputs, `${model.name}-${name}.gguf`));
      const found = compareGguf({ ours, theirs: await readGguf(theirs) });
      differences.push(...found.map((difference) => `${name}: ${difference}`));
    }
    return differences;
  }
});

function generated(spec: CheckpointSpec): Model {
  const { name, dtype } = spec;
  const source = async (directory: string): Promise<string> => {
    await writeCheckpoint(directory, spec);
    return directory;
  };
  return { name, dtype, source };
}

/** Of every matrix but the embeddings, whose inputs are token numbers. */
function drawImatrix({ tensors }: GgufFile, kind: Kind): Imatrix {
  const random = seededRandom(Number(SEED) + tensors.length);
  const entries: Entry[] = tensors
    .filter(({ name, shape }) => shape.length > 1 && categoryOf(name) !== 'embedding')
    .map((tensor) => drawEntry(tensor, random, kind));
  return { entries, datasets: ['calibration.txt', 'second.txt'], chunks: 125 };
}

/** What the tool adds around `llama_model_quantize`, by way of overrides. */
function toolKeys({ entries, datasets, chunks }: Imatrix, given: string): KeyOverride[] {
  return [
    { key: 'quantize.imatrix.file', type: 'str', value: given },
    { key: 'quantize.imatrix.dataset', type: 'str', value: datasets[0] ?? '' },
    { key: 'quantize.imatrix.entries_count', type: 'int', value: entries.length },
    { key: 'quantize.imatrix.chunks_count', type: 'int', value: chunks },
  ];
}

function words(overrides: readonly KeyOverride[]): string[] {
  return overrides.flatMap(({ key, type, value }) => ['--override-kv', `${key}=${type}:${value}`]);
}
