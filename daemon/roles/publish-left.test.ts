/**
 * Goal: outputs that lie on other machines reach the repository from there, each byte read once, none
 * of them other than the lockfile says, and nothing is sent while one of them is away.
 * Method: the role with its adapters against the loopback hub of the tests; the machines are a network
 * in memory, which can be away, end, or send other bytes.
 */

import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LoopbackHub, startHub, TOKEN } from '../../cluster-tests/hub/loopback-hub.ts';
import { type Files, makeSmallRelease, memoryFolder } from '../../cluster-tests/small-release.ts';
import type { RunEvent } from '../../proto/api.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import { FaultError } from '../../proto/fault.ts';
import { LEFT_FILE, type LeftOutput } from '../../proto/left-record.ts';
import { LOCK_FILE, type LockedOutput } from '../../proto/lockfile.ts';
import { openPublishTarget } from '../adapters/hub-publish.ts';
import { parseYaml } from '../adapters/yaml.ts';
import { hex } from '../core/plan/unit-id.ts';
import { encodeLeft } from '../core/release/left-record.ts';
import { encodeLock } from '../core/release/lock.ts';
import { encodeSums } from '../core/release/write-sums.ts';
import type { ConnectedPeer } from '../ports.ts';
import { type PublishPorts, publish } from './publish.ts';

const REPOSITORY = 'my-org/tiny-GGUF';
const RELEASE = '5'.repeat(32);
const MIB = 1 << 20;

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

// In parts on the hub of the tests, and in windows here; in one piece; and on another machine.
const contents: Record<string, Uint8Array> = {
  'a-large.gguf': Buffer.alloc(5 * MIB + 7, 'in many parts '),
  'a-small.gguf': Buffer.alloc(700_000, 'whole '),
  'b.gguf': Buffer.alloc(MIB + 1, 'elsewhere '),
};

/** What the machines have, by the id of the output. */
let held: Map<string, Uint8Array>;
let away: Set<string>;
let pulled: number;
/** Changes what is sent, or throws. */
let onPull: (blob: Extract<BlobName, { kind: 'output' }>, into: Uint8Array) => void;
let hub: LoopbackHub;
let files: Files;
beforeEach(async () => {
  hub = await startHub();
  [away, pulled, onPull] = [new Set(), 0, () => undefined];
  held = new Map(Object.entries(contents).map(([file, bytes]) => [idOf(file), bytes]));
  files = makeFolder();
});
afterEach(() => hub.close());

const idOf = (file: string): string => digestOf(encoded(file));
const peerOf = (file: string): string => file.slice(0, 1);

const leftOutputs = (): LeftOutput[] =>
  Object.entries(contents).map(([file, bytes]) => ({
    ...{ file, bytes: bytes.length, sha256: digestOf(bytes), id: idOf(file) },
    ...{ machine: `machine ${peerOf(file)}`, peer: peerOf(file), path: `/there/${file}` },
  }));

function makeFolder(): Files {
  const { lock } = makeSmallRelease();
  const outputs = leftOutputs().map(({ file, bytes, sha256 }): LockedOutput => {
    return { file, bytes, sha256, ftype: 'Q8_0', bitsPerWeight: 8.5, header: sha256, tensors: [] };
  });
  const card = encoded('---\nlicense: apache-2.0\nbase_model: a/b\n---\n# Tiny\n');
  const pure = [{ file: 'README.md', bytes: card.length, sha256: digestOf(card) }];
  const { imatrix, ...rest } = lock.lock;
  return new Map([
    ['README.md', card],
    ['SHA256SUMS', encoded(encodeSums([...outputs, ...pure]))],
    [LOCK_FILE, encoded(encodeLock({ ...lock, lock: { ...rest, outputs, files: pure } }))],
    [LEFT_FILE, encodeLeft({ release: RELEASE, outputs: leftOutputs() })],
  ]);
}

