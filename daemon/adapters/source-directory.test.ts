/** Goal: what is read is what was listed, or a fault says what the disk did instead. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  link,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { codeOfEnd } from '../../cluster-tests/fault-code.ts';
import type { Source } from '../ports.ts';
import { DigestCache } from './digest-cache.ts';
import { OpenFiles } from './open-files.ts';
import { openSourceDirectory, openSourceFile } from './source-directory.ts';

let top = '';
let dir = '';
let hashed: string[] = [];
const sources: Source[] = [];

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'quantd-source-'));
  dir = join(top, 'source');
  await mkdir(dir);
  hashed = [];
});
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close()));
  await rm(top, { recursive: true });
});

async function hashFile(path: string): Promise<Uint8Array> {
  hashed.push(path);
  return createHash('sha256')
    .update(await readFile(path))
    .digest();
}

async function openDir(digestCache?: string): Promise<Source> {
  const cache = digestCache === undefined ? {} : { digestCache };
  const source = await openSourceDirectory(dir, { hashFile, ...cache });
  sources.push(source);
  return source;
}

test('any range of a file is read as it stands on the disk', async () => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, place) => (place * 7) % 251);
  await writeFile(join(dir, 'a'), bytes);
  const source = await openDir();
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 5100 }), fc.nat({ max: 5100 }), async (offset, length) => {
      const into = new Uint8Array(length);
      const code = await codeOfEnd(source.read('a', offset, into));
      if (offset + length > bytes.length) expect(code).toBe('QD-6207');
      else expect(into).toEqual(bytes.slice(offset, offset + length));
    }),
  );
});

// The Hugging Face cache: snapshots/<commit>/<file> is a link to ../../blobs/<digest>.
test('links to files are read, links to folders and hidden names are not listed', async () => {
  await mkdir(join(top, 'blobs'));
  await writeFile(join(top, 'blobs/0a'), 'blob');
  await symlink('../blobs/0a', join(dir, 'model.safetensors'));
  await symlink('../blobs', join(dir, 'blobs'));
  await symlink('.', join(dir, 'loop'));
  await mkdir(join(dir, '.cache/huggingface'), { recursive: true });
  await writeFile(join(dir, '.cache/huggingface/x'), '');
  await mkdir(join(dir, 'original'));
  await writeFile(join(dir, 'original/params.json'), '{}');
  await writeFile(join(dir, 'config.json'), '{}');

  const source = await openDir();
  expect(await source.list()).toEqual([
    { file: 'config.json', bytes: 2 },
    { file: 'model.safetensors', bytes: 4 },
    { file: 'original/params.json', bytes: 2 },
  ]);
  const into = new Uint8Array(4);
  await source.read('model.safetensors', 0, into);
  expect(Buffer.from(into).toString()).toBe('blob');
  await source.checkUnchanged();
});

test('only files that were listed are read', async () => {
  await writeFile(join(top, 'secret'), 'secret');
  await writeFile(join(dir, 'a'), 'a');
  const source = await openDir();
  await writeFile(join(dir, 'later'), 'later');
  for (const file of ['../secret', join(top, 'secret'), 'later', './a', '', '__proto__']) {
    expect(await codeOfEnd(source.read(file, 0, new Uint8Array(1)))).toBe('QD-6210');
    expect(await codeOfEnd(source.digest(file))).toBe('QD-6210');
  }
});

test.each<[string, string, (path: string) => Promise<unknown>]>([
  ['is missing', 'QD-6201', async () => undefined],
  ['is a file', 'QD-6202', (path) => writeFile(path, 'text')],
  ['is an empty file', 'QD-6202', (path) => writeFile(path, '')],
  ['is a pipe', 'QD-6202', async (path) => execFileSync('mkfifo', [path])],
  ['is a link to itself', 'QD-6201', (path) => symlink('given', path)],
  ['is below a file', 'QD-6201', (path) => writeFile(join(path, '..', 'x'), '')],
])('SOURCE %s: %s', async (_, code, make) => {
  const path = join(top, 'given');
  await make(path);
  expect(await codeOfEnd(openSourceDirectory(path, { hashFile }))).toBe(code);
});

test('a GGUF is opened by its own path, a pipe or a folder is not', async () => {
  await writeFile(join(top, 'a.gguf'), 'GGUF');
  const file = await openSourceFile(join(top, 'a.gguf'));
  const into = new Uint8Array(2);
  await file.read(2, into);
  expect([file.bytes, Buffer.from(into).toString()]).toEqual([4, 'UF']);
  expect(await codeOfEnd(file.read(3, into))).toBe('QD-6207');
  await file.close();
  execFileSync('mkfifo', [join(top, 'pipe')]);
  expect(await codeOfEnd(openSourceFile(join(top, 'pipe')))).toBe('QD-6211');
  expect(await codeOfEnd(openSourceFile(top))).toBe('QD-6211');
  expect(await codeOfEnd(openSourceFile(join(top, 'none')))).toBe('QD-6201');
});

const changes: [string, (path: string) => Promise<unknown>][] = [
  ['is written again', (path) => writeFile(path, 'b')],
  ['grows', (path) => writeFile(path, 'aa')],
  ['shrinks', (path) => truncate(path, 0)],
  ['is touched', (path) => utimes(path, 1, 1)],
  ['vanishes', (path) => rm(path)],
  ['becomes a folder', (path) => rm(path).then(() => mkdir(path))],
  ['becomes a pipe', (path) => rm(path).then(() => execFileSync('mkfifo', [path]))],
];
test.each(changes)('a file that %s is noticed', async (_, change) => {
  await writeFile(join(dir, 'a'), 'a');
  const source = await openDir();
  await source.checkUnchanged();
  await change(join(dir, 'a'));
  expect(await codeOfEnd(source.checkUnchanged())).toBe('QD-6208');
  expect(await codeOfEnd(source.digest('a'))).toBe('QD-6208');
  expect(await codeOfEnd(source.read('a', 0, new Uint8Array(1)))).toBe('QD-6208');
  expect(hashed).toEqual([]);
});

test('another file of the same size and mtime is noticed', async () => {
  const when = new Date(1_700_000_000_000);
  for (const file of [join(dir, 'a'), join(top, 'b')]) {
    await writeFile(file, 'x');
    await utimes(file, when, when);
  }
  const source = await openDir();
  await rename(join(top, 'b'), join(dir, 'a'));
  expect(await codeOfEnd(source.checkUnchanged())).toBe('QD-6208');
});

test('a file that is cut while it is open ends in a fault, not in zeros', async () => {
  await writeFile(join(dir, 'a'), 'abcd');
  const source = await openDir();
  await source.read('a', 0, new Uint8Array(4));
  await truncate(join(dir, 'a'), 2);
  expect(await codeOfEnd(source.read('a', 0, new Uint8Array(4)))).toBe('QD-6207');
});

test('an abort stops a read', async () => {
  await writeFile(join(dir, 'a'), 'a');
  const source = await openDir();
  const read = source.read('a', 0, new Uint8Array(1), AbortSignal.abort(new Error('stop')));
  await expect(read).rejects.toThrow('stop');
});

test('a digest is remembered while the file stands, across runs and through links', async () => {
  const cache = join(top, 'digests.json');
  await writeFile(join(dir, 'a'), 'a');
  await utimes(join(dir, 'a'), 1_000_000, 1_000_000);
  const digest = createHash('sha256').update('a').digest('hex');
  expect(await (await openDir(cache)).digest('a')).toBe(digest);
  expect(await (await openDir(cache)).digest('a')).toBe(digest);
  expect(hashed).toHaveLength(1);

  await utimes(join(dir, 'a'), 1_000_000, 1_000_001);
  expect(await (await openDir(cache)).digest('a')).toBe(digest);
  expect(hashed).toHaveLength(2);
});

test('a file of the last seconds is hashed each time: its mtime cannot tell two writes apart', async () => {
  const cache = join(top, 'digests.json');
  await writeFile(join(dir, 'a'), 'a');
  await (await openDir(cache)).digest('a');
  await (await openDir(cache)).digest('a');
  expect(hashed).toHaveLength(2);
});

const identity = { bytes: 1, mtimeNs: 2n, inode: 3n };
const zeros = '0'.repeat(64);

test.each([
  ['no JSON', 'x'],
  ['an object', '{}'],
  ['wrong digests', '[["1 2 3 /a","xyz"]]'],
  ['wrong entries', '[["1 2 3 /a"],7,null]'],
])('a cache that holds %s counts as empty and is replaced', async (_, text) => {
  const file = join(top, 'digests.json');
  await writeFile(file, text);
  const cache = new DigestCache(file);
  expect(await cache.find('/a', identity)).toBeUndefined();
  await cache.remember('/a', identity, zeros);
  expect(await new DigestCache(file).find('/a', identity)).toBe(zeros);
});

test('digests that are remembered at the same time are all kept', async () => {
  const file = join(top, 'digests.json');
  const cache = new DigestCache(file);
  const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
  await Promise.all(paths.map((path) => cache.remember(path, identity, zeros)));
  for (const path of paths) {
    expect(await new DigestCache(file).find(path, identity)).toBe(zeros);
  }
});

test('no more files stay open than allowed, and none is closed under a reader', async () => {
  const paths = Array.from({ length: 10 }, (_, index) => join(dir, `${index}`));
  await Promise.all(paths.map((path) => writeFile(path, path)));
  const files = new OpenFiles(3, async () => undefined);
  const readAll = () =>
    Promise.all(paths.map((path) => files.use(path, (handle) => handle.readFile('utf8'))));
  expect(await readAll()).toEqual(paths);
  expect(files.count).toBeLessThanOrEqual(3);
  await files.close();
  expect(files.count).toBe(0);
});

// Method: one reader waits between its two reads until all other files have been opened.
test('a file that waits for its reader is not closed to make room', async () => {
  const paths = ['0', '1', '2', '3'].map((name) => join(dir, name));
  await Promise.all(paths.map((path) => writeFile(path, 'abc')));
  const files = new OpenFiles(2, async () => undefined);
  const [slow = '', ...others] = paths;
  const size = await files.use(slow, async (handle) => {
    for (const path of others) await files.use(path, (other) => other.stat());
    return (await handle.stat()).size;
  });
  expect(size).toBe(3);
  await files.close();
});

test('a file that cannot be opened is tried again the next time', async () => {
  const files = new OpenFiles(3, async () => undefined);
  const size = (path: string) => files.use(path, async (handle) => (await handle.stat()).size);
  await expect(size(join(dir, 'a'))).rejects.toThrow('ENOENT');
  await writeFile(join(dir, 'a'), 'abc');
  expect(await size(join(dir, 'a'))).toBe(3);
  await files.close();
});

// A file of 3 GiB that takes no disk: offsets above 2^31 must reach the system call whole.
test('offsets above 2^31', async () => {
  const path = join(dir, 'sparse');
  const handle = await open(path, constants.O_CREAT | constants.O_WRONLY);
  await handle.write(Buffer.from('end'), 0, 3, 3 * 2 ** 30);
  await handle.close();
  await link(path, join(dir, 'twin'));
  const into = new Uint8Array(3);
  await (await openDir()).read('twin', 3 * 2 ** 30, into);
  expect(Buffer.from(into).toString()).toBe('end');
});
