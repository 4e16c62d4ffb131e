/**
 * Goal: what a machine makes is taken by the coordinator that asked for it and by the machines that
 * its lease names, and by nobody else.
 * Method: the real role, a coordinator that gives it one lease, and members who ask.
 */

import { expect, test } from 'vitest';
import { layoutGguf } from '../../daemon/core/gguf/layout.ts';
import { leaseOf } from '../../daemon/core/plan/leased-task.ts';
import { planRun } from '../../daemon/core/plan/plan.ts';
import type { Network } from '../../daemon/ports.ts';
import type { Lease, MemberRole, PeerMessage } from '../../proto/peer-messages.ts';
import { holdLeases, nothingPlanted } from './daemons.ts';
import { diceOf } from './dice.ts';
import { LeafDisk } from './false-leaf-store.ts';
import { FalseNetwork, peerIdOf, peerOf } from './false-network.ts';
import { sha256, sha256Hex } from './sha256.ts';
import { Process, World } from './world.ts';

const RUN = '5'.repeat(32);
const offer = { threads: 1, ramBytes: 1_000_000, diskBytes: 1_000_000, bytesPerSecond: 1 };
const content = new Uint8Array(2 * 64 * 4).map((_, index) => index);
const [COORDINATOR, MEMBER] = [peerIdOf('coordinator'), peerIdOf('member')];
const [FIRST, SECOND, OTHER] = [peerIdOf('first'), peerIdOf('second'), peerIdOf('other')];

function leaseFor(assemblers: readonly string[]): Lease {
  const part = { name: 'w', dtype: 'BF16', shape: [64, 4], file: 'w', offset: 0 } as const;
  const tensor = {
    ...{ name: 'blk.0.attn_q.weight', shape: [64, 4], keepF32: false },
    source: {
      kind: 'checkpoint' as const,
      dtype: 'BF16' as const,
      parts: [{ ...part, bytes: content.length }],
    },
  };
  const layout = layoutGguf({ metadata: [], tensors: [{ ...tensor, type: 'Q8_0' }] });
  const types = new Map([[tensor.name, 'Q8_0' as const]]);
  const fileDigests = new Map([['w', sha256Hex(content)]]);
  const outputs = [{ file: 'w.gguf', types, layout }];
  const plan = planRun({ tensors: [tensor], outputs, fileDigests, sha256 });
  const leaves = [[sha256(content)]];
  return leaseOf(plan, 0, [0], { run: RUN, sources: [COORDINATOR], assemblers, leaves });
}

test('what is made is given to those whom the lease names, as it was said last', async () => {
  const world = new World(diceOf(1), false);
  const nothing = (): undefined => undefined;
  const network = new FalseNetwork(world, { sent: nothing, said: nothing, parted: nothing });
  const join = (name: string, role: MemberRole): Network =>
    network.join(new Process(world, name), peerOf(name, role, offer));
  const pass = async (milliseconds: number): Promise<void> => {
    const endMs = world.nowMs + milliseconds;
    world.at(milliseconds, undefined, 'enough', () => undefined);
    await world.run(() => world.nowMs >= endMs);
  };
  const process = new Process(world, MEMBER);
  const own = network.join(process, peerOf(MEMBER, 'worker', offer));
  const leaves = new LeafDisk(world.dice, offer.diskBytes);
  const speed = { leastMs: 1, bytesPerMs: 1000 };
  holdLeases({ process, leaves, network: own, speed, offer }, nothingPlanted);
  const coordinator = join(COORDINATOR, 'coordinator');
  const heard: PeerMessage[] = [];
  coordinator.listen({ message: (_, message) => void heard.push(message) });
  coordinator.serve({
    read: async (_, blob, offset, bytes) =>
      blob.kind === 'source' ? content.subarray(offset, offset + bytes) : undefined,
  });
  const members = new Map([FIRST, SECOND].map((peer) => [peer, join(peer, 'worker')]));
  // What another coordinator asked for is none of its business.
  members.set(OTHER, join(OTHER, 'coordinator'));
  members.set(COORDINATOR, coordinator);
  await pass(1000);

  const takers = async (): Promise<string[]> => {
    const [{ unit = '', bytes = 0 } = {}] = lease.runs;
    const blob = { kind: 'block-run', run: RUN, unit, bytes } as const;
    const served = new Set<string>();
    for (const [peer, asking] of members) {
      const { signal } = new AbortController();
      const pulled = asking.pull([MEMBER], blob, new Uint8Array(bytes), { signal });
      void pulled.then(() => served.add(peer)).catch(nothing);
    }
    await pass(60_000);
    return [...served].sort();
  };
  let lease = leaseFor([FIRST]);
  coordinator.send(MEMBER, lease);
  await pass(5000);
  expect(heard.find(({ kind }) => kind === 'answer')).toMatchObject({ made: [{}] });
  expect(await takers()).toEqual([COORDINATOR, FIRST].sort());
  lease = leaseFor([SECOND]);
  coordinator.send(MEMBER, lease);
  await pass(5000);
  expect(await takers()).toEqual([COORDINATOR, SECOND].sort());
});
