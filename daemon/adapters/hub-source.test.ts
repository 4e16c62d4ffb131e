/**
 * Goal: whatever a hub, its storage or the line between does, the bytes that are used are those
 * that the repository names, or the run ends in a code and nothing has a final name.
 * Method: the loopback hub of the tests, with one trouble at a time; waits pass at once.
 */

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LoopbackHub, type Rule, startHub } from '../../cluster-tests/hub/loopback-hub.ts';
import { memoryRepository } from '../../cluster-tests/hub/repository.ts';
import { FaultError } from '../../proto/fault.ts';
import { parseHubName } from '../../proto/hub-name.ts';
import type { Source } from '../ports.ts';
import { openHubRepository } from './hub-repository.ts';
import { openHubSource } from './hub-source.ts';
import { HubStore } from './hub-store.ts';
import { HubTransport, parseHubUrl } from './hub-transport.ts';

const MIB = 1 << 20;
const BIG = 'model-00001-of-00002.safetensors';
const SMALL = 'model-00002-of-00002.safetensors';
const BIG_BYTES = 3 * MIB + 777;
const TOTAL = BIG_BYTES + MIB + 1;
const CONFIG = '{"model_type":"none"}';

function pattern(bytes: number, seed: number): Uint8Array {
  const content = new Uint8Array(bytes);
  for (let at = 0, state = seed; at < bytes; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    content[at] = state >>> 24;
  }
  return content;
}

// A leaf and a bit, several leaves: every kind of border.
const contents = {
  '.gitattributes': '*.safetensors filter=lfs',
  'config.json': CONFIG,
  'sub folder/notes?#.txt': 'a name that an address cannot hold as it is',
  [BIG]: pattern(BIG_BYTES, 1),
  [SMALL]: pattern(MIB + 1, 2),
};
const repository = memoryRepository(contents);

let directory: string;
let hub: LoopbackHub;
let waits: number[];
const opened: Source[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'quantd-hub-'));
  hub = await startHub(repository);
  waits = [];
});
afterEach(async () => {
  for (const source of opened.splice(0)) await source.close();
  await hub.close();
  rmSync(directory, { recursive: true });
});

interface Wishes {
  readonly name?: string;
  readonly token?: string;
  readonly keep?: boolean;
  readonly signal?: AbortSignal;
}

const hashFile = async (path: string): Promise<Uint8Array> =>
  createHash('sha256').update(readFileSync(path)).digest();

async function open(wishes: Wishes = {}): Promise<Source> {
  const name = parseHubName(wishes.name ?? repository.name);
  if (name === undefined) throw new Error('no name');
  const { token } = wishes;
  const transport = new HubTransport({
    url: parseHubUrl(hub.url, token !== undefined),
    repository: name.repository,
    ...(token === undefined ? {} : { token }),
    wait: async (milliseconds) => {
      waits.push(milliseconds);
    },
  });
  const found = await openHubRepository(transport, name.revision, wishes.signal);
  const store = await HubStore.open(join(directory, 'org--name', found.commit), hashFile);
  const source = openHubSource(found, store, { name, hashFile, keep: wishes.keep ?? true });
  opened.push(source);
  return source;
}

async function fetchAll(source: Source, files = [BIG, SMALL]): Promise<number> {
  let bytes = 0;
  const count = (part: number): void => {
    bytes += part;
  };
  await source.remote?.fetch(files, count, new AbortController().signal);
  return bytes;
}

async function whole(source: Source, file: keyof typeof contents): Promise<Buffer> {
  const { bytes = 0 } = (await source.list()).find((entry) => entry.file === file) ?? {};
  const into = Buffer.alloc(bytes);
  await source.read(String(file), 0, into);
  return into;
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof FaultError) return error.message;
    throw error;
  }
  return 'no fault';
}

/** Files that stand under their final name. */
const named = (): string[] => {
  const files = join(directory, 'org--name', repository.commit, 'files');
  return existsSync(files) ? readdirSync(files).sort() : [];
};

