import { createConnection } from 'node:net';
import { noise } from '@chainsafe/libp2p-noise';
import { afterEach, describe, expect, test } from 'vitest';
import type { MemberRole, PeerId, PeerMessage } from '../../../proto/peer-messages.ts';
import type { ConnectedPeer } from '../../ports.ts';
import {
  connected,
  dialableOf,
  type Identity,
  madeHello,
  madeIdentities,
  madeKey,
  madeNode,
  rawPeer,
  until,
} from './made-nodes.ts';
import { keyedHandshakes } from './network-keys.ts';
import type { PeerNode } from './peer-node.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()));
});
async function node(...parameters: Parameters<typeof madeNode>): Promise<PeerNode> {
  const made = await madeNode(...parameters);
  cleanups.push(() => made.stop());
  return made;
}
async function raw(...parameters: Parameters<typeof rawPeer>): ReturnType<typeof rawPeer> {
  const made = await rawPeer(...parameters);
  cleanups.push(async () => made.stop());
  return made;
}

async function pair(): Promise<[Identity, Identity]> {
  const [a, b] = await madeIdentities(2);
  if (!a || !b) throw new Error('two identities');
  return [a, b];
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Sees whoever connects, and what is said. */
function ears({ network }: PeerNode): { came: PeerId[]; went: PeerId[]; heard: PeerMessage[] } {
  const seen = { came: [] as PeerId[], went: [] as PeerId[], heard: [] as PeerMessage[] };
  network.listen({
    connected: ({ peer }) => seen.came.push(peer),
    disconnected: (peer) => seen.went.push(peer),
    message: (_, message) => seen.heard.push(message),
  });
  return seen;
}

describe('members of one network', () => {
  test('connect, whoever dials, and say hello once', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b], { hello: { ...madeHello, name: 'first' } });
    const second = await node(b, [a, b], { roleOf: () => 'coordinator' });
    const seen: ConnectedPeer[] = [];
    second.network.listen({ connected: (peer) => seen.push(peer) });
    second.keep(a.peer, first.addresses());
    await connected(first, b.peer);
    await connected(second, a.peer);
    expect(seen).toEqual([
      { peer: a.peer, role: 'coordinator', hello: { ...madeHello, name: 'first' } },
    ]);
    const late: PeerId[] = [];
    second.network.listen({ connected: ({ peer }) => late.push(peer) });
    expect(late).toEqual([a.peer]);
    expect(first.epochOf(b.peer)).toBe(1);
  });

  test('both dial at once: one link', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b]);
    const second = await node(b, [a, b]);
    const one = ears(first);
    first.keep(b.peer, second.addresses());
    second.keep(a.peer, first.addresses());
    await connected(first, b.peer);
    await connected(second, a.peer);
    await pause(1200);
    expect(one.came).toEqual([b.peer]);
    expect(one.went).toEqual([]);
  });

  test('hear messages in order, both ways', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b]);
    const second = await node(b, [a, b]);
    const one = ears(first);
    const two = ears(second);
    first.keep(b.peer, second.addresses());
    await connected(first, b.peer);
    await connected(second, a.peer);
    const run = 'ab'.repeat(16);
    for (let task = 0; task < 2000; task++) {
      first.network.send(b.peer, { kind: 'working', run, tasks: [task] });
      second.network.send(a.peer, { kind: 'kept', run, tasks: [task, task + 1] });
    }
    await until(() => one.heard.length === 2000 && two.heard.length === 2000);
    expect(two.heard).toEqual(
      Array.from({ length: 2000 }, (_, task) => ({ kind: 'working', run, tasks: [task] })),
    );
    expect(one.heard.at(-1)).toEqual({ kind: 'kept', run, tasks: [1999, 2000] });
  });

  test('a message to a peer that is away goes nowhere', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b]);
    first.network.send(b.peer, { kind: 'run-open', run: '0'.repeat(32) });
    expect(first.network.peers()).toEqual([]);
  });

  test('find each other again after one was restarted on its port', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b]);
    const second = await madeNode(b, [a, b]);
    const one = ears(first);
    first.keep(b.peer, second.addresses());
    await connected(first, b.peer);
    const port = second.addresses()[0]?.split('/')[4];
    await second.stop();
    await until(() => one.went.length === 1);
    expect(first.network.peers()).toEqual([]);
    await node(b, [a, b], { listen: [`/ip4/127.0.0.1/tcp/${port}`] });
    await connected(first, b.peer);
    expect(one.came).toEqual([b.peer, b.peer]);
  });

  test('an address that does not answer does not hide the one that does', async () => {
    const [a, b] = await pair();
    const first = await node(a, [a, b]);
    const second = await node(b, [a, b]);
    first.keep(b.peer, ['/ip4/127.0.0.1/tcp/1']);
    await pause(50);
    first.keep(b.peer, second.addresses());
    await connected(first, b.peer);
  });

  test('a forgotten one is disconnected and not dialled any more', async () => {
    const [a, b] = await pair();
    const members = new Set([a.peer, b.peer]);
    const roleOf = (peer: PeerId): MemberRole | undefined =>
      members.has(peer) ? 'worker' : undefined;
    const first = await node(a, [], { roleOf });
    const second = await node(b, [a, b]);
    first.keep(b.peer, second.addresses());
    await connected(second, a.peer);
    members.delete(b.peer);
    first.forget(b.peer);
    await until(() => second.network.peers().length === 0);
    await pause(800);
    expect(second.network.peers()).toEqual([]);
    expect(first.network.peers()).toEqual([]);
  });

  test('who is no member any more is cut off within a beat', async () => {
    const [a, b] = await pair();
    const members = new Set([a.peer, b.peer]);
    const first = await node(a, [], {
      roleOf: (peer) => (members.has(peer) ? 'worker' : undefined),
    });
    const second = await node(b, [a, b]);
    first.keep(b.peer, second.addresses());
    await connected(second, a.peer);
    const one = ears(first);
    members.delete(b.peer);
    second.network.send(a.peer, { kind: 'run-open', run: '0'.repeat(32) });
    await until(() => first.network.peers().length === 0, 3000);
    expect(one.heard).toEqual([]);
  });
});

