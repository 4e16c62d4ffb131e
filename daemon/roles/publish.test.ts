/**
 * Goal: a repository has what the folder has, byte for byte, and no more; nothing is sent unasked,
 * twice, or of a folder that is not as it should be.
 * Method: the role with its adapters, against the loopback hub of the tests.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type LoopbackHub, startHub, TOKEN } from '../../cluster-tests/hub/loopback-hub.ts';
import type { RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type { PublishRequest } from '../../proto/publish-request.ts';
import { openPublishTarget } from '../adapters/hub-publish.ts';
import { type Addon, loadKernels } from '../adapters/kernels.ts';
import { openReleaseFolder } from '../adapters/release-folder.ts';
import { parseYaml } from '../adapters/yaml.ts';
import { publish } from './publish.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const REPOSITORY = 'my-org/tiny-GGUF';
const CARD = `---
base_model: google/gemma-4-26B-A4B-it
license: apache-2.0
pipeline_tag: text-generation
tags: [gguf]
---
# tiny-GGUF
`;

let kernels: Addon;
let folder: string;
let hub: LoopbackHub;

beforeAll(() => {
  kernels = loadKernels({ addonPath: join(root, 'build/kernels/quantd.node'), threads: 1 });
});
afterAll(() => kernels.close());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quantd-publish-'));
  hub = await startHub();
});
afterEach(async () => {
  await hub.close();
  rmSync(folder, { recursive: true });
});

const big = Buffer.alloc(2_500_000, 'parts of a mebibyte ');
const files: Record<string, Buffer> = {
  '.gitattributes': Buffer.from('*.gguf filter=lfs diff=lfs merge=lfs -text\n'),
  'README.md': Buffer.from(CARD),
  'calibration/text.txt': Buffer.from('text'),
  empty: Buffer.alloc(0),
  'quantd.lock.json': Buffer.from('{}'),
  'tiny-Q4_K_M.gguf': Buffer.alloc(100_000, 'small'),
  'tiny-Q8_0.gguf': big,
};

function sumsOf(contents: Readonly<Record<string, Buffer>>): string {
  const lines = Object.entries(contents).map(([file, content]) => {
    return `${createHash('sha256').update(content).digest('hex')}  ${file}\n`;
  });
  return lines.sort().join('');
}

function put(extra: Readonly<Record<string, Buffer | string>> = {}): void {
  const all = { ...files, SHA256SUMS: sumsOf(files), '.quantd/journal': 'own', ...extra };
  for (const [file, content] of Object.entries(all)) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

type Wishes = Partial<Omit<PublishRequest, 'kind' | 'folder'>>;

async function run(wishes: Wishes = {}): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const ports = {
    openRelease: (path: string) => openReleaseFolder(path, kernels),
    openPublishTarget,
    parseYaml,
    clock: { now: () => 0, after: () => () => undefined },
    network: () => undefined,
  };
  const request = {
    ...({
      kind: 'publish',
      folder,
      repository: REPOSITORY,
      confirmed: true,
      dryRun: false,
    } as const),
    ...{ private: false, hub: { url: hub.url, token: TOKEN } },
    ...wishes,
  };
  const report = (event: RunEvent): void => void events.push(event);
  await publish(request, ports, report, new AbortController().signal);
  return events;
}

async function faultOf(wishes: Wishes = {}): Promise<string> {
  try {
    await run(wishes);
  } catch (error) {
    if (error instanceof FaultError) return error.message;
    throw error;
  }
  return 'no fault';
}

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;
function only<T extends RunEvent['type']>(events: RunEvent[], type: T): EventOf<T> {
  const found = events.filter((event): event is EventOf<T> => event.type === type);
  expect(found).toHaveLength(1);
  return found[0] as EventOf<T>;
}

const received = (): Record<string, Buffer> =>
  Object.fromEntries(
    [...(hub.uploads.repositories.get(REPOSITORY)?.files ?? [])].map(([file, content]) => [
      file,
      Buffer.from(content),
    ]),
  );
const writes = (): string[] =>
  hub.asked.filter(({ method }) => method !== 'GET').map(({ method, url }) => `${method} ${url}`);

test('what is there afterwards is the folder; a second time nothing is sent', async () => {
  put();
  const events = await run();
  const { SHA256SUMS, ...rest } = received();
  expect(SHA256SUMS?.toString()).toBe(sumsOf(files));
  // Bytes that have the same sums; comparing megabytes one by one would take a while.
  expect(sumsOf(rest)).toBe(sumsOf(files));
  expect(only(events, 'published')).toMatchObject({ files: 8, repository: REPOSITORY });
  // One object in one piece, the other in three.
  expect(hub.uploads.puts.toSorted()).toEqual([100_000, 1 << 20, 1 << 20, 2_500_000 - (1 << 21)]);
  expect(hub.asked.filter(({ at }) => at === 'storage')).not.toHaveLength(0);
  for (const { at, authorization } of hub.asked) {
    expect(authorization).toBe(at === 'hub' ? `Bearer ${TOKEN}` : undefined);
  }
  const before = writes();
  const again = await run();
  expect(only(again, 'published')).toMatchObject({ files: 0, bytes: 0 });
  expect(only(again, 'publish').files.every(({ state }) => state === 'same')).toBe(true);
  expect(writes()).toEqual(before);
});

test('only what has changed is sent', async () => {
  put();
  await run();
  put({ 'README.md': `${CARD}more`, SHA256SUMS: '' });
  rmSync(join(folder, 'SHA256SUMS'));
  const events = await run();
  const states = new Map(only(events, 'publish').files.map(({ file, state }) => [file, state]));
  expect([...states].filter(([, state]) => state !== 'same')).toEqual([['README.md', 'changed']]);
  expect(received()['README.md']?.toString()).toBe(`${CARD}more`);
  expect(hub.uploads.puts).toHaveLength(4);
});

test('a list alone says what would go where, and sends nothing', async () => {
  put();
  const plan = only(await run({ confirmed: false, dryRun: true, private: true }), 'publish');
  expect(plan).toMatchObject({ exists: false, private: true, card: [] });
  expect(plan.files.filter(({ isLarge }) => isLarge).map(({ file }) => file)).toEqual([
    'tiny-Q4_K_M.gguf',
    'tiny-Q8_0.gguf',
  ]);
  expect(plan.files.map(({ file }) => file)).not.toContain('.quantd/journal');
  expect(await faultOf({ confirmed: false })).toMatch(/QD-6301/);
  expect(writes()).toEqual([]);
  const away = { confirmed: false, dryRun: true, hub: { url: 'http://127.0.0.1:1' } };
  expect(only(await run(away), 'publish').exists).toBe(undefined);
}, 120_000);

test('what the storage has already is not sent to it again', async () => {
  put();
  hub.rule({ at: 'hub', path: '/commit/', trouble: { kind: 'status', status: 400 } });
  expect(await faultOf()).toMatch(/QD-2509.*400/);
  expect(received()).toEqual({});
  const puts = hub.uploads.puts.length;
  await run();
  expect(Object.keys(received())).toHaveLength(8);
  expect(hub.uploads.puts).toHaveLength(puts);
});

test('a storage that is busy for a moment, and a private repository', async () => {
  put();
  hub.rule({ at: 'storage', path: '/lfs/', times: 2, trouble: { kind: 'status', status: 503 } });
  const events = await run({ private: true });
  expect(received()['tiny-Q8_0.gguf']?.equals(big)).toBe(true);
  expect(hub.uploads.repositories.get(REPOSITORY)?.private).toBe(true);
  const sent = events.filter(
    (event): event is EventOf<'progress'> => event.type === 'progress' && event.stage === 'publish',
  );
  const { bytes } = only(events, 'published');
  // Each byte counts once, whatever was sent again.
  expect(Math.max(...sent.map(({ bytesDone }) => bytesDone))).toBeLessThanOrEqual(bytes);
  expect(sent).not.toHaveLength(0);
});

test('what the repository then lists is compared with what was sent', async () => {
  put();
  hub.rule({ at: 'hub', path: '/tree/', trouble: { kind: 'text', text: '[]' } });
  expect(await faultOf()).toMatch(/QD-6308.*it is not there/);
});

test('folders that are not as they should be', async () => {
  expect(await faultOf()).toMatch(/QD-6304/);
  put({ 'README.md': '# no head\n', SHA256SUMS: '' });
  rmSync(join(folder, 'SHA256SUMS'));
  expect(await faultOf()).toMatch(/QD-6303.*no head/);
  put({ 'README.md': '---\na: [\n---\n', SHA256SUMS: '' });
  rmSync(join(folder, 'SHA256SUMS'));
  expect(await faultOf()).toMatch(/QD-6303.*no YAML/);
  put({ 'calibration/text.txt': 'changed' });
  expect(await faultOf()).toMatch(/QD-6306.*calibration\/text.txt/);
  put({ SHA256SUMS: Buffer.alloc((16 << 20) + 1) });
  expect(await faultOf()).toMatch(/QD-6518.*16777217 bytes/);
  put({ 'x.gguf.part': 'half' });
  expect(await faultOf()).toMatch(/QD-6302.*x.gguf.part/);
  rmSync(join(folder, 'x.gguf.part'));
  symlinkSync('/etc/hostname', join(folder, 'hostname'));
  expect(await faultOf()).toMatch(/QD-6305.*leads out/);
  expect(writes()).toEqual([]);
});

test('who may not', async () => {
  put();
  expect(await faultOf({ hub: { url: hub.url } })).toMatch(/QD-6307/);
  expect(await faultOf({ hub: { url: hub.url, token: 'hf_other' } })).toMatch(/QD-2506/);
  expect(await faultOf({ repository: 'a/b@main' })).toMatch(/QD-2501/);
  expect(received()).toEqual({});
});
