/** A release folder, seen with other programs' eyes: coreutils, a YAML parser, Node's own Ed25519. */

import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { attestationLine, type LockFile, lockFile, lockSignature } from '../proto/lockfile.ts';
import { digestsOf } from './cluster-run.ts';
import { makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

const fixture = fileURLToPath(new URL('../fixtures/tiny-gemma4', import.meta.url));
const texts = ['First text. ', 'A second one, about something else. '];
const options = ['--type', 'Q4_K_M,IQ3_XXS', '--ctx', '64', '--chunks', '6'];

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let source: string;
let folder: string;
let lock: LockFile;
let publicKey: KeyObject;
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
  const signature = await readFile(join(folder, 'quantd.lock.json.sig'), 'utf8');
  publicKey = keyOf(lockSignature.parse(JSON.parse(signature)).publicKey);
});
afterAll(() => scratch.remove());

function keyOf(base64: string): KeyObject {
  const x = Buffer.from(base64, 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

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
  const { signature } = lockSignature.parse(JSON.parse(text));
  expect(verify(null, bytes, publicKey, Buffer.from(signature, 'base64'))).toBe(true);
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

test('every unit is attested once, signed by its maker', async () => {
  const text = await readFile(join(folder, 'attestations.ndjson'), 'utf8');
  const lines = text
    .trim()
    .split('\n')
    .map((line) => attestationLine.parse(JSON.parse(line)));
  const { peer } = lockSignature.parse(
    JSON.parse(await readFile(join(folder, 'quantd.lock.json.sig'), 'utf8')),
  );
  const units = lines.flatMap((line) => line.units.map(([unit]) => unit));
  expect(new Set(units).size).toBe(units.length);
  expect(units.length).toBe(lock.run.peers.reduce((sum, { units: made }) => sum + made, 0));
  for (const line of lines) {
    expect(line.peer).toBe(peer);
    const told = line.units.map(([unit, digest]) => `${unit} ${digest}\n`).join('');
    const message = Buffer.from(`quantd attestation 1\n${told}`);
    expect(verify(null, message, publicKey, Buffer.from(line.signature, 'base64'))).toBe(true);
  }
});

test('parts of an output are those that quantd split cuts of the whole', async () => {
  const words = ['quantize', source, '--type', 'Q4_K_M', '--name', 'cut'];
  const whole = join(scratch.path, 'whole');
  const parts = join(scratch.path, 'parts');
  const again = join(scratch.path, 'again');
  await mustRunQuantd([...words, '--out', whole]);
  await mustRunQuantd([...words, '--split-max-size', '1M', '--out', parts]);
  await mkdir(again);
  const file = join(whole, 'cut-Q4_K_M.gguf');
  const prefix = join(again, 'cut-Q4_K_M');
  await mustRunQuantd(['split', file, '--split-max-size', '1M', '--out', prefix]);
  const digests = [...digestsOf(parts)];
  expect(digests.length).toBeGreaterThan(2);
  expect(digests).toEqual([...digestsOf(again)]);
});
