/**
 * Questions: one request and one answer on a stream of its own.
 *
 *   ask ──▶ request frame ──▶ handler ──▶ answer frame ──▶ the asker
 *
 * For what does not fit the control link: joining, where the asker is not yet a member.
 */

import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { assert } from '../../../proto/assert.ts';
import { FaultError } from '../../../proto/fault.ts';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { ADDRESSES_MAX, dialable } from './addresses.ts';
import { type Chunk, received, sendAll } from './byte-streams.ts';
import { connectionsTo } from './control-links.ts';
import { networkFaults } from './faults.ts';
import type { Gate } from './gate.ts';
import type { Access, AskTarget } from './node-options.ts';

/** A frame, the length before it and what may follow in the same packet. */
const UNREAD_BYTES_MAX: number = 2 * FRAME_BYTES_MAX;

/** Who asks must send its request within this time, and take the answer. */
const REQUEST_MS_MAX = 10_000;

/** At most this many questions of one peer and one kind at a time. */
const QUESTIONS_MAX = 8;

export type Answerer = (from: PeerId, request: Uint8Array) => Promise<Uint8Array>;

export class Questions {
  readonly #libp2p: Libp2p;
  readonly #gate: Gate;

  constructor(libp2p: Libp2p, gate: Gate) {
    this.#libp2p = libp2p;
    this.#gate = gate;
  }

  async ask(
    target: AskTarget,
    protocol: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    assert(request.length <= FRAME_BYTES_MAX, 'a request fits a frame');
    const done = this.#gate.asking(target.peer);
    try {
      const connection = await this.#connect(target, signal);
      return await this.#askOn(connection, protocol, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      done();
      if (!this.#gate.admits(target.peer)) this.#hangUp(target.peer);
    }
  }

  answer(protocol: string, access: Access, answerer: Answerer): void {
    const handler = async (stream: Stream, connection: Connection): Promise<void> => {
      const from = connection.remotePeer.toString();
      const timer = setTimeout(() => stream.abort(new Error('too slow')), REQUEST_MS_MAX);
      try {
        if (!this.#gate.mayUse(from, access)) throw new Error('not a question for that peer');
        const request = await oneFrame(stream);
        clearTimeout(timer);
        const answer = await answerer(from, request);
        assert(answer.length <= FRAME_BYTES_MAX, 'an answer fits a frame');
        await say(stream, answer);
      } catch (error) {
        clearTimeout(timer);
        stream.abort(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const limits = { maxInboundStreams: QUESTIONS_MAX, maxOutboundStreams: QUESTIONS_MAX };
    void this.#libp2p.handle(protocol, handler, limits);
  }

  async #connect({ peer, addresses }: AskTarget, signal: AbortSignal): Promise<Connection> {
    const open = connectionsTo(this.#libp2p, peer).find(({ status }) => status === 'open');
    if (open !== undefined) return open;
    const found = dialable(peer, addresses.slice(0, ADDRESSES_MAX));
    if (found.length === 0) {
      throw new FaultError(networkFaults.unreachable, { key: peer, why: 'it has no address' });
    }
    try {
      return await this.#libp2p.dial(found, { signal });
    } catch (cause) {
      throw new FaultError(networkFaults.unreachable, { key: peer, why: why(cause) }, { cause });
    }
  }

  async #askOn(
    connection: Connection,
    protocol: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    let stream: Stream | undefined;
    const stop = (): void => stream?.abort(new Error('asked no more'));
    signal.addEventListener('abort', stop);
    try {
      stream = await connection.newStream(protocol, { signal });
      signal.throwIfAborted();
      await say(stream, request);
      return await oneFrame(stream);
    } catch (cause) {
      const key = connection.remotePeer.toString();
      throw new FaultError(networkFaults.noAnswer, { key, why: why(cause) }, { cause });
    } finally {
      signal.removeEventListener('abort', stop);
      if (stream?.status === 'open') stream.abort(new Error('the answer is here'));
    }
  }

  #hangUp(peer: PeerId): void {
    for (const connection of connectionsTo(this.#libp2p, peer)) {
      connection.abort(new Error('all is asked'));
    }
  }
}

/** Says one frame, and that it is the last. */
async function say(stream: Stream, frame: Uint8Array): Promise<void> {
  await pipe(
    [frame],
    (source) => encode(source),
    (chunks) => sendAll(stream, chunks),
  );
  await stream.close();
}

/** The first frame; what comes after it is not read. */
async function oneFrame(stream: Stream): Promise<Uint8Array> {
  return pipe(
    received(stream, UNREAD_BYTES_MAX),
    (source) => decode(source, { maxDataLength: FRAME_BYTES_MAX }),
    firstOf,
  );
}

async function firstOf(frames: AsyncIterable<Chunk>): Promise<Uint8Array> {
  for await (const frame of frames) return Uint8Array.from(frame.subarray());
  throw new Error('nothing was said');
}

function why(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
