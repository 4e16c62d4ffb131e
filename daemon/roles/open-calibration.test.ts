/**
 * Goal: a calibration is read as docs/calibration.md says. Method: files in a directory of the test,
 * the vocabulary of a fixture, and ids put together by hand from what the tokenizer gives.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FaultError } from '../../proto/fault.ts';
import { type CalibrationRequest, calibrationRequest } from '../../proto/requests.ts';
import { openChatTemplate } from '../adapters/chat-template.ts';
import { openSource, openSourceFile } from '../adapters/source-directory.ts';
import { openTextTokenizer } from '../adapters/text-tokenizer.ts';
import { CALIBRATION_BYTES_MAX } from '../core/calibration/text.ts';
import { vocabularyOf } from '../core/calibration/vocabulary.ts';
import { describeModel } from '../core/models/families.ts';
import type { Model } from '../core/models/family.ts';
import { type OpenedCalibration, openCalibration } from './open-calibration.ts';
import { openCheckpoint } from './open-checkpoint.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const ports = {
  openFile: openSourceFile,
  splitPath: (path: string) => ({ file: basename(path) }),
  kernels: { sha256: async (bytes: Uint8Array) => sha256(bytes) },
  sha256,
  openTokenizer: openTextTokenizer,
  openTemplate: openChatTemplate,
  defaultText: join(root, 'daemon/texts/calibration.txt'),
};

const directory = mkdtempSync(join(tmpdir(), 'quantd-calibration-'));
let model: Model;
beforeAll(async () => {
  const source = await openSource(join(root, 'fixtures/tiny-gemma4'), {
    hashFile: async () => sha256(new Uint8Array()),
  });
  model = describeModel((await openCheckpoint(source)).checkpoint, 'x');
  await source.close();
});
afterAll(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
function write(name: string, content: string | Uint8Array): string {
  writeFileSync(at(name), content);
  return name;
}

async function open(
  names: readonly string[],
  more: Partial<CalibrationRequest> = {},
  of: Model = model,
): Promise<OpenedCalibration> {
  const files = names.map((name) => ({ path: at(name), given: `given/${name}` }));
  return openCalibration(calibrationRequest.parse({ files, ctx: 16, ...more }), of, ports);
}

async function faultOf(work: Promise<unknown>): Promise<object> {
  try {
    await work;
  } catch (error) {
    if (error instanceof FaultError) return error.toMessage();
    throw error;
  }
  throw new Error('nothing was refused');
}

async function idsOf(text: string, parseSpecial = false): Promise<number[]> {
  return [...(await openTextTokenizer(vocabularyOf(model), { parseSpecial }).encode(text))];
}

const BOS = 2;
const whale = 'The whale, it seems, was not the only one; and the captain said so, twice.\n'.repeat(
  4,
);

test('a text is cut behind one bos, each chunk begun with it', async () => {
  const { calibration, files } = await open([write('whale.txt', whale)]);
  const ids = [BOS, ...(await idsOf(whale))];
  const wanted = Array.from({ length: Math.floor(ids.length / 16) }, (_, chunk) => [
    BOS,
    ...ids.slice(16 * chunk + 1, 16 * chunk + 16),
  ]);
  expect(calibration.chunks.map((chunk) => [...chunk])).toEqual(wanted);
  expect(calibration.bos).toBe(BOS);
  expect(files).toEqual([
    {
      name: 'whale.txt',
      sha256: createHash('sha256').update(whale).digest('hex'),
      bytes: whale.length,
      tokens: ids.length,
      chunks: wanted.length,
    },
  ]);
});

test('texts follow each other and never share a chunk', async () => {
  const [a, b] = [write('a.txt', whale), write('b.txt', `Other words. ${whale}`)];
  const [first, second, both] = [await open([a]), await open([b]), await open([a, b])];
  expect(both.calibration.chunks).toEqual([
    ...first.calibration.chunks,
    ...second.calibration.chunks,
  ]);
  expect(both.calibration.datasets).toEqual(['a.txt', 'b.txt']);
});

test('names of special tokens are text, unless told otherwise', async () => {
  const file = write('special.txt', `<|turn>${whale}`);
  const [plain, parsed] = [await open([file]), await open([file], { parseSpecial: true })];
  expect(parsed.calibration.chunks[0]?.[1]).toBe(5);
  expect(plain.files[0]?.tokens).toBeGreaterThan(parsed.files[0]?.tokens ?? 0);
});

test('a byte order mark changes nothing, CR LF does', async () => {
  const digest = async (text: string): Promise<Uint8Array> =>
    (await open([write('mark.txt', text)])).calibration.digest;
  expect(await digest(`\ufeff${whale}`)).toEqual(await digest(whale));
  expect(await digest(whale.replaceAll('\n', '\r\n'))).not.toEqual(await digest(whale));
});

test('samples are framed, each with the one bos that the template prints', async () => {
  const [one, two] = [`What of ${whale.trim()}`, 'And the ship?\nWhere is she now?'];
  const framed = (text: string): string => `<bos><|turn>user\n${text}<turn|>\n`;
  const wanted = [...(await idsOf(framed(one), true)), ...(await idsOf(framed(two), true))];
  expect(wanted.filter((id) => id === BOS)).toHaveLength(2);

  const turn = (content: string): string => JSON.stringify([{ role: 'user', content }]);
  const lines = await open([write('s.jsonl', `${turn(one)}\n${turn(two)}\n`)], { chat: true });
  const text = await open([write('s.txt', `\n${one}\n\n \n${two}\n`)], { chat: true });
  for (const { calibration, files } of [lines, text]) {
    expect(files[0]?.tokens).toBe(wanted.length);
    const [first = new Int32Array()] = calibration.chunks;
    expect([...first]).toEqual(wanted.slice(0, 16));
  }
  expect(text.calibration.digest).toEqual(lines.calibration.digest);
});

/** The fixture's model with another template, or none. */
function withTemplate(template: string | undefined): Model {
  const key = 'tokenizer.chat_template';
  const rest = model.vocabulary.filter((entry) => entry.key !== key);
  const own = { key, value: { type: 'string' as const, value: template ?? '' } };
  return { ...model, vocabulary: template === undefined ? rest : [...rest, own] };
}

