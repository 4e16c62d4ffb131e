/**
 * Block stream: asks a peer for blocks and puts their bytes where they belong.
 *
 *   request ──▶   ◀── reply, bytes ──▶ straight into the caller's memory
 *
 * Replies come in the order of the requests. The stream is never paused, because it never gets
 * more than was asked for; each byte is copied once. Read next: blob-pull.ts.
 */

import type { Connection, Stream, StreamMessageEvent } from '@libp2p/interface';
import { encode } from 'it-length-prefixed';
import { assert } from '../../../proto/assert.ts';
import {
  type BlockRequest,
  decodeBlockReply,
  encodeBlockRequest,
} from '../../../proto/block-codec.ts';
import { BLOCK_REPLY_BYTES_MAX } from '../../../proto/peer-limits.ts';
import { BLOCK_PROTOCOL, BLOCKS_ASKED_MAX } from './block-limits.ts';

/** Nothing came for so long though something was asked for. */
const STALL_MS_MAX = 20_000;

const OPEN_MS_MAX = 5000;

/** The sender's digest where it was asked for. */
export type ReceivedBlock = { readonly digest: Uint8Array | undefined } | 'absent';

interface Asked {
  readonly into: Uint8Array;
  filled: number;
  /** What was said of the block, once its bytes come. */
  reply: { readonly digest: Uint8Array | undefined } | undefined;
  readonly resolve: (block: ReceivedBlock) => void;
  readonly reject: (error: Error) => void;
}

export class BlockStream {
  readonly #stream: Stream;
  readonly #heard: (bytes: number) => void;
  readonly #asked: Asked[] = [];
  /** The reply's words as they come: a length of one byte, then so many. */
  readonly #words: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  static async open(
    connection: Connection,
    signal: AbortSignal,
    heard: (bytes: number) => void,
  ): Promise<BlockStream> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(OPEN_MS_MAX)]);
    return new BlockStream(await connection.newStream(BLOCK_PROTOCOL, { signal: within }), heard);
  }

  private constructor(stream: Stream, heard: (bytes: number) => void) {
    this.#stream = stream;
    this.#heard = heard;
    stream.addEventListener('message', (event) => this.#take(event));
    const ended = (): void => this.#fail(new Error('the stream ended'));
    stream.addEventListener('close', ended);
    stream.addEventListener('remoteCloseWrite', ended);
  }

  get open(): boolean {
    return this.#stream.status === 'open' && this.#stream.remoteWriteStatus === 'writable';
  }

  /** Nothing is on its way. */
  get idle(): boolean {
    return this.#asked.length === 0;
  }

  /** Resolves when `into` is full or the peer has not got it; what is in it is not yet checked. */
  async pull(request: BlockRequest, into: Uint8Array): Promise<ReceivedBlock> {
    assert(into.length === request.bytes, 'a block has its place');
    assert(this.#asked.length < BLOCKS_ASKED_MAX, 'no more blocks are asked for than allowed');
    if (!this.open) throw new Error('the stream has ended');
    return new Promise((resolve, reject) => {
      this.#asked.push({ into, filled: 0, reply: undefined, resolve, reject });
      this.#watch();
      try {
        this.#stream.send(encode.single(encodeBlockRequest(request)));
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** From now on nothing is written into anyone's memory. */
  close(): void {
    this.#fail(new Error('the stream is closed'));
  }

  #take({ data }: StreamMessageEvent): void {
    this.#heard(data.byteLength);
    this.#watch();
    try {
      if (data instanceof Uint8Array) this.#takeBytes(data);
      else for (const part of data) this.#takeBytes(part);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #takeBytes(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const [asked] = this.#asked;
      if (asked === undefined) throw new Error('bytes came that nobody asked for');
      if (asked.reply === undefined) {
        this.#takeWord(asked, bytes[at] ?? 0);
        at += 1;
      } else {
        const step = Math.min(asked.into.length - asked.filled, bytes.length - at);
        asked.into.set(bytes.subarray(at, at + step), asked.filled);
        asked.filled += step;
        at += step;
      }
      if (asked.reply !== undefined && asked.filled === asked.into.length) {
        this.#asked.shift();
        asked.resolve(asked.reply);
      }
    }
  }

  #takeWord(asked: Asked, byte: number): void {
    this.#words.push(byte);
    const length = this.#words[0] ?? 0;
    if (length > BLOCK_REPLY_BYTES_MAX) throw new Error('a reply is too long');
    if (this.#words.length <= length) return;
    const reply = decodeBlockReply(Uint8Array.from(this.#words.splice(0).slice(1)));
    if (reply.kind === 'absent') {
      this.#asked.shift();
      asked.resolve('absent');
    } else if (reply.bytes !== asked.into.length) {
      throw new Error('a reply is of another length than was asked for');
    } else {
      asked.reply = { digest: reply.digest };
    }
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer);
    for (const { reject } of this.#asked.splice(0)) reject(error);
    if (this.#stream.status === 'open') this.#stream.abort(error);
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.idle) this.#fail(new Error('nothing came'));
    }, STALL_MS_MAX);
    this.#timer.unref();
  }
}
