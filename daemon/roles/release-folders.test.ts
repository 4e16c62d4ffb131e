/**
 * Goal: outputs of others take no more of this machine's disk than it offers, and give it back.
 * Method: real folders and the real store of leaves, with files that somebody else writes.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openHeldOutputs } from '../adapters/held-outputs.ts';
import { DiskLeafStore } from '../adapters/leaf-store.ts';
import { ReleaseFolders } from './release-folders.ts';

const OFFERED = 1000;
const [RELEASE, OTHER, RUN] = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)];
const noHasher = {
  sha256File: () => Promise.reject(new Error('nothing is hashed here')),
  sha256Pieces: () => Promise.reject(new Error('nothing is hashed here')),
};

let directory: string;
let store: DiskLeafStore;
let folders: ReleaseFolders;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'quantd-folders-'));
  await begin();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** What a process does when it starts. */
async function begin(): Promise<void> {
  store = await DiskLeafStore.open(join(directory, 'leaves'), OFFERED);
  folders = new ReleaseFolders(openHeldOutputs(join(directory, 'outputs'), noHasher), store);
  await folders.begin();
}

const wanted = (
  file: string,
  bytes: number,
  release = RELEASE,
): { release: string; file: string; bytes: number; run: string } => {
  return { release, file, bytes, run: RUN };
};

/** An output of which nothing is written yet, as the disk has it. */
async function grow(file: string, bytes: number, release = RELEASE): Promise<string> {
  await folders.demandRoom(wanted(file, bytes, release));
  const folder = await folders.open(release);
  const path = `${folders.path(release, file)}.part`;
  await writeFile(path, '');
  await truncate(path, bytes);
  await folder.close();
  return path;
}

test('outputs and leaves share what is offered, also after a restart', async () => {
  await grow('one.gguf', 600);
  await expect(folders.demandRoom(wanted('two.gguf', 401))).rejects.toThrow('QD-6003');
  await store.put(RUN, RUN, new Uint8Array(400));
  await expect(store.put(RUN, OTHER, new Uint8Array(1))).rejects.toThrow('QD-8302');
  await begin();
  await expect(store.put(RUN, OTHER, new Uint8Array(1))).rejects.toThrow('QD-8302');
  // What it has already needs no more room; leaves of its own run are not dropped for another.
  await folders.demandRoom(wanted('one.gguf', 600));
  await expect(folders.demandRoom(wanted('two.gguf', 1))).rejects.toThrow('QD-6003');
});

test('leaves that another run left give way', async () => {
  await store.put(OTHER, OTHER, new Uint8Array(900));
  await grow('one.gguf', 600);
  expect(store.bytes).toBe(0);
});

test('a deleted output gives its room back, and its folder goes with the last', async () => {
  const one = await grow('one.gguf', 500);
  const two = await grow('two.gguf', 500);
  await folders.remove(RELEASE, 'one.gguf');
  expect([existsSync(one), existsSync(two)]).toEqual([false, true]);
  await grow('three.gguf', 500, OTHER);
  await folders.remove(RELEASE, 'two.gguf');
  expect(existsSync(join(directory, 'outputs', RELEASE))).toBe(false);
  expect(existsSync(join(directory, 'outputs', OTHER))).toBe(true);
  await store.put(RUN, RUN, new Uint8Array(500));
});

test('no name leads out of a release', async () => {
  for (const file of ['../x', 'a/b', '.quantd', '..', '']) {
    expect(() => folders.path(RELEASE, file)).toThrow('is no name of an output');
  }
  expect(() => folders.path('../x', 'one.gguf')).toThrow('is no name of a release');
});
