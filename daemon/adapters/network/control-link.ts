/**
 * Control link: the one long-lived stream between two members.
 *
 *   hello, then messages ──▶ frames ──▶ stream ──▶ frames ──▶ hello, then messages
 *
 * An empty frame is a heartbeat. Read next: control-links.ts, which keeps one link a peer.
 */

import type { Connection, Stream } from '@libp2p/interface';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import { FaultError } from '../../../proto/fault.ts';
import { decodePeerMessage, encodePeerMessage } from '../../../proto/peer-codec.ts';
import { FRAME_BYTES_MAX } from '../../../proto/peer-limits.ts';
import type { Hello, PeerId, PeerMessage } from '../../../proto/peer-messages.ts';
import { type Chunk, received } from './byte-streams.ts';

/** What may wait for a peer that does not read: some hundred leases, before it is given up. */
const UNSENT_BYTES_MAX: number = 4 * 1024 * 1024;

/** Frames are handled as they come, so that what waits is what one read of the socket brought. */
const UNREAD_BYTES_MAX: number = 4 * 1024 * 1024;

export interface LinkEvents {
  /** The first frame, and the only hello. False ends the link. */
  hello(link: ControlLink, hello: Hello): boolean;
  message(link: ControlLink, message: PeerMessage): void;
  /** Anything came. */
  heard(link: ControlLink): void;
  /** Once, as the last. `why` is there when the peer broke the protocol. */
  ended(link: ControlLink, why: string | undefined): void;
}

export class ControlLink {
  readonly peer: PeerId;
  readonly connection: Connection;
  readonly #stream: Stream;
  readonly #events: LinkEvents;
  #hello: Hello | undefined;
  #closed = false;

  /** Says hello, and runs until the stream ends. */
  constructor(stream: Stream, connection: Connection, hello: Hello, events: LinkEvents) {
    this.peer = connection.remotePeer.toString();
    this.connection = connection;
    this.#stream = stream;
    this.#events = events;
    stream.maxWriteBufferLength = UNSENT_BYTES_MAX;
    this.send(hello);
    void this.#run();
  }

  /** What the peer said of itself; undefined until it has. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  send(message: PeerMessage): void {
    this.#sendFrame(encodePeerMessage(message));
  }

  /** Nothing where bytes already wait to be sent: they are a better sign of life. */
  beat(): void {
    if (this.#stream.writeBufferLength === 0) this.#sendFrame(new Uint8Array(0));
  }

  close(): void {
    this.#closed = true;
    this.#stream.abort(new Error('the link is closed'));
  }

  #sendFrame(frame: Uint8Array): void {
    if (this.#stream.writeStatus !== 'writable') return;
    try {
      this.#stream.send(encode.single(frame));
    } catch {
      // It closed in the middle; whoever waits for an answer says it again.
    }
    // A peer that never reads takes our memory: it loses its connection, not only the stream.
    if (this.#stream.status === 'aborted' && !this.#closed) {
      this.connection.abort(new Error('the peer does not read'));
    }
  }

  async #run(): Promise<void> {
    let why: string | undefined;
    try {
      await pipe(
        received(this.#stream, UNREAD_BYTES_MAX),
        (source) => decode(source, { maxDataLength: FRAME_BYTES_MAX }),
        (frames) => this.#takeFrames(frames),
      );
    } catch (error) {
      // A reset is the end of a connection; anything else is what the peer should not have said.
      if (this.#stream.status === 'open') why = sentenceOf(error);
    }
    this.close();
    this.#events.ended(this, why);
  }

  async #takeFrames(frames: AsyncIterable<Chunk>): Promise<void> {
    for await (const frame of frames) {
      this.#events.heard(this);
      if (frame.byteLength > 0 && !this.#take(decodePeerMessage(frame.subarray()))) return;
    }
  }

  #take(message: PeerMessage): boolean {
    if (this.#hello === undefined) {
      if (message.kind !== 'hello') throw new Error(`it said ${message.kind} before hello`);
      this.#hello = message;
      return this.#events.hello(this, message);
    }
    if (message.kind === 'hello') throw new Error('it said hello twice');
    this.#events.message(this, message);
    return true;
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof FaultError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
