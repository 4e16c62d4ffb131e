import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { BlobName } from '../../../proto/blob-names.ts';
import { FaultError } from '../../../proto/fault.ts';
import { LEAF_BYTES } from '../../../proto/peer-messages.ts';
import type { BlobProvider } from '../../ports.ts';
import { BlockStream } from './block-stream.ts';
import { connected, madeIdentities, madeNode, serving, sha256, until } from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const nodes: PeerNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((each) => each.stop()));
});

/** The first node pulls from all others. */
async function star(count: number): Promise<[PeerNode, ...PeerNode[]]> {
  const ids = await madeIdentities(count);
  const made = await Promise.all(ids.map((id) => madeNode(id, ids)));
  nodes.push(...made);
  const [first, ...others] = made;
  if (first === undefined) throw new Error('there is a first node');
  for (const other of others) first.keep(other.self, other.addresses());
  await Promise.all(
    others.flatMap((other) => [connected(first, other.self), connected(other, first.self)]),
  );
  return [first, ...others];
}

const blobOf = (bytes: number): BlobName => ({
  kind: 'source',
  run: '0'.repeat(32),
  fileDigest: '1'.repeat(64),
  offset: 0,
  bytes,
});

async function digestsOf(blob: Uint8Array): Promise<Uint8Array[]> {
  const blocks = Math.ceil(blob.length / LEAF_BYTES);
  return Promise.all(
    Array.from({ length: blocks }, (_, index) =>
      sha256(blob.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES)),
    ),
  );
}

const never = new AbortController().signal;

/** As `serving`, but `change` may do something to each block. */
function spoiling(
  blob: Uint8Array,
  change: (bytes: Uint8Array, offset: number) => Uint8Array | undefined | Promise<Uint8Array>,
): BlobProvider {
  return {
    read: async (_to, _name, offset, bytes) =>
      change(Uint8Array.from(blob.subarray(offset, offset + bytes)), offset),
  };
}

describe('a blob comes whole', () => {
  test('20 MiB and a rest, with digests and without, twice on the same stream', async () => {
    const [first, second] = await star(2);
    if (second === undefined) throw new Error('a second node');
    const opened = vi.spyOn(BlockStream, 'open');
    const blob = randomBytes(20 * LEAF_BYTES + 12_345);
    const sent: number[] = [];
    second.network.serve({
      ...serving(blob),
      sent: (to, name, bytes) => {
        expect(to.peer).toBe(first.self);
        expect(name.bytes).toBe(blob.length);
        sent.push(bytes);
      },
    });
    for (const digests of [await digestsOf(blob), undefined]) {
      const into = new Uint8Array(blob.length);
      await first.network.pull([second.self], blobOf(blob.length), into, {
        ...(digests ? { digests } : {}),
        signal: never,
      });
      expect(Buffer.compare(into, blob)).toBe(0);
    }
    expect(opened).toHaveBeenCalledTimes(1);
    opened.mockRestore();
    await until(() => sent.length === 42);
    expect(sent.reduce((sum, bytes) => sum + bytes)).toBe(2 * blob.length);
    expect(second.counters().sentBytes.get(first.self)).toBe(2 * blob.length);
    expect(first.counters().receivedBytes.get(second.self)).toBeGreaterThanOrEqual(2 * blob.length);
  });

  test('from several at once, each giving a part', async () => {
    const [first, ...others] = await star(4);
    const blob = randomBytes(24 * LEAF_BYTES);
    for (const other of others) other.network.serve(serving(blob));
    const into = new Uint8Array(blob.length);
    const sources = others.map(({ self }) => self);
    await first.network.pull(sources, blobOf(blob.length), into, { signal: never });
    expect(Buffer.compare(into, blob)).toBe(0);
    const { receivedBytes } = first.counters();
    expect(sources.filter((peer) => (receivedBytes.get(peer) ?? 0) > LEAF_BYTES)).toEqual(sources);
  });

  test('many pulls at a time', async () => {
    const [first, second] = await star(2);
    if (second === undefined) throw new Error('a second node');
    const blob = randomBytes(2 * LEAF_BYTES + 1);
    second.network.serve(serving(blob));
    const pulls = Array.from({ length: 30 }, async () => {
      const into = new Uint8Array(blob.length);
      await first.network.pull([second.self], blobOf(blob.length), into, { signal: never });
      return Buffer.compare(into, blob);
    });
    expect(new Set(await Promise.all(pulls))).toEqual(new Set([0]));
  });
});