const network = (): ReturnType<PublishPorts['network']> => ({
  peers: () =>
    ['a', 'b'].filter((peer) => !away.has(peer)).map((peer) => ({ peer }) as ConnectedPeer),
  pull: async ([peer = ''], blob, into) => {
    if (away.has(peer)) throw new Error('it is not connected');
    if (blob.kind !== 'output' || blob.run !== RELEASE) throw new Error('another blob');
    const found = held.get(hex(blob.id));
    if (found === undefined || blob.offset + blob.bytes > found.length) throw new Error('absent');
    into.set(found.subarray(blob.offset, blob.offset + blob.bytes));
    pulled += into.length;
    onPull(blob, into);
  },
});

async function run(
  wishes: { confirmed?: boolean } = {},
  ports: Partial<PublishPorts> = {},
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const all: PublishPorts = {
    openRelease: async () => memoryFolder(files),
    openPublishTarget,
    parseYaml,
    clock: {
      now: () => 0,
      after: (_, work) => {
        setImmediate(work);
        return () => undefined;
      },
    },
    network,
    ...ports,
  };
  const { confirmed = true } = wishes;
  const request = { kind: 'publish', folder: '/release', repository: REPOSITORY } as const;
  await publish(
    {
      ...{ ...request, confirmed, dryRun: !confirmed, private: false },
      hub: { url: hub.url, token: TOKEN },
    },
    all,
    (event) => void events.push(event),
    new AbortController().signal,
  );
  return events;
}

async function faultOf(...asked: Parameters<typeof run>): Promise<FaultError> {
  try {
    await run(...asked);
  } catch (error) {
    if (error instanceof FaultError) return error;
    throw error;
  }
  throw new Error('no fault');
}

const received = (): ReadonlyMap<string, Uint8Array> =>
  hub.uploads.repositories.get(REPOSITORY)?.files ?? new Map();
const total = Object.values(contents).reduce((sum, { length }) => sum + length, 0);
const count = Object.keys(contents).length;

function expectAllReceived(): void {
  const local = [...files.keys()].filter((file) => file !== LEFT_FILE);
  expect(new Set(received().keys())).toEqual(new Set([...Object.keys(contents), ...local]));
  for (const [file, bytes] of Object.entries(contents)) {
    expect(digestOf(received().get(file) ?? new Uint8Array(0))).toBe(digestOf(bytes));
  }
}

test('each byte is read once and goes to the storage, in one commit; a second time nothing does', async () => {
  const events = await run();
  expectAllReceived();
  // One byte of each is asked for beforehand, to see that it is there.
  expect(pulled).toBe(total + count);
  expect(hub.uploads.puts.reduce((sum, bytes) => sum + bytes, 0)).toBe(total);
  const commits = hub.asked.filter(({ url }) => url.includes('/commit/'));
  expect(commits).toHaveLength(1);
  for (const { at, authorization } of hub.asked) {
    expect(authorization).toBe(at === 'hub' ? `Bearer ${TOKEN}` : undefined);
  }
  const planned = events.find((event) => event.type === 'publish')?.files ?? [];
  expect(planned.find(({ file }) => file === 'b.gguf')).toMatchObject({ machine: 'machine b' });
  // What is there already is not asked for, wherever its machine is.
  away.add('a').add('b');
  const again = await run();
  expect(again.find((event) => event.type === 'published')).toMatchObject({ files: 0, bytes: 0 });
  expect(pulled).toBe(total + count);
});

test('a storage that is busy in the midst of it, and a commit that fails: nothing is sent twice', async () => {
  hub.rule({
    ...{ at: 'storage', path: `${digestOf(contents['a-large.gguf'] ?? encoded(''))}/4`, times: 2 },
    trouble: { kind: 'status', status: 503 },
  });
  hub.rule({ at: 'hub', path: '/commit/', trouble: { kind: 'status', status: 400 } });
  expect((await faultOf()).message).toMatch(/QD-2509.*400/);
  expect(received().size).toBe(0);
  const { length } = hub.uploads.puts;
  pulled = 0;
  await run();
  expectAllReceived();
  expect([pulled, hub.uploads.puts.length]).toEqual([count, length]);
});