test('where the template prints no bos, one is put in front of each sample', async () => {
  const bare = withTemplate('{% for m in messages %}{{ m.content }}{% endfor %}');
  const paragraph = whale.replaceAll('\n', ' ').trim();
  const file = write('two.txt', `${paragraph}\n\n${paragraph}`);
  const { files } = await open([file], { chat: true }, bare);
  expect(files[0]?.tokens).toBe(2 * (1 + (await idsOf(paragraph, true)).length));
});

test('a template that is missing or refuses is told, the latter with the place', async () => {
  const file = write('chat.txt', `x\n\n${whale}`);
  const none = await faultOf(open([file], { chat: true }, withTemplate(undefined)));
  expect(none).toMatchObject({ code: 'QD-8408' });
  const strict = withTemplate("{{ raise_exception('no users here') }}");
  expect(await faultOf(open([file], { chat: true }, strict))).toMatchObject({
    code: 'QD-8433',
    file: 'given/chat.txt',
    why: 'line 1: no users here',
  });
});

test('the default text has chunks enough, and a name that says where it is from', async () => {
  const { calibration, files } = await openCalibration(
    calibrationRequest.parse({ default: true }),
    model,
    ports,
  );
  expect(calibration.datasets).toEqual(['quantd-default.txt']);
  // Another text would be another matrix under the same name.
  expect(files[0]?.sha256).toBe('37b8a0f963e89b939b60bf9a6c8d2bc31947ff2ef6c232f904d8cd40ca2bc4a6');
  expect(calibration.chunks.length).toBeGreaterThan(100);
  expect(calibration.chunkTokens).toBe(512);
});

test.each<[string, (name: string) => void, object]>([
  ['missing', () => undefined, { code: 'QD-8401', exit: 4 }],
  ['directory', (name) => mkdirSync(at(name)), { code: 'QD-8401' }],
  ['pipe', (name) => execFileSync('mkfifo', [at(name)]), { code: 'QD-8401' }],
  ['empty', (name) => write(name, ''), { code: 'QD-8402' }],
  ['latin1', (name) => write(name, Buffer.from('caf\xe9', 'latin1')), { code: 'QD-8404', byte: 3 }],
  ['binary', (name) => write(name, 'a\0'), { code: 'QD-8405', byte: 1 }],
  ['short', (name) => write(name, 'The whale.'), { code: 'QD-8406', exit: 4 }],
])('a file that is wrong is refused by name: %s', async (name, make, fault) => {
  make(name);
  expect(await faultOf(open([name]))).toMatchObject({ ...fault, file: `given/${name}` });
});

test('a file of many gigabytes is refused before it is read', async () => {
  write('large', 'x');
  truncateSync(at('large'), 1000 * CALIBRATION_BYTES_MAX);
  const fault = await faultOf(open(['large']));
  expect(fault).toMatchObject({ code: 'QD-8403', file: 'given/large' });
});

test('a vocabulary of another kind is refused by name', async () => {
  const entry = model.vocabulary.find(({ key }) => key === 'tokenizer.ggml.model');
  const rest = model.vocabulary.filter((other) => other !== entry);
  const value = { type: 'string' as const, value: 'llama' };
  const other = { ...model, vocabulary: [...rest, { key: 'tokenizer.ggml.model', value }] };
  const fault = await faultOf(open([write('w.txt', whale)], {}, other));
  expect(fault).toMatchObject({ code: 'QD-8411', key: 'tokenizer.ggml.model' });
});
