/** What a SOURCE of the command line is taken for. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SourceOptions, sourceFields, sourceOf, withSourceOptions } from './source-options.ts';

const before = process.cwd();
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-source-'));
  process.chdir(directory);
});
afterEach(() => {
  process.chdir(before);
  rmSync(directory, { recursive: true });
});

test('a path that exists wins, the prefix forces a repository, the rest goes by its form', () => {
  mkdirSync('org/here', { recursive: true });
  expect(sourceOf('org/here')).toBe(join(process.cwd(), 'org/here'));
  expect(sourceOf('hf:org/here')).toBe('hf:org/here');
  expect(sourceOf('org/there@v1')).toBe('hf:org/there@v1');
  for (const path of ['there', './org/there', '/org/there', 'org/a/b', '../org/there']) {
    expect(sourceOf(path)).toMatch(/^\//);
  }
});

async function parsed(words: readonly string[]): Promise<SourceOptions> {
  const command = withSourceOptions(new Command())
    .exitOverride()
    .configureOutput({
      writeErr: () => undefined,
    });
  await command.parseAsync([...words], { from: 'user' });
  return command.opts();
}

test('the token comes from a file or the environment, and goes with a repository alone', async () => {
  writeFileSync('token', 'hf_file\n');
  const options = await parsed(['--hub-url', 'https://mirror', '--hub-token-file', 'token']);
  expect(sourceFields('org/name', options)).toEqual({
    source: 'hf:org/name',
    hub: { url: 'https://mirror', token: 'hf_file' },
    keepSource: undefined,
  });
  expect(sourceFields('.', options).hub).toBe(undefined);
  await expect(parsed(['--hub-token-file', 'none'])).rejects.toThrow(/cannot be read: ENOENT/);
  writeFileSync('large', 'x'.repeat(1000));
  await expect(parsed(['--hub-token-file', 'large'])).rejects.toThrow(/a token and nothing else/);
});