test('a machine that is away is named before anything is sent; a list alone tells of it', async () => {
  away.add('b');
  const fault = await faultOf();
  expect(fault.kind.code).toBe('QD-6706');
  expect(fault.detail).toMatchObject({ file: 'b.gguf', why: 'machine b: it is not connected' });
  away.add('a');
  expect((await faultOf()).detail.file).toBe('a-large.gguf, a-small.gguf, b.gguf');
  away.clear();
  held.delete(idOf('a-small.gguf'));
  expect((await faultOf()).detail).toMatchObject({
    file: 'a-small.gguf',
    why: 'machine a: absent',
  });
  expect((await faultOf({}, { network: () => undefined })).detail.why).toMatch(/in no cluster/);
  const events = await run({ confirmed: false });
  expect(events.find((event) => event.type === 'notice')).toMatchObject({
    text: expect.stringContaining('a-small.gguf could not be sent now: machine a'),
  });
  expect(hub.asked.filter(({ method }) => method !== 'GET')).toEqual([]);
});

test('a machine that goes away in the midst of it ends it; later it goes on', async () => {
  onPull = (blob) => {
    if (blob.offset < 2 * MIB || hex(blob.id) !== idOf('a-large.gguf') || blob.bytes === 1) return;
    away.add('a');
    throw new Error('the stream has ended');
  };
  const fault = await faultOf();
  expect([fault.kind.code, fault.detail.file]).toEqual(['QD-6706', 'a-large.gguf']);
  expect(received().size).toBe(0);
  away.clear();
  onPull = () => undefined;
  await run();
  expectAllReceived();
});

test.each(Object.keys(contents))(
  'other bytes of %s than were sealed never get there',
  async (name) => {
    onPull = ({ id, offset, bytes }, into) => {
      if (hex(id) === idOf(name) && offset === 0 && bytes > 1) into[5] = (into[5] ?? 0) ^ 1;
    };
    const fault = await faultOf();
    expect([fault.kind.code, fault.detail.file]).toEqual(['QD-2523', name]);
    expect(fault.detail.why).toContain(`machine ${peerOf(name)}`);
    expect(received().size).toBe(0);
    const { length } = contents[name] ?? encoded('');
    const sent = [...hub.uploads.objects.values()].filter((bytes) => bytes.length === length);
    expect(sent).toEqual([]);
  },
);

test('a file that lies in the folder too is sent from there', async () => {
  const here = contents['a-small.gguf'] ?? encoded('');
  files.set('a-small.gguf', here);
  await run();
  expectAllReceived();
  expect(pulled).toBe(total - here.length + count - 1);
});

test('a record that tells of other outputs than the lockfile is refused', async () => {
  const [first, ...rest] = leftOutputs();
  if (first === undefined) throw new Error('there are some');
  const records: [RegExp, Uint8Array][] = [
    [/b\.gguf/, encodeLeft({ release: RELEASE, outputs: [{ ...first, file: 'b.gguf' }] })],
    [
      /no output c\.gguf/,
      encodeLeft({ release: RELEASE, outputs: [{ ...first, file: 'c.gguf' }] }),
    ],
    [/tells 5242887/, encodeLeft({ release: RELEASE, outputs: [{ ...first, bytes: 1 }, ...rest] })],
    [/twice/, encodeLeft({ release: RELEASE, outputs: [first, first] })],
    [/is no name/, encodeLeft({ release: RELEASE, outputs: [{ ...first, file: '../x' }] })],
    [/no line/, encodeLeft({ release: RELEASE, outputs: [{ ...first, machine: '\u001b[2J' }] })],
    [/is no name/, encodeLeft({ release: '..', outputs: [first] })],
    [/at least|>=1|small/i, encodeLeft({ release: RELEASE, outputs: [] })],
  ];
  for (const [why, record] of records) {
    files.set(LEFT_FILE, record);
    const fault = await faultOf();
    expect([fault.kind.code, fault.detail.file]).toEqual(['QD-6534', LEFT_FILE]);
    expect(fault.detail.why).toMatch(why);
  }
  expect(hub.asked).toEqual([]);
});
