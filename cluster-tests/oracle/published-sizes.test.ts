/**
 * Goal: the published model is planned to the byte before there is any of it.
 * Method: a checkpoint of its shapes, all of it holes. What its outputs will take is compared with
 * sums over llama.cpp's type rules and row sizes; the headers are read by a reader that is not ours.
 */

import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import { blockTypes } from '../../daemon/core/gguf/block-types.ts';
import { describeModel } from '../../daemon/core/models/families.ts';
import type { Model } from '../../daemon/core/models/family.ts';
import { type OutputPlan, planOutputs } from '../../daemon/core/plan/outputs.ts';
import { parseFtype } from '../../daemon/core/recipe/ftypes.ts';
import { defaultOptions } from '../../daemon/core/recipe/type-rules.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { writePublishedCheckpoint } from '../checkpoints/generate.ts';
import { startHub } from '../hub/loopback-hub.ts';
import { generatedRepository } from '../hub/repository.ts';
import { makeScratch, parseEvents, runQuantd } from '../quantd.ts';
import { openRowBytes, whyNoGgml } from './ggml.ts';
import { ask } from './type-rules-ask.ts';
import { gemma4Shape, gemma4Tensors, tensor } from './type-rules-models.ts';

// What the page of the published model counts, without its vision tower.
const NAME = 'Gemma-4-26B-A4B';
const TENSORS = 657;
const PARAMETERS = 25_233_141_790;
const VOCABULARY = 262_144;
const LAYERS = 30;
const EXPERTS = 128;
// Of each form of block one that needs no importance matrix.
const TYPES = 'Q8_0 Q2_K Q4_K_M IQ4_XS'.split(' ');

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let headers: readonly HeaderEntry[];
let model: Model;
beforeAll(async () => {
  scratch = await makeScratch('published');
  const directory = join(scratch.path, 'checkpoint');
  await writePublishedCheckpoint(directory);
  headers = await readHeaders(directory);
  const source = await openSourceDirectory(directory, { hashFile: neverHashed });
  const { checkpoint } = await openCheckpoint(source, new AbortController().signal);
  model = describeModel(checkpoint, NAME);
  await source.close();
});
afterAll(() => scratch.remove());

