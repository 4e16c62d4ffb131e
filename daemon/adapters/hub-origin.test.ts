/**
 * Goal: what another machine says of a repository makes this one ask the hub that its user has named
 * for files of the digest that was named, and nothing else of anybody.
 */

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LoopbackHub, startHub, TOKEN } from '../../cluster-tests/hub/loopback-hub.ts';
import { memoryRepository } from '../../cluster-tests/hub/repository.ts';
import { openHubOrigin } from './hub-origin.ts';

const content = 'tensors and more tensors';
const fileDigest = createHash('sha256').update(content).digest('hex');
const repository = memoryRepository(
  { 'a.safetensors': content, 'config.json': '{}' },
  { name: 'an-org/gated', access: 'gated' },
);
const { signal } = new AbortController();

let hub: LoopbackHub;
beforeAll(async () => {
  hub = await startHub(repository);
});
afterAll(() => hub.close());

const origin = (hubUrl: string): Parameters<typeof openHubOrigin>[0] => {
  return { hubUrl, repository: 'an-org/gated', commit: repository.commit };
};

test('ranges of the file that was named, with this machine’s token', async () => {
  const reader = await openHubOrigin(origin(hub.url), { url: `${hub.url}/`, token: TOKEN }, signal);
  const into = Buffer.alloc(7);
  await reader.read({ file: 'a.safetensors', fileDigest }, 12, into);
  expect(into.toString()).toBe(content.slice(12, 19));
});

test.each([
  ['another digest', { file: 'a.safetensors', fileDigest: '00'.repeat(32) }, 0, /QD-6804/],
  ['bytes beyond the end', { file: 'a.safetensors', fileDigest }, 20, /QD-6804/],
  ['a file that is not there', { file: '../a', fileDigest }, 0, /QD-2515/],
])('%s: nothing is fetched', async (_, file, offset, says) => {
  const reader = await openHubOrigin(origin(hub.url), { url: hub.url, token: TOKEN }, signal);
  const before = hub.asked.length;
  await expect(reader.read(file, offset, Buffer.alloc(7))).rejects.toThrow(says);
  expect(hub.asked.length).toBe(before);
});

test('a hub that this machine’s user has not named is not asked', async () => {
  const elsewhere = await startHub(repository);
  const opened = openHubOrigin(origin(elsewhere.url), { url: hub.url, token: TOKEN }, signal);
  await expect(opened).rejects.toThrow(/QD-6803/);
  await expect(openHubOrigin(origin(elsewhere.url), {}, signal)).rejects.toThrow(/QD-6803/);
  expect(elsewhere.asked).toEqual([]);
  await elsewhere.close();
});

test('without a token what is gated is said to be', async () => {
  const reader = await openHubOrigin(origin(hub.url), { url: hub.url }, signal);
  const read = reader.read({ file: 'a.safetensors', fileDigest }, 0, Buffer.alloc(1));
  await expect(read).rejects.toThrow(/QD-2504/);
});
