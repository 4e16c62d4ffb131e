/** A file is replaced as a whole or not at all, and nothing is left beside it. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from './whole-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-whole-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('what an earlier attempt left is neither kept nor gone on with', async () => {
  const path = join(directory, 'a');
  writeFileSync(path, 'old');
  writeFileSync(`${path}.part`, 'longer than the new', { mode: 0o644 });
  await replaceFile(path, 'new', { mode: 0o600 });
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['a']);
});

test('an attempt that fails leaves what was there', async () => {
  const path = join(directory, 'a');
  mkdirSync(path);
  writeFileSync(join(path, 'inside'), 'old');
  const partial = join(directory, 'beside');
  await expect(replaceFile(path, new Uint8Array(3), { partial })).rejects.toThrow(
    /EISDIR|ENOTEMPTY/,
  );
  expect(readdirSync(directory)).toEqual(['a']);
  expect(readFileSync(join(path, 'inside'), 'utf8')).toBe('old');
});
