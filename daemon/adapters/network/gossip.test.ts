import { afterEach, expect, test } from 'vitest';
import type { MemberRole, PeerId, SumsHeld } from '../../../proto/peer-messages.ts';
import { connected, madeIdentities, madeNode, until } from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const nodes: PeerNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((each) => each.stop()));
});

const bytes = (said: string): Uint8Array => new TextEncoder().encode(said);

// Goal: a hint reaches members that are not neighbours, and what a peer that is no member any more
// says is dropped even where a member still passes it on. Method: three nodes in a row.
test('hints go on through members, and only theirs are heard', async () => {
  const ids = await madeIdentities(3);
  const [a, b, c] = ids;
  if (!a || !b || !c) throw new Error('three identities');
  const revoked = new Set<PeerId>();
  const roleOf = (peer: PeerId): MemberRole | undefined =>
    revoked.has(peer) ? undefined : 'worker';
  const first = await madeNode(a, ids);
  const middle = await madeNode(b, ids);
  const last = await madeNode(c, ids, { roleOf });
  nodes.push(first, middle, last);
  first.keep(b.peer, middle.addresses());
  last.keep(b.peer, middle.addresses());
  await connected(first, b.peer);
  await connected(last, b.peer);

  const heard: string[] = [];
  const stop = last.onGossip('sums', (from, said) =>
    heard.push(`${from} ${new TextDecoder().decode(said)}`),
  );
  middle.onGossip('sums', () => undefined);
  first.onGossip('sums', () => undefined);

  // Gossip may be lost while the mesh is being built: said until it is heard.
  let count = 0;
  const say = setInterval(() => first.gossip('sums', bytes(`hint ${count++}`)), 50);
  await until(() => heard.length > 0);
  expect(heard[0]).toMatch(new RegExp(`^${a.peer} hint \\d+$`));

  revoked.add(a.peer);
  const before = heard.length;
  const passedOn: string[] = [];
  middle.onGossip('sums', (from) => passedOn.push(from));
  await until(() => passedOn.length > 5);
  clearInterval(say);
  expect(heard).toHaveLength(before);

  middle.gossip('sums', bytes('from the middle'));
  await until(() => heard.at(-1) === `${b.peer} from the middle`);
  stop();
});
// Goal: a hint reaches members as a message, and noise on its topic reaches nobody.
test('a hint on the port is a message', async () => {
  const ids = await madeIdentities(2);
  const [a, b] = ids;
  if (!a || !b) throw new Error('two identities');
  const first = await madeNode(a, ids);
  const second = await madeNode(b, ids);
  nodes.push(first, second);
  first.keep(b.peer, second.addresses());
  await connected(first, b.peer);
  const heard: [PeerId, SumsHeld][] = [];
  first.network.listen({ hint: () => undefined });
  second.network.listen({ hint: (from, message) => heard.push([from, message]) });
  const digest = new Uint8Array(32).fill(7);
  const sums = [{ layer: 3, groups: [0, 2], leftOut: [], digest, bytes: 64 }];
  const message: SumsHeld = { kind: 'sums-held', run: 'ab'.repeat(16), sums };
  first.gossip('quantd/sums/1', bytes('no message'));
  const say = setInterval(() => first.network.hint(message), 50);
  await until(() => heard.length > 0);
  clearInterval(say);
  expect(heard[0]).toEqual([a.peer, message]);
});

test('gossip longer than a frame is a bug of ours', async () => {
  const ids = await madeIdentities(1);
  const [a] = ids;
  if (!a) throw new Error('an identity');
  const node = await madeNode(a, ids);
  nodes.push(node);
  expect(() => node.gossip('sums', new Uint8Array(64 * 1024 + 1))).toThrow('assertion failed');
});
