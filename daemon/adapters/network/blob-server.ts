/**
 * Blob server: answers requests for blocks, in their order, as fast as they are taken.
 *
 *   request ──▶ provider.read ──▶ SHA-256 ──▶ reply, bytes ──▶ the one who pulls
 *
 * Blocks are read ahead while the one before is being sent, at most as many as a stream may have
 * asked for. Read next: block-stream.ts, the other end.
 */

import type { Connection, Stream } from '@libp2p/interface';
import { decode, encode } from 'it-length-prefixed';
import { pipe } from 'it-pipe';
import {
  type BlockRequest,
  decodeBlockRequest,
  encodeBlockReply,
} from '../../../proto/block-codec.ts';
import { BLOCK_REQUEST_BYTES_MAX } from '../../../proto/peer-limits.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import type { BlobProvider, ConnectedPeer } from '../../ports.ts';
import { BLOCK_STREAMS_MAX, BLOCKS_ASKED_MAX } from './block-limits.ts';
import { ByteBudget } from './byte-budget.ts';
import { type Chunk, received, sendAll } from './byte-streams.ts';
import type { ControlLinks } from './control-links.ts';
import type { Tally } from './tally.ts';

/** Of all peers together, read and not yet sent. */
const IN_FLIGHT_BYTES_MAX: number = 256 * 1024 * 1024;

/** A stream that takes nothing for so long holds blocks that others could have. */
const STALL_MS_MAX = 20_000;

/** A peer whose stream is faster than its hello. */
const HELLO_WAIT_MS = 5000;

const REQUESTS_BYTES_MAX: number = 4 * BLOCKS_ASKED_MAX * BLOCK_REQUEST_BYTES_MAX;

interface ServerOptions {
  readonly links: ControlLinks;
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  readonly sent: Tally;
}

interface Block {
  /** Undefined where nobody has it, or not for this peer. */
  readonly found:
    | { readonly bytes: Uint8Array; readonly digest: Uint8Array | undefined }
    | undefined;
  /** Tells whoever gave it that it left. */
  readonly sent: () => void;
  readonly release: () => void;
}

export class BlobServer {
  readonly #options: ServerOptions;
  readonly #providers = new Set<BlobProvider>();
  readonly #budget = new ByteBudget(IN_FLIGHT_BYTES_MAX);
  readonly #streams = new Map<PeerId, number>();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  serve(provider: BlobProvider): () => void {
    // A copy: the same provider may be offered twice.
    const own: BlobProvider = {
      read: (to, blob, offset, bytes) => provider.read(to, blob, offset, bytes),
      sent: (to, blob, bytes) => provider.sent?.(to, blob, bytes),
    };
    this.#providers.add(own);
    return () => this.#providers.delete(own);
  }

  async accept(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString();
    const open = this.#streams.get(peer) ?? 0;
    // libp2p counts streams a connection, and a peer may have many of those.
    if (open >= BLOCK_STREAMS_MAX) {
      stream.abort(new Error('too many streams for blocks'));
      return;
    }
    this.#streams.set(peer, open + 1);
    try {
      await new Service(stream, peer, this).run();
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
    } finally {
      const left = (this.#streams.get(peer) ?? 1) - 1;
      if (left > 0) this.#streams.set(peer, left);
      else this.#streams.delete(peer);
    }
  }

  /** @throws where the peer may have nothing at all */
  async read(peer: PeerId, request: BlockRequest): Promise<Block> {
    const { blob, offset, bytes, isDigestKnown } = request;
    const release = await this.#budget.take(bytes);
    try {
      const to = await this.#member(peer);
      for (const provider of this.#providers) {
        const found = await provider.read(to, blob, offset, bytes);
        if (found === undefined) continue;
        if (found.length !== bytes) throw new Error('a provider gave another length than asked');
        const sent = (): void => {
          this.#options.sent.add(peer, bytes);
          provider.sent?.(to, blob, bytes);
        };
        const digest = isDigestKnown ? undefined : await this.#options.sha256(found);
        return { found: { bytes: found, digest }, sent, release };
      }
      return { found: undefined, sent: () => undefined, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #member(peer: PeerId): Promise<ConnectedPeer> {
    const { links } = this.#options;
    const to = await links.whenConnected(peer, HELLO_WAIT_MS);
    if (to === undefined) throw new Error('blocks are for members that have said hello');
    return to;
  }

  heard(peer: PeerId): void {
    this.#options.links.heard(peer);
  }
}

/** One stream of requests. */
class Service {
  readonly #stream: Stream;
  readonly #peer: PeerId;
  readonly #server: BlobServer;
  #asked = 0;
  #answered: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Stream, peer: PeerId, server: BlobServer) {
    this.#stream = stream;
    this.#peer = peer;
    this.#server = server;
  }

  async run(): Promise<void> {
    try {
      await pipe(
        received(this.#stream, REQUESTS_BYTES_MAX),
        (source) => decode(source, { maxDataLength: BLOCK_REQUEST_BYTES_MAX }),
        (frames) => this.#takeFrames(frames),
      );
    } catch (error) {
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)));
    } finally {
      // What was begun for the peer counts as its own until it is over.
      await this.#answered;
      clearTimeout(this.#timer);
    }
    if (this.#stream.status === 'open') await this.#stream.close();
  }

  async #takeFrames(frames: AsyncIterable<Chunk>): Promise<void> {
    for await (const frame of frames) {
      const request = decodeBlockRequest(frame.subarray());
      this.#asked += 1;
      if (this.#asked > BLOCKS_ASKED_MAX)
        throw new Error('more blocks were asked for than allowed');
      this.#server.heard(this.#peer);
      const block = this.#server.read(this.#peer, request);
      block.catch(() => undefined);
      this.#answered = this.#answered.then(() => this.#answer(block));
    }
  }

  /** Never rejects: what goes wrong ends the stream. */
  async #answer(reading: Promise<Block>): Promise<void> {
    let block: Block | undefined;
    try {
      block = await reading;
      this.#moved();
      await sendAll(this.#stream, replyOf(block), () => this.#moved());
      clearTimeout(this.#timer);
      this.#asked -= 1;
      block.sent();
    } catch (error) {
      this.#stream.abort(error instanceof Error ? error : new Error(String(error)));
    } finally {
      block?.release();
    }
  }

  #moved(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#stream.abort(new Error('nothing is taken from the stream')),
      STALL_MS_MAX,
    );
    this.#timer.unref();
  }
}

function replyOf({ found }: Block): Chunk[] {
  if (found === undefined) return [encode.single(encodeBlockReply({ kind: 'absent' }))];
  const { bytes, digest } = found;
  return [encode.single(encodeBlockReply({ kind: 'ok', digest, bytes: bytes.length })), bytes];
}