describe('epochs of the key', () => {
  const older = { epoch: 1, key: madeKey(1) };
  const newer = { epoch: 2, key: madeKey(2) };

  test.each([
    ['both new', [newer, older], [newer, older], 2],
    ['one was away', [newer, older], [older], 1],
    ['the other was away', [older], [newer, older], 1],
  ])('%s', async (_, keysOfFirst, keysOfSecond, epoch) => {
    const [a, b] = await pair();
    const first = await node(a, [a, b], { networkKeys: keysOfFirst });
    const second = await node(b, [a, b], { networkKeys: keysOfSecond });
    first.keep(b.peer, second.addresses());
    await connected(first, b.peer);
    await connected(second, a.peer);
    expect(first.epochOf(b.peer)).toBe(epoch);
    expect(second.epochOf(a.peer)).toBe(epoch);
  });
});

describe('whoever does not belong gets nowhere', () => {
  /** The name of the handshake that the nodes offer. */
  const [offered] = [...keyedHandshakes([{ epoch: 1, key: madeKey(1) }]).epochs.keys()];
  if (offered === undefined) throw new Error('a key has a name');

  /** Tells whether `dial` got a connection that lives. */
  async function gotIn(
    target: PeerNode,
    dialler: Awaited<ReturnType<typeof rawPeer>>,
  ): Promise<boolean> {
    try {
      await dialler.dial(dialableOf(target));
    } catch {
      return false;
    }
    await pause(300);
    return dialler.getConnections().length > 0;
  }

  test('a member with the key gets in, as this test knows how', async () => {
    const [a, b] = await pair();
    const target = await node(b, [a, b]);
    expect(await gotIn(target, await raw(a))).toBe(true);
  });

  test('a member with another key', async () => {
    const [a, b] = await pair();
    const target = await node(b, [a, b]);
    const seen = ears(target);
    const other = await node(a, [a, b], { networkKeys: [{ epoch: 1, key: madeKey(9) }] });
    other.keep(b.peer, target.addresses());
    await pause(700);
    expect(seen.came).toEqual([]);
    expect(other.network.peers()).toEqual([]);
    // Even under the name of the right protocol.
    const right = await raw(a, {
      connectionEncrypters: [
        (components) =>
          Object.assign(noise({ prologueBytes: madeKey(9) })(components), {
            protocol: offered,
          }),
      ],
    });
    expect(await gotIn(target, right)).toBe(false);
  });

  test('no key, by the usual protocols', async () => {
    const [a, b] = await pair();
    const target = await node(b, [a, b]);
    expect(await gotIn(target, await raw(a, { connectionEncrypters: [noise()] }))).toBe(false);
  });

  test('an unknown peer that has the key', async () => {
    const [a, b] = await pair();
    const target = await node(b, [b]);
    const seen = ears(target);
    expect(await gotIn(target, await raw(a))).toBe(false);
    expect(seen.came).toEqual([]);
  });

  test.each(['/noise', '/tls/1.0.0', '/plaintext/2.0.0'])('%s is not offered', async (name) => {
    const [a, b] = await pair();
    const target = await node(b, [a, b]);
    const said = await negotiate(target, name);
    expect(said).toContain('na\n');
    expect(said).not.toContain(`${name}\n`);
  });

  test('the handshake with the key is, as this test knows how to ask', async () => {
    const [a, b] = await pair();
    expect(await negotiate(await node(b, [a, b]), offered)).toContain(`${offered}\n`);
  });

  /** What the node says to a plain socket that asks for one way to encrypt. */
  async function negotiate(target: PeerNode, protocol: string): Promise<string> {
    const port = Number(target.addresses()[0]?.split('/')[4]);
    const socket = createConnection(port, '127.0.0.1');
    const line = (text: string): Buffer =>
      Buffer.concat([Buffer.of(text.length + 1), Buffer.from(`${text}\n`)]);
    socket.write(Buffer.concat([line('/multistream/1.0.0'), line(protocol)]));
    const parts: Buffer[] = [];
    socket.on('data', (part) => parts.push(part));
    await pause(200);
    socket.destroy();
    return Buffer.concat(parts).toString('latin1');
  }
});

