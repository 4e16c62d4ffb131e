/**
 * Goal: whatever is wrong with a GGUF that is to be quantized, or with what is asked of it, a user
 * gets a code and no file has a final name. Method: every damage case, and sets of parts that do
 * not belong together, through one daemon, as commands do.
 */

import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Connection } from '../../cli/daemon.ts';
import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../../daemon/core/gguf/metadata.ts';
import type { QuantizeRequest } from '../../proto/requests.ts';
import { type MadeModel, madeModels, writeMadeGguf, writeMadeParts } from '../oracle/made-gguf.ts';
import { connectQuantd, makeScratch } from '../quantd.ts';
import { fileOf, smallGguf } from './any-gguf.ts';
import { copyFixture } from './case.ts';
import { ggufDamage } from './gguf-cases.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let daemon: Connection;
beforeAll(async () => {
  scratch = await makeScratch('gguf-sources');
  daemon = await connectQuantd(join(scratch.path, 'data'));
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});
const folder = (): string => join(scratch.path, 'source');
const at = (file: string): string => join(folder(), file);
const out = (): string => join(scratch.path, 'out');
beforeEach(async () => {
  await rm(folder(), { recursive: true, force: true });
  await rm(out(), { recursive: true, force: true });
  await mkdir(folder());
});

/** Quantizes and returns the code of the fault, or undefined where it was done. */
async function codeOf(
  source: string,
  more: Partial<QuantizeRequest> = {},
): Promise<string | undefined> {
  const request: QuantizeRequest = {
    kind: 'quantize',
    source,
    out: out(),
    types: ['Q4_K_M'],
    tensorTypes: [],
    overwrite: true,
    leaveOutputTensor: false,
    pure: false,
    allowRequantize: false,
    keepSplit: false,
    pruneLayers: [],
    includeWeights: [],
    excludeWeights: [],
    overrideKv: [],
    dryRun: false,
    ...more,
  };
  for await (const event of daemon.client.run(request)) {
    if (event.type === 'fault') return event.code;
    if (event.type === 'done') return undefined;
  }
  return 'no answer';
}

const finished = (): string[] =>
  existsSync(out()) ? readdirSync(out()).filter((file) => file.endsWith('.gguf')) : [];

async function expectRefusal(
  code: string,
  source: string,
  more: Partial<QuantizeRequest> = {},
): Promise<void> {
  expect(await codeOf(source, more)).toBe(code);
  expect(finished()).toEqual([]);
}

test.each(ggufDamage)('$name: $code', async ({ code, damage }) => {
  await writeFile(at('damaged.gguf'), damage(smallGguf()));
  await expectRefusal(code, at('damaged.gguf'));
});

test('a text is no GGUF', async () => {
  await writeFile(at('README.md'), '# A model\n');
  await expectRefusal('QD-3101', at('README.md'));
});

const model = madeModels.find(({ name }) => name === 'many experts') as MadeModel;
const half = Math.floor(model.tensors.length / 2);
const halves = [half, model.tensors.length - half];
const first = 'model-00001-of-00002.gguf';
const second = 'model-00002-of-00002.gguf';

test('the undamaged files are taken', async () => {
  await writeMadeParts(at('model'), model, 'F16', halves);
  expect(await codeOf(at(first))).toBeUndefined();
  expect(finished()).toEqual(['Made-many-experts-Q4_K_M.gguf']);
});

const badSets: Readonly<Record<string, () => Promise<unknown>>> = {
  'a part is missing': () => rm(at(second)),
  'the named part is called otherwise': () => rename(at(second), at('model-2.gguf')),
  'a part is there twice': () => copyFile(at(first), at(second)),
  'a whole GGUF is among the parts': () => writeMadeGguf(at(second), model, 'F16'),
  'a part is of a set of three': async () => {
    const thirds = [5, 5, model.tensors.length - 10];
    const [, other = ''] = await writeMadeParts(at('other'), model, 'F16', thirds);
    await rename(other, at(second));
  },
  'a part is of another model': async () => {
    const other = madeModels.find(({ name }) => name === 'eight experts') as MadeModel;
    const tensors = other.tensors.slice(0, model.tensors.length);
    const [, part = ''] = await writeMadeParts(at('other'), { ...other, tensors }, 'F16', halves);
    await rename(part, at(second));
  },
};
test.each(Object.entries(badSets))('%s', async (_, spoil) => {
  await writeMadeParts(at('model'), model, 'F16', halves);
  await spoil();
  await expectRefusal('QD-3120', at(first));
});