describe('a repository without trouble', () => {
  test('is listed, read and fetched, with every byte served once', async () => {
    const source = await open({ keep: true });
    expect(await source.list()).toEqual([
      { file: 'config.json', bytes: CONFIG.length },
      { file: BIG, bytes: BIG_BYTES },
      { file: SMALL, bytes: MIB + 1 },
      { file: 'sub folder/notes?#.txt', bytes: 43 },
    ]);
    const header = new Uint8Array(100);
    await source.read(BIG, 8, header);
    expect(Buffer.from(header)).toEqual(Buffer.from(contents[BIG].subarray(8, 108)));
    expect(hub.served.get(BIG)).toBe(MIB);
    expect(named()).toEqual([]);
    expect(await source.remote?.missingBytes([BIG, SMALL])).toBe(TOTAL - MIB);
    expect(await fetchAll(source)).toBe(TOTAL - MIB);
    for (const file of [BIG, SMALL, 'config.json', 'sub folder/notes?#.txt'] as const) {
      expect((await whole(source, file)).equals(Buffer.from(contents[file]))).toBe(true);
      expect(hub.served.get(file)).toBe(contents[file].length);
    }
    expect(readFileSync(source.path?.(BIG) ?? '').equals(Buffer.from(contents[BIG]))).toBe(true);
    expect(waits).toEqual([]);
  });

  test('its digests are those of its bytes', async () => {
    const source = await open();
    for (const file of [BIG, 'config.json'] as const) {
      const digest = createHash('sha256').update(contents[file]).digest('hex');
      expect(await source.digest(file)).toBe(digest);
    }
    // That of a file kept by LFS is known without a byte of it.
    expect(hub.served.get(BIG)).toBe(undefined);
    await source.checkUnchanged();
  });

  test('is read at the commit that the revision was, whatever is pushed meanwhile', async () => {
    const source = await open();
    hub.serve({ ...memoryRepository({ 'config.json': '{}' }), name: repository.name });
    expect(await faultOf(whole(source, 'config.json'))).toMatch(/QD-2503/);
  });

  test('what is kept is not fetched again, what was touched is not used', async () => {
    await fetchAll(await open());
    await opened.pop()?.close();
    const served = new Map(hub.served);
    const second = await open();
    expect(await fetchAll(second)).toBe(0);
    expect(hub.served).toEqual(served);
    await opened.pop()?.close();
    const path = second.path?.(SMALL) ?? '';
    writeFileSync(path, pattern(MIB + 1, 3));
    const third = await open();
    expect(await faultOf(fetchAll(third))).toMatch(/QD-2514.*00002-of-00002/);
    expect(named()).toEqual([BIG]);
    expect(await fetchAll(third)).toBe(MIB + 1);
  });

  test('is removed when it is done with, but not what was there before a plan', async () => {
    const planned = await open({ keep: false });
    await whole(planned, 'config.json');
    await planned.remote?.forget(true);
    expect(readdirSync(directory)).toEqual([]);
    await fetchAll(await open({ keep: false }), [SMALL]);
    await opened.pop()?.close();
    await (await open({ keep: false })).remote?.forget(true);
    await opened.pop()?.close();
    expect(named()).toEqual([SMALL]);
    await (await open({ keep: false })).remote?.forget(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  test('two runs at once do not write into each other', async () => {
    await open();
    expect(await faultOf(open())).toMatch(/QD-2521/);
  });

  test('one file of it is named with the parts beside it', async () => {
    const parts = {
      'q/m-00001-of-00002.gguf': 'one',
      'q/m-00002-of-00002.gguf': 'two',
      'm-00002-of-00002.gguf': 'other',
    };
    hub.serve(memoryRepository(parts, { name: 'a/b', revisions: ['main', 'v1/x'] }));
    const source = await open({ name: 'a/b/q/m-00001-of-00002.gguf@v1/x' });
    expect(source.named).toBe('q/m-00001-of-00002.gguf');
    expect((await source.list()).map(({ file }) => file)).toEqual([
      'q/m-00001-of-00002.gguf',
      'q/m-00002-of-00002.gguf',
    ]);
    await opened.pop()?.close();
    expect(await faultOf(open({ name: 'a/b/none.gguf' }))).toMatch(/QD-2515/);
  });
});

type TroubleCase = Pick<Rule, 'trouble'> & Partial<Rule>;
const storage = { at: 'storage', path: BIG } as const;

describe('trouble that passes', () => {
  const cases: Record<string, TroubleCase> = {
    'a connection that breaks in a leaf': { trouble: { kind: 'close', afterBytes: MIB + 70_000 } },
    'one that breaks before the first byte': { trouble: { kind: 'close', afterBytes: 0 } },
    'more breaks than attempts in a row, each a bit further': {
      trouble: { kind: 'close', afterBytes: 300_000 },
      times: 15,
    },
    'a busy storage': { trouble: { kind: 'status', status: 503 }, times: 3 },
    'a signature that ran out': { trouble: { kind: 'status', status: 403 } },
    'a busy hub': {
      at: 'hub',
      path: '/resolve/',
      trouble: { kind: 'status', status: 500 },
      times: 2,
    },
    'a listing that breaks off': {
      at: 'hub',
      path: '/tree/',
      trouble: { kind: 'status', status: 502 },
    },
  };
  test.each(Object.entries(cases))('%s', async (_, rule) => {
    hub.rule({ ...storage, ...rule });
    const source = await open();
    expect(await fetchAll(source)).toBe(TOTAL);
    expect((await whole(source, BIG)).equals(Buffer.from(contents[BIG]))).toBe(true);
    // What arrived before a break is not asked for again; some of it never left the socket.
    expect(hub.served.get(BIG)).toBeLessThan(contents[BIG].length + 15 * 200_000);
    expect(waits.length).toBeGreaterThan(0);
  });

  test.each([
    [{ 'retry-after': '7' }, 7000],
    [{ ratelimit: '"resolvers";r=0;t=42' }, 42_000],
  ])('a wait that was asked for: %j', async (headers, milliseconds) => {
    hub.rule({ ...storage, trouble: { kind: 'status', status: 429, headers } });
    await fetchAll(await open());
    expect(waits).toEqual([milliseconds]);
  });

  test('a fetch that was aborted goes on where it was', async () => {
    let letGo = (): void => undefined;
    const until = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    hub.rule({
      ...storage,
      trouble: { kind: 'stall', afterBytes: 2 * MIB + 5, reached: () => until },
    });
    const source = await open();
    const stop = new AbortController();
    let arrived = 0;
    const fetching = source.remote?.fetch(
      [BIG],
      (bytes) => {
        arrived += bytes;
        if (arrived === 2 * MIB) stop.abort(new Error('enough'));
      },
      stop.signal,
    );
    await expect(fetching).rejects.toThrow('enough');
    letGo();
    expect(named()).toEqual([]);
    await opened.pop()?.close();
    const again = await open();
    expect(await again.remote?.missingBytes([BIG])).toBe(MIB + 777);
    expect(await fetchAll(again, [BIG])).toBe(MIB + 777);
    expect((await whole(again, BIG)).equals(Buffer.from(contents[BIG]))).toBe(true);
  });
});

test('any run of troubles that pass ends in the bytes, and no leaf is asked for twice', async () => {
  const passing = fc.oneof(
    fc.record({ kind: fc.constant('close' as const), afterBytes: fc.nat(2 * MIB) }),
    fc.record({ kind: fc.constant('status' as const), status: fc.constantFrom(403, 429, 503) }),
  );
  const troubles = fc.array(passing, { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(troubles, fc.nat(BIG_BYTES - 1), async (list, at) => {
      hub.calm();
      for (const trouble of list) hub.rule({ ...storage, trouble });
      const source = await open({ keep: false });
      const byte = new Uint8Array(1);
      await source.read(BIG, at, byte);
      expect(byte[0]).toBe(contents[BIG][at]);
      const header = Math.min(MIB, BIG_BYTES - Math.floor(at / MIB) * MIB);
      expect(await fetchAll(source, [BIG])).toBe(BIG_BYTES - header);
      expect((await whole(source, BIG)).equals(Buffer.from(contents[BIG]))).toBe(true);
      await source.remote?.forget(false);
    }),
    { numRuns: 8, ...(process.env['SEED'] && { seed: Number(process.env['SEED']) }) },
  );
});

describe('trouble that ends in its code', () => {
  const cases: Record<string, TroubleCase & { says: RegExp; known?: boolean }> = {
    'other bytes than asked for': {
      trouble: { kind: 'wrong-range', by: 10 },
      says: /QD-2510 .*00001-of-00002.*bytes 0-3145727\/3146505 were wanted.* bytes 10-3145737/,
    },
    'the whole file instead of a range': {
      trouble: { kind: 'no-range' },
      says: /QD-2510.*status 200 with no range came/,
    },
    'a storage that is not there': {
      at: 'hub',
      path: '/resolve/',
      trouble: { kind: 'redirect', location: 'http://127.0.0.1:1/' },
      says: /QD-2507/,
      times: 99,
      known: false,
    },
    'a longer answer than announced': {
      trouble: { kind: 'length', by: 5 },
      says: /QD-2511.*more than/,
    },
    'another etag half-way': {
      trouble: { kind: 'etag', etag: 'other' },
      says: /QD-2512.*etag other, where it was of-/,
    },
    'another digest than listed': {
      at: 'hub',
      known: false,
      trouble: { kind: 'etag', etag: 'other' },
      says: /QD-2512.*SHA-256 other, where the list says/,
    },
    'another commit half-way': {
      at: 'hub',
      known: false,
      trouble: { kind: 'commit', commit: 'f'.repeat(40) },
      says: /QD-2512.*commit f{40}, where/,
    },
    'a range in another encoding': { trouble: { kind: 'gzip' }, says: /QD-2513.*gzip/ },
    'a flipped bit': {
      trouble: { kind: 'flip' },
      says: /QD-2514.*SHA-256 .*, where the repository says/,
    },
    'a storage that stays busy': {
      trouble: { kind: 'status', status: 503 },
      times: 99,
      says: /QD-2508.*status 503/,
    },
    'a wait of a day': {
      trouble: { kind: 'status', status: 429, headers: { 'retry-after': '86400' } },
      says: /QD-2508.*86400 s/,
    },
    'a redirect in a circle': {
      at: 'hub',
      path: '/resolve/',
      trouble: { kind: 'redirect', location: '/test-org/tiny/resolve/x' },
      times: 99,
      known: false,
      says: /QD-2509.*redirects/,
    },
  };
  test.each(Object.entries(cases))('%s', async (_, { says, known = true, ...rule }) => {
    const source = await open();
    // So that something has been said of the file before.
    if (known) await source.read(BIG, 3 * MIB, new Uint8Array(8));
    hub.rule({ ...storage, ...rule });
    expect(await faultOf(fetchAll(source))).toMatch(says);
    expect(named()).not.toContain(BIG);
    // The same source, once the trouble is over.
    hub.calm();
    await fetchAll(source);
    expect((await whole(source, BIG)).equals(Buffer.from(contents[BIG]))).toBe(true);
  });
});