describe('another version', () => {
  test.each([
    ['version', { version: '0.2.0' }, 'it runs quantd 0.2.0, this is 0.1.0'],
    ['contract', { contract: 'det-2' }, 'its numbers follow det-2, ours det-1'],
  ])('%s', async (_, change, sentence) => {
    const [a, b] = await pair();
    const refusals: string[] = [];
    const first = await node(a, [a, b], {
      onRefused: (peer, why) => refusals.push(`${peer} ${why}`),
    });
    const otherRefusals: string[] = [];
    const second = await node(b, [a, b], {
      hello: { ...madeHello, ...change },
      onRefused: (peer) => otherRefusals.push(peer),
    });
    first.keep(b.peer, second.addresses());
    await until(() => refusals.length > 0 && otherRefusals.length > 0);
    expect(refusals[0]).toBe(`${b.peer} ${sentence}`);
    expect(otherRefusals[0]).toBe(a.peer);
    await pause(700);
    expect(first.network.peers()).toEqual([]);
    expect(second.network.peers()).toEqual([]);
  });
});

test('a port that is taken is a fault with its address', async () => {
  const [a, b] = await pair();
  const first = await node(a, [a, b]);
  const port = first.addresses()[0]?.split('/')[4];
  await expect(madeNode(b, [a, b], { listen: [`/ip4/127.0.0.1/tcp/${port}`] })).rejects.toThrow(
    'QD-8120',
  );
});

test('an identity that is none is a fault', async () => {
  const [a] = await pair();
  await expect(madeNode({ ...a, identity: new Uint8Array(5) }, [])).rejects.toThrow('QD-8125');
});