describe('a source that is wrong', () => {
  test('a spoiled block comes from the other one, and is counted', async () => {
    const [first, liar, honest] = await star(3);
    if (!liar || !honest) throw new Error('three nodes');
    const blob = randomBytes(8 * LEAF_BYTES);
    liar.network.serve(
      spoiling(blob, (bytes) => {
        bytes[5] = (bytes[5] ?? 0) ^ 1;
        return bytes;
      }),
    );
    honest.network.serve(serving(blob));
    const into = new Uint8Array(blob.length);
    await first.network.pull([liar.self, honest.self], blobOf(blob.length), into, {
      digests: await digestsOf(blob),
      signal: never,
    });
    expect(Buffer.compare(into, blob)).toBe(0);
    expect(first.counters().blocksRefused.get(liar.self)).toBeGreaterThan(0);
    expect(first.counters().blocksRefused.get(honest.self)).toBeUndefined();
  });

  test('where all are wrong, the pull fails and names them', async () => {
    const [first, liar, empty] = await star(3);
    if (!liar || !empty) throw new Error('three nodes');
    const blob = randomBytes(2 * LEAF_BYTES);
    liar.network.serve(spoiling(blob, (bytes) => bytes.fill(0)));
    const pull = first.network.pull(
      [liar.self, empty.self],
      blobOf(blob.length),
      new Uint8Array(blob.length),
      { digests: await digestsOf(blob), signal: never },
    );
    const error: unknown = await pull.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FaultError);
    expect(String(error)).toMatch('QD-8124');
    expect(String(error)).toMatch(liar.self);
    expect(String(error)).toMatch(empty.self);
  });

  test('nobody to ask', async () => {
    const [first] = await star(1);
    const pull = first.network.pull([first.self], blobOf(1), new Uint8Array(1), { signal: never });
    await expect(pull).rejects.toThrow('there is nobody to ask');
  });

  test('a provider that throws ends its stream, not the node', async () => {
    const [first, broken, honest] = await star(3);
    if (!broken || !honest) throw new Error('three nodes');
    const blob = randomBytes(6 * LEAF_BYTES);
    broken.network.serve(
      spoiling(blob, () => {
        throw new Error('the disk is gone');
      }),
    );
    honest.network.serve(serving(blob));
    const into = new Uint8Array(blob.length);
    await first.network.pull([broken.self, honest.self], blobOf(blob.length), into, {
      signal: never,
    });
    expect(Buffer.compare(into, blob)).toBe(0);
  });
});

describe('a source that goes away', () => {
  test('the other one finishes what it began', async () => {
    const [first, dying, staying] = await star(3);
    if (!dying || !staying) throw new Error('three nodes');
    const blob = randomBytes(16 * LEAF_BYTES);
    let served = 0;
    dying.network.serve(
      spoiling(blob, (bytes) => {
        served += 1;
        if (served === 4) void dying.stop();
        return bytes;
      }),
    );
    staying.network.serve(
      spoiling(blob, async (bytes) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return bytes;
      }),
    );
    const into = new Uint8Array(blob.length);
    await first.network.pull([dying.self, staying.self], blobOf(blob.length), into, {
      signal: never,
    });
    expect(Buffer.compare(into, blob)).toBe(0);
    expect(served).toBeGreaterThanOrEqual(4);
  });

  test('alone, it goes on where it stopped once it is back', async () => {
    const ids = await madeIdentities(2);
    const [a, b] = ids;
    if (!a || !b) throw new Error('two identities');
    const first = await madeNode(a, ids);
    const second = await madeNode(b, ids);
    nodes.push(first);
    const [address] = second.addresses();
    if (address === undefined) throw new Error('the second node listens');
    first.keep(b.peer, [address]);
    await connected(first, b.peer);
    const blob = randomBytes(12 * LEAF_BYTES);
    const asked: number[] = [];
    let stopped: Promise<void> | undefined;
    second.network.serve(
      spoiling(blob, (bytes, offset) => {
        asked.push(offset);
        if (asked.length === 6) stopped = second.stop();
        return bytes;
      }),
    );
    const into = new Uint8Array(blob.length);
    const pull = first.network.pull([b.peer], blobOf(blob.length), into, { signal: never });
    await until(() => stopped !== undefined);
    await stopped;
    const port = address.split('/')[4];
    const again = await madeNode(b, ids, { listen: [`/ip4/127.0.0.1/tcp/${port}`] });
    nodes.push(again);
    const askedAgain: number[] = [];
    again.network.serve(
      spoiling(blob, (bytes, offset) => {
        askedAgain.push(offset);
        return bytes;
      }),
    );
    await pull;
    expect(Buffer.compare(into, blob)).toBe(0);
    expect(askedAgain.length).toBeLessThan(12);
  });

  test('an aborted pull leaves the memory alone', async () => {
    const [first, second] = await star(2);
    if (second === undefined) throw new Error('a second node');
    const blob = randomBytes(16 * LEAF_BYTES);
    const controller = new AbortController();
    let served = 0;
    second.network.serve(
      spoiling(blob, (bytes) => {
        served += 1;
        if (served === 3) controller.abort(new Error('enough'));
        return bytes;
      }),
    );
    const into = new Uint8Array(blob.length);
    const pull = first.network.pull([second.self], blobOf(blob.length), into, {
      signal: controller.signal,
    });
    await expect(pull).rejects.toThrow('enough');
    const copy = Uint8Array.from(into);
    // A later pull on the same connection shows that the first one's bytes went nowhere.
    const other = new Uint8Array(blob.length);
    await first.network.pull([second.self], blobOf(blob.length), other, { signal: never });
    expect(Buffer.compare(other, blob)).toBe(0);
    expect(Buffer.compare(into, copy)).toBe(0);
  });
});
