import { afterEach, describe, expect, test } from 'vitest';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import { connected, dialableOf, madeIdentities, madeNode, rawPeer, until } from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const JOIN = '/quantd/join-test/1';
const INSIDE = '/quantd/inside-test/1';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});

const soon = (): AbortSignal => AbortSignal.timeout(5000);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (said: string): Uint8Array => new TextEncoder().encode(said);

/** A stranger `asker`, which knows the target but is unknown to it. */
async function strangers(admits: () => boolean): Promise<{ asker: PeerNode; target: PeerNode }> {
  const [a, b] = await madeIdentities(2);
  if (!a || !b) throw new Error('two identities');
  const target = await madeNode(b, [b], { admitsStrangers: admits });
  const asker = await madeNode(a, [a]);
  cleanups.push(
    () => target.stop(),
    () => asker.stop(),
  );
  target.answer(JOIN, 'strangers', async (from, request) => bytes(`${from} said ${text(request)}`));
  target.answer(INSIDE, 'members', async () => bytes('secret'));
  return { asker, target };
}

const at = (node: PeerNode): { peer: string; addresses: string[] } => ({
  peer: node.self,
  addresses: node.addresses(),
});

describe('a stranger', () => {
  test('gets an answer while strangers are admitted, and is then disconnected', async () => {
    const { asker, target } = await strangers(() => true);
    const answer = await asker.ask(at(target), JOIN, bytes('hello'), soon());
    expect(text(answer)).toBe(`${asker.self} said hello`);
    expect(asker.epochOf(target.self)).toBeUndefined();
  });

  test('gets nothing while they are not', async () => {
    const { asker, target } = await strangers(() => false);
    const ask = asker.ask(at(target), JOIN, bytes('hello'), soon());
    await expect(ask).rejects.toThrow(/QD-812[23]/);
  });

  test('gets no answer meant for members, no messages, no blocks and no gossip', async () => {
    const { asker, target } = await strangers(() => true);
    await expect(asker.ask(at(target), INSIDE, bytes('hello'), soon())).rejects.toThrow('QD-8123');
    const [c] = await madeIdentities(1);
    if (!c) throw new Error('an identity');
    const raw = await rawPeer(c);
    cleanups.push(() => raw.stop());
    const connection = await raw.dial(dialableOf(target));
    for (const protocol of [
      '/quantd/control/1',
      '/quantd/blk/1',
      '/meshsub/1.1.0',
      '/ipfs/id/1.0.0',
    ]) {
      const stream = await connection.newStream(protocol);
      if (stream.status === 'open') stream.send(bytes('anything'));
      await until(() => stream.status !== 'open');
      expect([protocol, stream.status]).toEqual([protocol, 'reset']);
    }
    expect(target.network.peers()).toEqual([]);
  });

  test('who has become a member in the meantime is one', async () => {
    const [a, b] = await madeIdentities(2);
    if (!a || !b) throw new Error('two identities');
    const members = new Set([b.peer]);
    const joined = new Set([a.peer]);
    const target = await madeNode(b, [], {
      admitsStrangers: () => true,
      roleOf: (peer) => (members.has(peer) ? 'worker' : undefined),
    });
    const asker = await madeNode(a, [], {
      roleOf: (peer) => (joined.has(peer) ? 'coordinator' : undefined),
    });
    cleanups.push(
      () => target.stop(),
      () => asker.stop(),
    );
    target.answer(JOIN, 'strangers', async (from) => {
      members.add(from);
      return bytes('welcome');
    });
    expect(text(await asker.ask(at(target), JOIN, bytes('hello'), soon()))).toBe('welcome');
    joined.add(b.peer);
    asker.keep(b.peer, target.addresses());
    await connected(asker, b.peer);
    await connected(target, a.peer);
  });

  test('no more than eight of them at a time', async () => {
    const { target } = await strangers(() => true);
    const raws = await Promise.all((await madeIdentities(10)).map((id) => rawPeer(id)));
    for (const raw of raws) {
      cleanups.push(() => raw.stop());
      await raw.dial(dialableOf(target)).catch(() => undefined);
      // So many connections a second of one address are allowed.
      await new Promise((resolve) => setTimeout(resolve, 210));
    }
    const inside = raws.filter((raw) => raw.getConnections().length > 0);
    expect(inside).toHaveLength(8);
  });

  test('the one who answers must be who was asked', async () => {
    const { asker, target } = await strangers(() => true);
    const [other] = await madeIdentities(1);
    if (!other) throw new Error('an identity');
    const addresses = target.addresses().map((address) => address.split('/p2p/')[0] ?? '');
    const ask = asker.ask({ peer: other.peer, addresses }, JOIN, bytes('x'), soon());
    await expect(ask).rejects.toThrow('QD-8122');
  });
});

describe('questions', () => {
  test('of 64 KiB, with answers as long', async () => {
    const { asker, target } = await strangers(() => true);
    target.answer('/quantd/echo/1', 'strangers', async (_, request) => request.reverse());
    const request = Uint8Array.from({ length: FRAME_BYTES_MAX }, (_, index) => index % 251);
    const answer = await asker.ask(at(target), '/quantd/echo/1', request, soon());
    expect(answer).toEqual(request.reverse());
  });

  test('longer ones are a bug of ours', async () => {
    const { asker, target } = await strangers(() => true);
    const ask = asker.ask(at(target), JOIN, new Uint8Array(FRAME_BYTES_MAX + 1), soon());
    await expect(ask).rejects.toThrow('assertion failed');
  });

  test('an answer that is none: the handler refused', async () => {
    const { asker, target } = await strangers(() => true);
    target.answer('/quantd/no/1', 'strangers', async () => {
      throw new Error('spent');
    });
    const ask = asker.ask(at(target), '/quantd/no/1', bytes('x'), soon());
    await expect(ask).rejects.toThrow('QD-8123');
  });

  test('a question nobody answers ends with its signal', async () => {
    const { asker, target } = await strangers(() => true);
    target.answer('/quantd/never/1', 'strangers', () => new Promise(() => undefined));
    const controller = new AbortController();
    const ask = asker.ask(at(target), '/quantd/never/1', bytes('x'), controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(ask).rejects.toThrow('enough');
  });

  test('without an address, or with a wrong one', async () => {
    const { asker, target } = await strangers(() => true);
    const none = asker.ask({ peer: target.self, addresses: [] }, JOIN, bytes('x'), soon());
    await expect(none).rejects.toThrow('QD-8122');
    const bad = asker.ask(
      { peer: target.self, addresses: ['localhost:1'] },
      JOIN,
      bytes('x'),
      soon(),
    );
    await expect(bad).rejects.toThrow('QD-8121');
    const other = `/ip4/127.0.0.1/tcp/1/p2p/${asker.self}`;
    const wrong = asker.ask({ peer: target.self, addresses: [other] }, JOIN, bytes('x'), soon());
    await expect(wrong).rejects.toThrow('QD-8121');
  });
});
