import { afterEach, expect, test } from 'vitest';
import type { ConnectedPeer } from '../../ports.ts';
import { connected, madeIdentities, madeNode } from './made-nodes.ts';
import type { PeerNode } from './peer-node.ts';

const nodes: PeerNode[] = [];
async function node(...parameters: Parameters<typeof madeNode>): Promise<PeerNode> {
  const made = await madeNode(...parameters);
  nodes.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((each) => each.stop()));
});

test('two members connect and say hello', async () => {
  const ids = await madeIdentities(2);
  const [a, b] = ids;
  if (!a || !b) throw new Error('two identities');
  const first = await node(a, ids);
  const second = await node(b, ids);
  const seen: ConnectedPeer[] = [];
  second.network.listen({ connected: (peer) => seen.push(peer) });
  first.keep(b.peer, second.addresses());
  await connected(first, b.peer);
  await connected(second, a.peer);
  expect(seen.map(({ peer }) => peer)).toEqual([a.peer]);
});
