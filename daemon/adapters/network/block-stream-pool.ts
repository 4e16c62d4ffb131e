/**
 * Block stream pool: streams to peers that outlive a pull, because a new one costs two round
 * trips, and no more of them than may have blocks on their way.
 */

import type { PeerId } from '../../../proto/peer-messages.ts';
import { BLOCK_STREAMS_MAX, BLOCK_STREAMS_TOTAL_MAX } from './block-limits.ts';
import { BlockStream } from './block-stream.ts';
import type { ControlLinks } from './control-links.ts';
import type { Tally } from './tally.ts';

/** A peer that went away may come back: its blocks are worth waiting this long. */
const RECONNECT_MS_MAX = 10_000;

/** Streams that are kept open to a peer from which nothing is being pulled. */
const IDLE_MAX = 2;

interface Streams {
  readonly idle: BlockStream[];
  busy: number;
}

export class BlockStreamPool {
  readonly #links: ControlLinks;
  readonly #received: Tally;
  readonly #peers = new Map<PeerId, Streams>();
  readonly #waiting = new Set<() => void>();
  #busy = 0;

  constructor(links: ControlLinks, received: Tally) {
    this.#links = links;
    this.#received = received;
  }

  /**
   * A stream of one's own until it is given back.
   * @throws where the peer is not connected in time, or the signal aborts
   */
  async take(peer: PeerId, signal: AbortSignal): Promise<BlockStream> {
    // Who waits for a peer to come back takes no turn from those who wait for others.
    if ((await this.#links.whenConnected(peer, RECONNECT_MS_MAX, signal)) === undefined) {
      signal.throwIfAborted();
      throw new Error('it is not connected');
    }
    const streams = await this.#turn(peer, signal);
    try {
      const kept = streams.idle.splice(0).filter((stream) => stream.open);
      const stream = kept.pop();
      streams.idle.push(...kept);
      return stream ?? (await this.#open(peer, signal));
    } catch (error) {
      this.#done(peer, streams);
      throw error;
    }
  }

  giveBack(peer: PeerId, stream: BlockStream): void {
    const streams = this.#peers.get(peer);
    if (streams === undefined) return;
    if (stream.open && stream.idle && streams.idle.length < IDLE_MAX) streams.idle.push(stream);
    else stream.close();
    this.#done(peer, streams);
  }

  stop(): void {
    for (const { idle } of this.#peers.values()) for (const stream of idle) stream.close();
  }

  async #turn(peer: PeerId, signal: AbortSignal): Promise<Streams> {
    while (true) {
      const streams = this.#peers.get(peer) ?? { idle: [], busy: 0 };
      if (streams.busy < BLOCK_STREAMS_MAX && this.#busy < BLOCK_STREAMS_TOTAL_MAX) {
        this.#peers.set(peer, streams);
        streams.busy += 1;
        this.#busy += 1;
        return streams;
      }
      await this.#change(signal);
      signal.throwIfAborted();
    }
  }

  async #open(peer: PeerId, signal: AbortSignal): Promise<BlockStream> {
    const connection = this.#links.connectionTo(peer);
    if (connection === undefined) throw new Error('it went away');
    return BlockStream.open(connection, signal, (bytes) => {
      this.#links.heard(peer);
      this.#received.add(peer, bytes);
    });
  }

  #done(peer: PeerId, streams: Streams): void {
    streams.busy -= 1;
    this.#busy -= 1;
    if (streams.busy === 0 && streams.idle.length === 0) this.#peers.delete(peer);
    for (const wake of [...this.#waiting]) wake();
  }

  async #change(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
