/**
 * Goal: whatever a crash leaves of the beginning of an output, the same command can go on.
 * Method: the files that each step of the beginning leaves, made by hand.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openOutputDirectory } from './output-files.ts';

const scratch = mkdtempSync(join(tmpdir(), 'quantd-outputs-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const notAsked = (): never => {
  throw new Error('nothing is digested here');
};
const hasher = { sha256File: notAsked, sha256Pieces: notAsked };
const head = new TextEncoder().encode('the head of a journal');

test.each([
  ['the part alone', true, undefined],
  ['a journal that has not got its name, torn', true, head.subarray(0, 5)],
  ['a journal that has not got its name, whole', true, head],
  ['no part', false, head],
])('an output of which a crash left %s is new', async (_, hasPart, draft) => {
  const path = mkdtempSync(join(scratch, 'out-'));
  mkdirSync(join(path, '.quantd'));
  if (hasPart) writeFileSync(join(path, 'model.gguf.part'), 'old');
  if (draft !== undefined) writeFileSync(join(path, '.quantd', 'model.gguf.runs.new'), draft);
  const directory = await openOutputDirectory(path, hasher);
  const file = await directory.open('model.gguf', 100, { overwrite: false });
  expect(file.state).toBe('new');
  await file.restart(head);
  await file.close();
  const again = await directory.open('model.gguf', 100, { overwrite: false });
  expect(again.state).toBe('partial');
  expect(await again.readJournal()).toEqual(head);
  expect(readFileSync(join(path, 'model.gguf.part'))).toEqual(Buffer.alloc(100));
  expect(existsSync(join(path, '.quantd', 'model.gguf.runs.new'))).toBe(false);
  await again.close();
  await directory.close();
});
