/**
 * Endpoint: the Network port of one simulated process. The links and their troubles are
 * false-network.ts.
 */

import { setMaxListeners } from 'node:events';
import type { BlobProvider, ConnectedPeer, Network, NetworkListener } from '../../daemon/ports.ts';
import { assert } from '../../proto/assert.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import { exitCodes, FaultError, type FaultKind } from '../../proto/fault.ts';
import { decodePeerMessage, encodePeerMessage } from '../../proto/peer-codec.ts';
import {
  LEAF_BYTES,
  type PeerId,
  type PeerMessage,
  type SumsHeld,
} from '../../proto/peer-messages.ts';
import type { FalseNetwork } from './false-network.ts';
import { sha256Hex } from './sha256.ts';
import type { Process } from './world.ts';

// What the real adapter waits for a block, give or take.
const BLOCK_MS_MAX = 20_000;
const LATE_MS_MAX = 60_000;

const noSource = {
  code: 'QD-8999',
  exit: exitCodes.network,
  what: 'no simulated source has the block',
  hint: 'none',
} as const satisfies FaultKind;

type PullOptions = Parameters<Network['pull']>[3];

interface Seen {
  readonly as: ConnectedPeer;
  readonly connection: number;
  /** Ends the requests that wait for an answer over this connection. */
  readonly waiting: Set<() => void>;
}

export class Endpoint implements Network {
  readonly as: ConnectedPeer;
  readonly process: Process;
  readonly #network: FalseNetwork;
  readonly #listeners = new Set<NetworkListener>();
  readonly #providers = new Set<BlobProvider>();
  readonly #seen = new Map<PeerId, Seen>();

  constructor(network: FalseNetwork, process: Process, as: ConnectedPeer) {
    this.#network = network;
    this.process = process;
    this.as = as;
  }

  get self(): PeerId {
    return this.as.peer;
  }

