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

test("a draft is nobody's until a journal takes it over, and then what it holds stays", async () => {
  const path = mkdtempSync(join(scratch, 'out-'));
  const part = join(path, 'model.gguf.part');
  const directory = await openOutputDirectory(path, hasher);
  const open = (overwrite = false) => directory.open('model.gguf', 100, { overwrite });
  const draft = await open();
  await draft.draft();
  await draft.write(40, Buffer.from('ahead'));
  await draft.sync();
  await draft.close();
  const file = await open();
  expect(file.state).toBe('new');
  await file.restart(head, true);
  await file.close();
  const expected = Buffer.alloc(100);
  expected.write('ahead', 40);
  expect(readFileSync(part)).toEqual(expected);
  const again = await open();
  expect(again.state).toBe('partial');
  // It belongs to a journal now.
  await again.discard();
  expect(existsSync(part)).toBe(true);
  await again.close();
  const other = await open(true);
  await other.draft();
  expect(readFileSync(part)).toEqual(Buffer.alloc(100));
  await other.discard();
  expect(existsSync(part)).toBe(false);
  await directory.close();
});
