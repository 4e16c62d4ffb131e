import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DiskLeafStore } from './leaf-store.ts';

const run = 'a'.repeat(32);
const other = 'b'.repeat(32);
const key = (digit: string): string => digit.repeat(64);
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-leaves-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

test('what was put is read back, also by the next process', async () => {
  const store = await DiskLeafStore.open(directory, 1000);
  await store.put(run, key('1'), bytes(100, 7));
  const again = await DiskLeafStore.open(directory, 1000);
  const into = new Uint8Array(100);
  expect(await again.read(run, key('1'), into)).toBe(true);
  expect(into).toEqual(bytes(100, 7));
  expect(again.bytes).toBe(100);
});

test('what is absent, torn or of another length is not there', async () => {
  const store = await DiskLeafStore.open(directory, 1000);
  await store.put(run, key('1'), bytes(100, 7));
  truncateSync(join(directory, run, key('1')), 99);
  expect(await store.read(run, key('1'), new Uint8Array(100))).toBe(false);
  expect(await store.read(run, key('2'), new Uint8Array(100))).toBe(false);
  expect(await store.read(other, key('1'), new Uint8Array(100))).toBe(false);
});

test('a piece put twice counts once', async () => {
  const store = await DiskLeafStore.open(directory, 1000);
  await store.put(run, key('1'), bytes(100, 7));
  await store.put(run, key('1'), bytes(100, 8));
  expect(store.bytes).toBe(100);
  expect(readdirSync(join(directory, run))).toHaveLength(1);
});

test('a run has no more than was offered, and older runs make room for it', async () => {
  const store = await DiskLeafStore.open(directory, 250);
  await store.put(other, key('1'), bytes(100, 1));
  await store.put(run, key('1'), bytes(100, 1));
  await store.put(run, key('2'), bytes(100, 1));
  expect(readdirSync(directory)).toEqual([run]);
  const late = store.put(run, key('3'), bytes(100, 1));
  await expect(late).rejects.toMatchObject({ kind: { code: 'QD-8302' } });
  expect(store.bytes).toBe(200);
});

test('a dropped run and what is not of the store are gone', async () => {
  const store = await DiskLeafStore.open(directory, 1000);
  await store.put(run, key('1'), bytes(100, 7));
  await store.drop(run);
  expect(store.bytes).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
  writeFileSync(join(directory, 'stray'), 'x');
  await store.put(run, key('2'), bytes(10, 7));
  writeFileSync(join(directory, run, `${key('2')}.0.part`), 'half');
  const again = await DiskLeafStore.open(directory, 1000);
  expect(readdirSync(directory)).toEqual([run]);
  expect(again.bytes).toBe(statSync(join(directory, run, key('2'))).size);
});

test('a name that could leave the directory is refused', async () => {
  const store = await DiskLeafStore.open(directory, 1000);
  await expect(store.put('../escape', key('1'), bytes(1, 1))).rejects.toThrow('no name');
});