  peers(): readonly ConnectedPeer[] {
    return [...this.#seen.values()].map(({ as }) => as);
  }

  listen(listener: NetworkListener): () => void {
    this.#listeners.add(listener);
    for (const peer of this.peers()) listener.connected?.(peer);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  serve(provider: BlobProvider): () => void {
    this.#providers.add(provider);
    return () => {
      this.#providers.delete(provider);
    };
  }

  join(other: ConnectedPeer, connection: number): void {
    const before = this.#seen.get(other.peer);
    if (before !== undefined) this.lose(other.peer, before.connection);
    this.#seen.set(other.peer, { as: other, connection, waiting: new Set() });
    for (const listener of [...this.#listeners]) listener.connected?.(other);
  }

  lose(other: PeerId, connection: number): void {
    const seen = this.#seen.get(other);
    if (seen?.connection !== connection) return;
    this.#seen.delete(other);
    this.#network.witness.parted(this.self, other);
    for (const end of seen.waiting) end();
    for (const listener of [...this.#listeners]) listener.disconnected?.(other);
  }

  send(to: PeerId, message: PeerMessage): void {
    const seen = this.#seen.get(to);
    if (seen === undefined) return;
    const { world, dice, trouble, witness } = this.#network;
    const link = this.#network.linkOf(this.self, to);
    witness.said(this.self, to, message);
    // As bytes, so that limits count and nobody shares a buffer.
    const copy = decodePeerMessage(encodePeerMessage(message));
    const isLost = link.connection !== seen.connection || dice.chance(trouble.lostMessages);
    world.tell(() => `${this.self} → ${to} ${isLost ? '(lost) ' : ''}${spelled(copy)}`);
    if (isLost) return;
    const lateMs = dice.chance(trouble.lateMessages) ? dice.between(0, LATE_MS_MAX) : 0;
    this.#arrive(to, copy, link.latencyMs + dice.between(0, 5) + lateMs);
    if (!dice.chance(trouble.repeatedMessages)) return;
    for (let copies = dice.between(1, 3); copies > 0; copies--) {
      this.#arrive(to, copy, link.latencyMs + dice.skewed(0, LATE_MS_MAX));
    }
  }

  async addressesOf(): Promise<readonly string[]> {
    return [];
  }

  meet(): void {}

  /** Word gets round: to everyone or to nobody, once or twice, late or soon. */
  hint(message: SumsHeld): void {
    const { world, dice, trouble } = this.#network;
    for (const { as } of this.#seen.values()) {
      if (dice.chance(trouble.lostMessages)) continue;
      const times = dice.chance(trouble.repeatedMessages) ? 2 : 1;
      for (let copy = 0; copy < times; copy++) {
        world.at(dice.skewed(0, LATE_MS_MAX), undefined, 'a hint on its way', () => {
          const target = this.#network.endpointOf(as.peer);
          if (target === undefined) return;
          world.at(0, target.process, 'hint', () => {
            for (const listener of [...target.#listeners]) listener.hint?.(this.self, message);
          });
        });
      }
    }
  }

  #arrive(to: PeerId, message: PeerMessage, afterMs: number): void {
    const { world } = this.#network;
    world.at(afterMs, undefined, 'on its way', () => {
      const target = this.#network.endpointOf(to);
      if (target === undefined) return;
      world.at(0, target.process, 'message', () => target.#hear(this.self, message));
    });
  }

  #hear(from: PeerId, message: PeerMessage): void {
    const seen = this.#seen.get(from);
    if (seen === undefined) return;
    this.#network.world.tell(() => `${this.self} ← ${from} ${spelled(message)}`);
    for (const listener of [...this.#listeners]) listener.message?.(seen.as, message);
  }

  async pull(
    sources: readonly PeerId[],
    blob: BlobName,
    into: Uint8Array,
    { digests, signal }: PullOptions,
  ): Promise<void> {
    assert(blob.bytes === into.length, 'the room for a blob has its length');
    // A run has one signal for all its pulls.
    setMaxListeners(0, signal);
    for (let at = 0; at < into.length; at += LEAF_BYTES) {
      const room = into.subarray(at, Math.min(into.length, at + LEAF_BYTES));
      await this.#pullBlock(sources, blob, at, room, digests?.[at / LEAF_BYTES], signal);
    }
  }

  async #pullBlock(
    sources: readonly PeerId[],
    blob: BlobName,
    offset: number,
    into: Uint8Array,
    digest: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const wanted = digest === undefined ? undefined : Buffer.from(digest).toString('hex');
    for (const source of sources) {
      signal.throwIfAborted();
      const block = await this.#request(source, blob, offset, into.length, signal);
      if (block === undefined) continue;
      assert(block.length === into.length, 'a provider gives as many bytes as it is asked for');
      if (wanted !== undefined && sha256Hex(block) !== wanted) continue;
      into.set(block);
      return;
    }
    signal.throwIfAborted();
    throw new FaultError(noSource, { why: `${blob.kind} at ${offset} of ${sources.join(', ')}` });
  }

  #request(
    from: PeerId,
    blob: BlobName,
    offset: number,
    bytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const seen = this.#seen.get(from);
    if (seen === undefined) return Promise.resolve(undefined);
    const { world, dice, trouble } = this.#network;
    const link = this.#network.linkOf(this.self, from);
    world.tell(() => `${this.self} asks ${from} for ${blob.kind} at ${offset}`);
    return new Promise((resolve, reject) => {
      const stop = (): void => finish(undefined);
      const onAbort = (): void => {
        forget();
        reject(signal.reason);
      };
      const callOff = world.at(BLOCK_MS_MAX, this.process, 'block overdue', stop);
      const forget = (): void => {
        callOff();
        seen.waiting.delete(stop);
        signal.removeEventListener('abort', onAbort);
      };
      const finish = (block: Uint8Array | undefined): void => {
        forget();
        resolve(block);
      };
      seen.waiting.add(stop);
      signal.addEventListener('abort', onAbort, { once: true });
      const target = this.#network.endpointOf(from);
      if (target === undefined || link.connection !== seen.connection) return;
      if (dice.chance(trouble.lostBlocks)) return;
      world.at(link.latencyMs, target.process, 'block asked for', () => {
        target.#give(this, blob, offset, bytes, (block) => {
          if (link.connection !== seen.connection) return;
          world.at(link.latencyMs, this.process, 'block arrived', () => finish(block));
        });
      });
    });
  }

  /** Answers a request of another endpoint, if the blob is here and a connection to it. */
  #give(
    to: Endpoint,
    blob: BlobName,
    offset: number,
    bytes: number,
    deliver: (block: Uint8Array | undefined) => void,
  ): void {
    const { world, dice, trouble, witness } = this.#network;
    const seen = this.#seen.get(to.self);
    if (seen === undefined) return;
    const { bytesPerMs } = this.#network.linkOf(this.self, to.self);
    const find = async (): Promise<void> => {
      for (const provider of [...this.#providers]) {
        const found = await provider.read(seen.as, blob, offset, bytes);
        if (found === undefined) continue;
        world.at(bytes / bytesPerMs, this.process, 'block sent', () => {
          const block = found.slice();
          provider.sent?.(seen.as, blob, bytes);
          witness.sent(blob, bytes);
          if (dice.chance(trouble.wrongBlocks)) spoil(block, dice.between(0, bytes - 1));
          deliver(block);
        });
        return;
      }
      deliver(undefined);
    };
    find().catch((error: unknown) => {
      if (!(error instanceof FaultError)) world.fail(error);
      deliver(undefined);
    });
  }
}

function spoil(block: Uint8Array, at: number): void {
  block[at] = (block[at] ?? 0) ^ 1;
}

function spelled(message: PeerMessage): string {
  return JSON.stringify(message, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value.subarray(0, 4)).toString('hex') : value,
  );
}
