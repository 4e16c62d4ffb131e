/** Goal: a release of a repository is verified and made again from the hub, and from a copy of it alike. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Connection } from '../cli/daemon.ts';
import type { RunEvent } from '../proto/api.ts';
import { lockFile } from '../proto/lockfile.ts';
import type { RunRequest } from '../proto/requests.ts';
import { type LoopbackHub, startHub, TOKEN } from './hub/loopback-hub.ts';
import { directoryRepository } from './hub/repository.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from './quantd.ts';

const COPY = fileURLToPath(new URL('../fixtures/tiny-gemma4-k', import.meta.url));

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let hub: LoopbackHub;
let commit: string;
let daemon: Connection;
let folder: string;
beforeAll(async () => {
  scratch = await makeScratch('verify-hub');
  const repository = await directoryRepository(COPY, { name: 'test-org/tiny-k', access: 'gated' });
  ({ commit } = repository);
  hub = await startHub(repository);
  const data = join(scratch.path, 'data');
  daemon = await connectQuantd(data);
  const words = ['release', 'test-org/tiny-k', '--type', 'Q4_0', '--out', scratch.path];
  await mustRunQuantd([...words, '--hub-url', hub.url], { data, environment: { HF_TOKEN: TOKEN } });
  folder = join(scratch.path, 'tiny-k-GGUF');
});
afterAll(async () => {
  await daemon.close();
  await hub.close();
  await scratch.remove();
});

async function lastOf(request: RunRequest): Promise<RunEvent | undefined> {
  let last: RunEvent | undefined;
  for await (const event of daemon.client.run(request)) last = event;
  return last;
}

const access = (): { url: string; token: string } => ({ url: hub.url, token: TOKEN });

test('the lockfile names repository and commit, and nothing in the folder the token', () => {
  const { lock } = lockFile.parse(
    JSON.parse(readFileSync(join(folder, 'quantd.lock.json'), 'utf8')),
  );
  expect(lock.source).toMatchObject({ repository: 'test-org/tiny-k', commit });
  const found = execFileSync('bash', ['-c', 'grep -rl "$1" "$2" || true', '', TOKEN, folder]);
  expect(found.toString()).toBe('');
});

test('blocks are made again from the hub, and what was fetched for it is not kept', async () => {
  const verify = { kind: 'verify', release: folder, spot: 8, seed: 3 } as const;
  const from = { source: 'hf:test-org/tiny-k', hub: access() };
  expect(await lastOf({ ...verify, ...from })).toMatchObject({ type: 'done' });
  expect(existsSync(join(scratch.path, 'data', 'hub', 'test-org--tiny-k', commit))).toBe(false);
});

test('it is made again from the commit that it names, or from a copy of its files', async () => {
  const kind = 'reproduce';
  const again = { kind, release: folder, calibration: [] as string[], keep: false } as const;
  expect(await lastOf({ ...again, hub: access() })).toMatchObject({ type: 'done' });
  expect(await lastOf({ ...again, source: COPY })).toMatchObject({ type: 'done' });
});
