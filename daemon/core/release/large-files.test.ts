/** Which files go outside of git, by their size and by the patterns of .gitattributes. */

import { expect, test } from 'vitest';
import { largeFiles } from './large-files.ts';

const MIB = 1024 * 1024;
const LFS = 'filter=lfs diff=lfs merge=lfs -text';

test.each([
  ['*.gguf', 'a.gguf', true],
  ['*.gguf', 'folder/a.gguf', true],
  ['*.gguf', 'a.gguf.txt', false],
  ['*.gguf', 'aXgguf', false],
  ['folder/*.bin', 'folder/a.bin', true],
  ['folder/*.bin', 'other/a.bin', false],
  ['folder/*.bin', 'folder/deep/a.bin', false],
  ['/*.bin', 'a.bin', true],
  ['/*.bin', 'folder/a.bin', false],
  ['saved/**/*', 'saved/a', true],
  ['saved/**/*', 'saved/deep/er/a', true],
  ['**/a.bin', 'deep/er/a.bin', true],
  ['saved/**', 'saved/deep/a', true],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a?c', 'c', false],
  ['???', 'abc', true],
  ['(a+', '(a+', true],
])('%s: %s is %j', (pattern, file, isLarge) => {
  expect(largeFiles(`${pattern} ${LFS}\n`)(file, 1)).toBe(isLarge);
});

test('what is too large for git, and lines that say something else', () => {
  const isLarge = largeFiles(`# *.txt ${LFS}\r\n*.md text\n\n`);
  expect(isLarge('a.txt', 10 * MIB)).toBe(false);
  expect(isLarge('a.md', 10 * MIB)).toBe(false);
  expect(isLarge('a.md', 10 * MIB + 1)).toBe(true);
});
