/**
 * Goal: a repository of a hub gives the files that its directory gives, fetched once, also after a
 * kill half-way; a release of it is published as it is.
 * Method: whole processes against the loopback hub, which counts what it serves.
 */

import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LockFile } from '../proto/lockfile.ts';
import { type LoopbackHub, startHub, TOKEN } from './hub/loopback-hub.ts';
import { directoryRepository } from './hub/repository.ts';
import { makeScratch, mustRunQuantd, parseEvents } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CHECKPOINT = join(root, 'fixtures/tiny-gemma4');
const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';
const MIB = 1 << 20;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let hub: LoopbackHub;
let commit: string;
const at = (name: string): string => join(scratch.path, name);

beforeAll(async () => {
  scratch = await makeScratch('hub-run');
  const repository = await directoryRepository(CHECKPOINT, {
    name: 'test-org/tiny',
    access: 'gated',
  });
  ({ commit } = repository);
  hub = await startHub(repository);
});
afterAll(async () => {
  await hub.close();
  await scratch.remove();
});

const words = (out: string): string[] => [
  ...['quantize', 'test-org/tiny', '--type', 'Q4_K_M,Q8_0', '--out', at(out)],
  ...['--hub-url', hub.url, '--json'],
];
const environment = { HF_TOKEN: TOKEN };

test('killed while it fetches, then finished: the files of the directory', async () => {
  const data = at('data');
  const killed = new AbortController();
  const stalled = new Promise<void>((resolve) => {
    const reached = (): Promise<void> => {
      resolve();
      return new Promise((go) => killed.signal.addEventListener('abort', () => go()));
    };
    // After its header, which is the first leaf.
    const trouble = { kind: 'stall', afterBytes: 2 * MIB, reached } as const;
    hub.rule({ at: 'storage', path: SECOND, after: 1, trouble });
  });
  const child = spawn(process.execPath, ['cli/quantd', ...words('outputs')], {
    cwd: root,
    env: { ...process.env, ...environment, QUANTD_DATA: data },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await stalled;
  const fetched = join(data, 'hub/test-org--tiny', commit, 'files', FIRST);
  await expect.poll(() => existsSync(fetched), { timeout: 60_000 }).toBe(true);
  process.kill(Number(readFileSync(join(data, 'lock'), 'utf8').split(' ')[0]), 'SIGKILL');
  // The command outlives its daemon, and waits until nothing is left of it.
  await ended;
  killed.abort();
  expect(readdirSync(at('outputs')).filter((file) => file.endsWith('.gguf'))).toEqual([]);

  const events = parseEvents(await mustRunQuantd(words('outputs'), { data, environment }));
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'repository', repository: 'test-org/tiny', hubUrl: hub.url }),
  );
  // Named after the repository, which no config knows of.
  const reference = ['--name', 'tiny', '--type', 'Q4_K_M,Q8_0', '--out', at('reference')];
  await mustRunQuantd(['quantize', CHECKPOINT, ...reference]);
  for (const file of ['tiny-Q4_K_M.gguf', 'tiny-Q8_0.gguf']) {
    const made = readFileSync(join(at('outputs'), file));
    expect(made.equals(readFileSync(join(at('reference'), file)))).toBe(true);
  }
  // Once, whatever came between; but for what the killed one had not said to have.
  for (const [file, bytes] of hub.served) {
    const { size } = statSync(join(CHECKPOINT, file));
    if (file === SECOND) expect(bytes).toBeLessThanOrEqual(size + 3 * MIB);
    else expect(bytes).toBe(size);
  }
  // Not a byte of the source stays, and the token stands nowhere.
  expect(existsSync(join(data, 'hub', 'test-org--tiny'))).toBe(false);
  expect(JSON.stringify(events)).not.toContain(TOKEN);
});

test('a plan reads headers and small files, and leaves nothing', async () => {
  const data = at('data-plan');
  const before = hub.served.get(SECOND) ?? 0;
  const more = ['--plan', '--calibration', 'default', '--chunks', '2'];
  const run = await mustRunQuantd([...words('none'), ...more], { data, environment });
  expect(parseEvents(run).at(-1)).toMatchObject({ type: 'done', outputs: 0 });
  expect((hub.served.get(SECOND) ?? 0) - before).toBe(MIB);
  const estimate = parseEvents(run).find(({ type }) => type === 'estimate');
  // Two headers of a leaf each are here; how fast its matrices are cannot be known without any.
  const sizes = [FIRST, SECOND].map((file) => statSync(join(CHECKPOINT, file)).size);
  expect(estimate?.['downloadBytes']).toBe(sizes.reduce((sum, size) => sum + size - MIB, 0));
  expect(estimate).toMatchObject({ seconds: null });
  expect(existsSync(join(data, 'hub', 'test-org--tiny'))).toBe(false);
});

test('a recipe is checked against a repository', async () => {
  const data = at('data-plan');
  const check = ['recipe', 'check', 'daemon/recipes/Q8_0.toml', '--source', 'test-org/tiny'];
  const run = await mustRunQuantd([...check, '--hub-url', hub.url, '--json'], {
    ...{ data, environment },
  });
  const { size } = statSync(join(at('reference'), 'tiny-Q8_0.gguf'));
  expect(parseEvents(run)).toMatchObject([{ outputs: [{ planned: { bytes: size } }] }]);
  expect(existsSync(join(data, 'hub', 'test-org--tiny'))).toBe(false);
});

test('a release names its repository, the token nowhere, and is published as it is', async () => {
  const data = at('data-release');
  await mustRunQuantd(
    [
      ...['release', 'test-org/tiny', '--type', 'Q8_0', '--out', at('releases')],
      ...['--hub-url', hub.url],
    ],
    { data, environment },
  );
  const folder = join(at('releases'), 'tiny-GGUF');
  const lock = JSON.parse(readFileSync(join(folder, 'quantd.lock.json'), 'utf8')) as LockFile;
  expect(lock.lock.source).toMatchObject({ repository: 'test-org/tiny', commit });
  for (const where of [folder, data]) {
    for (const entry of readdirSync(where, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      expect(readFileSync(join(entry.parentPath, entry.name)).includes(TOKEN)).toBe(false);
    }
  }
  const published = await mustRunQuantd(
    ['publish', folder, '--repo', 'my-org/tiny-GGUF', '--yes', '--hub-url', hub.url],
    { data, environment },
  );
  expect(published.stdout).toMatch(/^publish {2}my-org\/tiny-GGUF on http.* \(made\) · /);
  const inspected = await mustRunQuantd(
    ['inspect', 'my-org/tiny-GGUF/tiny-Q8_0.gguf', '--json', '--hub-url', hub.url],
    { data, environment },
  );
  expect(parseEvents(inspected)).toMatchObject([{ kind: 'gguf', file: 'tiny-Q8_0.gguf' }]);
  const sent = hub.uploads.repositories.get('my-org/tiny-GGUF')?.files ?? new Map();
  const there = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('.quantd'))
    .map((entry) => join(entry.parentPath, entry.name));
  expect(sent.size).toBe(there.length);
  for (const [file, content] of sent) {
    expect(readFileSync(join(folder, file)).equals(content)).toBe(true);
  }
});
