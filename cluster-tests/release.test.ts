/** A release folder, seen with other programs' eyes: coreutils, a YAML parser, Node's own Ed25519. */

import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { type LockFile, lockFile, lockSignature } from '../proto/lockfile.ts';
import { makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

const fixture = fileURLToPath(new URL('../fixtures/tiny-gemma4', import.meta.url));
const texts = ['First text. ', 'A second one, about something else. '];
const options = ['--type', 'Q4_K_M,IQ3_XXS', '--ctx', '64', '--chunks', '6'];

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let source: string;
let folder: string;
let lock: LockFile;
beforeAll(async () => {
  scratch = await makeScratch('release');
  source = join(scratch.path, 'source');
  await cp(fixture, source, { recursive: true });
  const head = ['---', 'license: other', 'license_name: "Free: for all"', 'language: [en, no]'];
  await writeFile(
    join(source, 'README.md'),
    [...head, 'extra_gated_prompt: Agree?', '---', ''].join('\n'),
  );
  await writeFile(join(source, 'LICENSE'), 'Do as you like.\n');
  const files = await Promise.all(
    texts.map(async (text, index) => {
      const path = join(scratch.path, `text-${index}.txt`);
      await writeFile(path, text.repeat(300));
      return path;
    }),
  );
  const words = [...options, '--calibration', files.join(','), '--name', 'Tiny-1.0'];
  const run = await mustRunQuantd(['release', source, ...words, '--out', scratch.path, '--json']);
  const made = parseEvents(run).find(({ type }) => type === 'release');
  folder = String(made?.['path']);
  lock = lockFile.parse(JSON.parse(await readFile(join(folder, 'quantd.lock.json'), 'utf8')));
});
afterAll(() => scratch.remove());

test('sha256sum finds every file as it is listed', () => {
  const checked = execFileSync('sha256sum', ['-c', '--strict', 'SHA256SUMS'], { cwd: folder });
  const files = checked.toString().trim().split('\n').sort();
  expect(files).toEqual(
    [
      '.gitattributes',
      'LICENSE',
      'README.md',
      'Tiny-1.0-IQ3_XXS.gguf',
      'Tiny-1.0-Q4_K_M.gguf',
      'Tiny-1.0-imatrix.gguf',
      'calibration/MANIFEST.json',
      'calibration/text-0.txt',
      'calibration/text-1.txt',
    ].map((file) => `${file}: OK`),
  );
});

test('the head of the card is YAML without a warning, with what the source says', async () => {
  const card = await readFile(join(folder, 'README.md'), 'utf8');
  const [, head = ''] = /^---\n(.*?)\n---\n/s.exec(card) ?? [];
  const document = parseDocument(head, { strict: true, version: '1.1' });
  expect([...document.errors, ...document.warnings]).toEqual([]);
  expect(document.toJS()).toEqual({
    license: 'other',
    license_name: 'Free: for all',
    license_link: 'LICENSE',
    // In YAML 1.1, which some readers keep to, a plain no is a boolean.
    language: ['en', 'no'],
    library_name: 'gguf',
    tags: ['gguf', 'quantized', 'imatrix', 'llama.cpp', 'reproducible'],
    quantized_by: 'quantd',
    extra_gated_prompt: 'Agree?',
  });
});

test('the signature is of the machine that it names', async () => {
  const bytes = await readFile(join(folder, 'quantd.lock.json'));
  const text = await readFile(join(folder, 'quantd.lock.json.sig'), 'utf8');
  const { publicKey, signature } = lockSignature.parse(JSON.parse(text));
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey, 'base64').toString('base64url') },
    format: 'jwk',
  });
  expect(verify(null, bytes, key, Buffer.from(signature, 'base64'))).toBe(true);
});

test('every tensor has the digest of its bytes, where another reader finds it', async () => {
  for (const { file, tensors } of lock.lock.outputs) {
    const path = join(folder, file);
    const bytes = await readFile(path);
    const { tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
    expect(tensors.map(([name]) => name)).toEqual(tensorInfos.map(({ name }) => name));
    const starts = tensorInfos.map(({ offset }) => Number(tensorDataOffset) + Number(offset));
    for (const [index, [name, , sha256]] of tensors.entries()) {
      // Padding is shorter than an alignment, so what lies behind a tensor's bytes is found by trial.
      const end = starts[index + 1] ?? bytes.length;
      const lengths = Array.from({ length: 32 }, (_, padding) => end - padding);
      const digests = lengths.map((to) =>
        createHash('sha256').update(bytes.subarray(starts[index], to)).digest('hex'),
      );
      expect(digests, name).toContain(sha256);
    }
  }
});

test('a text whose name cannot stand in a folder is refused before anything is measured', async () => {
  const other = join(scratch.path, 'other');
  await mkdir(other);
  await writeFile(join(other, 'text-0.txt'), 'x');
  const twice = [join(scratch.path, 'text-0.txt'), join(other, 'text-0.txt')].join(',');
  const words = ['release', source, ...options, '--calibration', twice, '--out', other, '--json'];
  const { code, stdout } = await runQuantd(words);
  expect(code).toBe(2);
  expect(stdout).toContain('QD-6602');
  expect(stdout).not.toContain('"progress"');
});