test('a part that is no GGUF is refused as such', async () => {
  await writeMadeParts(at('model'), model, 'F16', halves);
  await writeFile(at(second), 'GGML');
  await expectRefusal('QD-3101', at(first));
});

const u32 = (value: number): MetadataValue => ({ type: 'u32', value });
const architecture: KeyValue = {
  key: 'general.architecture',
  value: { type: 'string', value: 'llama' },
};
const file = (
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: Parameters<typeof layoutGguf>[0]['tensors'] = [],
): Uint8Array =>
  fileOf(
    layoutGguf({
      metadata: [architecture, ...Object.entries(metadata).map(([key, value]) => ({ key, value }))],
      tensors,
    }),
  );
const matrix = { name: 'blk.0.attn_q.weight', shape: [256, 2] };
const badModels: Readonly<Record<string, readonly [code: string, bytes: () => Uint8Array]>> = {
  'a count that is a text': [
    'QD-3302',
    () => file({ 'llama.block_count': { type: 'string', value: '8' } }),
  ],
  'a count below zero': [
    'QD-3302',
    () => file({ 'llama.expert_count': { type: 'i32', value: -1 } }),
  ],
  'a count of 2^63': [
    'QD-3302',
    () => file({ 'llama.block_count': { type: 'u64', value: 2n ** 63n } }),
  ],
  'no heads in an array of them': [
    'QD-3302',
    () => file({ 'llama.attention.head_count': { type: 'array', of: 'u32', value: [] } }),
  ],
  'a matrix that is quantized already': [
    'QD-3303',
    () => file({ 'llama.block_count': u32(1) }, [{ ...matrix, type: 'Q8_0' }]),
  ],
  'a matrix of integers': [
    'QD-3304',
    () => file({ 'llama.block_count': u32(1) }, [{ ...matrix, type: 'I32' }]),
  ],
  'an importance matrix': [
    'QD-3301',
    () =>
      fileOf(
        layoutGguf({
          metadata: [{ key: 'general.type', value: { type: 'string', value: 'imatrix' } }],
          tensors: [],
        }),
      ),
  ],
  // The bytes of a test file are 1 and so on: here every element is a NaN.
  'numbers that are none': [
    'QD-5201',
    () => {
      const bytes = file({ 'llama.block_count': u32(1) }, [{ ...matrix, type: 'F32' }]);
      return bytes.fill(0xff, bytes.length - 2 * 256 * 4);
    },
  ],
  'numbers that are none in a vector, which is only copied': [
    'QD-5201',
    () => {
      const norm = { name: 'output_norm.weight', shape: [256], type: 'F32' as const };
      const bytes = file({ 'llama.block_count': u32(1) }, [norm]);
      return bytes.fill(0xff, bytes.length - 256 * 4);
    },
  ],
  'a block that stays as it is, with an infinite scale': [
    'QD-5201',
    () => {
      const bytes = file({ 'llama.block_count': u32(1) }, [
        { name: 'kept_norm.weight', shape: [256, 4], type: 'Q8_0' },
      ]);
      bytes.set([0x00, 0x7c], bytes.length - 34);
      return bytes;
    },
  ],
};
test.each(Object.entries(badModels))('%s', async (_, [code, bytes]) => {
  await writeFile(at('model.gguf'), bytes());
  await expectRefusal(code, at('model.gguf'));
});

test('layers that are none, and an empty rest', async () => {
  await writeMadeGguf(at('model.gguf'), model, 'F16');
  await expectRefusal('QD-3305', at('model.gguf'), { pruneLayers: [1, 5] });
  await expectRefusal('QD-3305', at('model.gguf'), { pruneLayers: [0, 1, 2, 3, 4] });
});

test('a split that is none, and a conversion of a file', async () => {
  const checkpoint = copyFixture('tiny-gemma4-k');
  await expectRefusal('QD-1103', checkpoint, { keepSplit: true });
  await rm(checkpoint, { recursive: true });
  await writeMadeGguf(at('model.gguf'), model, 'F16');
  const convert = { kind: 'convert' as const, type: 'F16', out: join(out(), 'a.gguf') };
  const events = daemon.client.run({ ...convert, source: at('model.gguf'), overwrite: false });
  const codes: (string | undefined)[] = [];
  for await (const event of events) if (event.type === 'fault') codes.push(event.code);
  expect(codes).toEqual(['QD-3306']);
  expect(finished()).toEqual([]);
});