interface HeaderEntry {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What stands in the files, read here once more. */
async function readHeaders(directory: string): Promise<HeaderEntry[]> {
  const entries: HeaderEntry[] = [];
  const files = (await readdir(directory)).filter((file) => file.endsWith('.safetensors'));
  for (const file of files) {
    const handle = await open(join(directory, file));
    const length = Buffer.alloc(8);
    await handle.read(length, 0, 8, 0);
    const text = Buffer.alloc(Number(length.readBigUInt64LE()));
    await handle.read(text, 0, text.length, 8);
    await handle.close();
    const { __metadata__, ...tensors } = JSON.parse(text.toString()) as Record<string, HeaderEntry>;
    entries.push(...Object.entries(tensors).map(([name, { shape }]) => ({ name, shape })));
  }
  return entries;
}

/** A plan needs no digest. */
const neverHashed = (): never => {
  throw new Error('the source is hashed');
};

const product = (numbers: readonly number[]): number => numbers.reduce((all, one) => all * one, 1);
const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const padded = (bytes: number): number => Math.ceil(bytes / 32) * 32;

function planOf(type: string): OutputPlan {
  const output = { name: type, ftype: parseFtype(type), options: defaultOptions };
  const [planned] = planOutputs(model, NAME, [output], {
    ...{ allowRequantize: false, keepSplit: false, overrides: [], importance: undefined },
    ...{ compat: 'none', dryRun: false },
  });
  if (planned === undefined) throw new Error('an output is planned');
  return planned;
}

test('the checkpoint has the tensors and the parameters of the published one', () => {
  expect(headers).toHaveLength(TENSORS);
  expect(sum(headers.map(({ shape }) => product(shape)))).toBe(PARAMETERS);
  // With the one that no checkpoint stores: what is turned in full layers, 256 numbers.
  expect(model.tensors).toHaveLength(TENSORS + 1);
  expect(sum(model.tensors.map(({ shape }) => product(shape)))).toBe(PARAMETERS + 256);
});

// Goal: whoever has nothing of the model yet knows what it will take. Method: a hub that makes every byte
// of a weight when it is asked for it; the sizes are those of the plans that are compared below.
test('a hub that stores nothing of it is planned from as well', async () => {
  const directory = join(scratch.path, 'checkpoint');
  const repository = generatedRepository(await generatedFiles(directory), {
    name: 'test-org/large',
  });
  const hub = await startHub(repository);
  try {
    const types = ['Q8_0', 'Q2_K', 'Q4_K_M'];
    const words = ['plan', 'test-org/large', '--type', types.join(','), '--name', NAME, '--json'];
    const run = await runQuantd([...words, '--hub-url', hub.url]);
    const [plan] = parseEvents(run).filter(({ type }) => type === 'plan');
    expect(plan).toMatchObject({
      tensors: TENSORS + 1,
      elements: PARAMETERS + 256,
      outputs: types.map((type) => ({ ftype: type, bytes: planOf(type).layout.fileBytes })),
    });
    const weights = repository.files.filter(({ path }) => path.endsWith('.safetensors'));
    expect(sum(weights.map(({ bytes }) => bytes))).toBeGreaterThan(2 * PARAMETERS);
    // Of the weights no more than headers, which a first leaf of each file holds.
    expect(sum(weights.map(({ path }) => hub.served.get(path) ?? 0))).toBeLessThanOrEqual(
      weights.length * 2 ** 20,
    );
  } finally {
    await hub.close();
  }
});

/** Small files as they are; of the large ones the header, and behind it numbers drawn from their place. */
async function generatedFiles(
  directory: string,
): Promise<Parameters<typeof generatedRepository>[0][number][]> {
  const names = await readdir(directory);
  return Promise.all(
    names.map(async (path) => {
      const location = join(directory, path);
      if (!path.endsWith('.safetensors')) {
        const content = await readFile(location);
        const sha256 = createHash('sha256').update(content).digest('hex');
        const read = (offset: number, bytes: number): Uint8Array =>
          content.subarray(offset, offset + bytes);
        return { path, bytes: content.length, sha256, read };
      }
      const { size } = await stat(location);
      const handle = await open(location);
      const length = Buffer.alloc(8);
      await handle.read(length, 0, 8, 0);
      const header = Buffer.alloc(8 + Number(length.readBigUInt64LE()));
      await handle.read(header, 0, header.length, 0);
      await handle.close();
      const byteAt = (at: number): number => (at < header.length ? header[at] : at * 167) ?? 0;
      const read = (offset: number, bytes: number): Uint8Array =>
        Uint8Array.from({ length: bytes }, (_, index) => byteAt(offset + index));
      return { path, bytes: size, read };
    }),
  );
}

describe.skipIf(whyNoGgml() !== undefined)('each output', () => {
  test('has as many bytes of data as llama.cpp gives it', () => {
    const rowBytes = openRowBytes();
    const matrices = gemma4Tensors(LAYERS, true)
      .map((one) => (one.name === 'token_embd.weight' ? tensor(one.name, 2816, VOCABULARY) : one))
      .filter(({ sourceType }) => sourceType === 'BF16');
    const plain = headers.filter(
      ({ name, shape }) => shape.length < 2 || name.endsWith('router.proj.weight'),
    );
    expect(matrices.length + plain.length).toBe(TENSORS);
    const plainBytes = sum(plain.map(({ shape }) => padded(4 * product(shape)))) + 4 * 256;
    const answers = ask(
      TYPES.map((type) => ({
        ...{ shape: gemma4Shape(LAYERS, EXPERTS), tensors: matrices, ftype: parseFtype(type) },
        ...{ options: defaultOptions, hasImportance: false },
      })),
    );
    TYPES.forEach((type, index) => {
      const sizes = matrices.map(({ shape: [columns = 0, ...rows] }, at) => {
        const { id } = blockTypes[answers[index]?.[at] ?? 'F32'];
        return padded(rowBytes(id, columns) * product(rows));
      });
      const { layout } = planOf(type);
      expect([type, layout.fileBytes - layout.header.length]).toEqual([
        type,
        sum(sizes) + plainBytes,
      ]);
    });
  });

  test('has a header that another reader finds the tensors with', async () => {
    const { layout, types } = planOf('Q4_K_M');
    const file = join(scratch.path, 'header.gguf');
    const handle = await open(file, 'w');
    await handle.write(layout.header);
    await handle.truncate(layout.fileBytes);
    await handle.close();
    const read = await gguf(file, { allowLocalFile: true });
    expect(read.tensorInfos).toHaveLength(TENSORS + 1);
    expect(Number(read.tensorDataOffset)).toBe(layout.header.length);
    const rowBytes = openRowBytes();
    let end = 0;
    for (const { name, dtype, shape, offset } of read.tensorInfos) {
      const [columns = 0, ...rows] = shape.map(Number);
      expect(Number(offset)).toBe(end);
      expect(dtype).toBe(blockTypes[types.get(name) ?? 'F64'].id);
      end = padded(end + rowBytes(dtype, columns) * product(rows));
    }
    expect(layout.header.length + end).toBe(layout.fileBytes);
    const tokens = Object.entries(read.metadata).find(
      ([key]) => key === 'tokenizer.ggml.tokens',
    )?.[1];
    expect(Array.isArray(tokens) && tokens.length).toBe(VOCABULARY);
  });
});
