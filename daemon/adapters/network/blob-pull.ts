/**
 * Blob pull: fills memory with a blob, block by block, from several peers at once.
 *
 *   blocks ──▶ a lane a source: ask, receive, compare digests ──▶ `into`
 *
 * A block that one source has not got or gives wrong is left to the others; a source that goes
 * away is waited for while others go on. The pull fails when no source is left for some block.
 */

import { setMaxListeners } from 'node:events';
import type { BlobName } from '../../../proto/blob-names.ts';
import { FaultError } from '../../../proto/fault.ts';
import type { PeerId } from '../../../proto/peer-messages.ts';
import { LEAF_BYTES } from '../../../proto/peer-messages.ts';
import { BLOCKS_ASKED_MAX } from './block-limits.ts';
import type { BlockStream } from './block-stream.ts';
import type { BlockStreamPool } from './block-stream-pool.ts';
import { networkFaults } from './faults.ts';
import type { Tally } from './tally.ts';

/** Streams of one source that may end without bringing a block, before it is given up. */
const BARREN_STREAMS_MAX = 3;

/** Blocks in a row that a source may lack: it will not have the rest either. */
const REFUSALS_IN_A_ROW_MAX = 4;

export interface PullOptions {
  readonly pool: BlockStreamPool;
  readonly sha256: (bytes: Uint8Array) => Promise<Uint8Array>;
  readonly refused: Tally;
  readonly sources: readonly PeerId[];
  readonly blob: BlobName;
  readonly into: Uint8Array;
  readonly digests: readonly Uint8Array[] | undefined;
  readonly signal: AbortSignal;
}

interface Source {
  readonly peer: PeerId;
  readonly refused: Set<number>;
  refusalsInARow: number;
  barrenStreams: number;
  /** Why it is given up. */
  lost: string | undefined;
}

/** @throws FaultError when no source has all of it right; what aborts the signal */
export async function pullBlob(options: PullOptions): Promise<void> {
  // A run has one signal for all its pulls: many listeners are no leak.
  setMaxListeners(0, options.signal);
  options.signal.throwIfAborted();
  await new Pull(options).run();
}

class Pull {
  readonly #options: PullOptions;
  readonly #sources: Source[];
  /** Blocks that nobody has been asked for, the first last. */
  readonly #waiting: number[];
  #left: number;
  readonly #over = new AbortController();
  #fault: FaultError | undefined;
  #wake: (() => void)[] = [];

  constructor(options: PullOptions) {
    this.#options = options;
    setMaxListeners(0, this.#over.signal);
    this.#sources = [...new Set(options.sources)].map((peer) => ({
      peer,
      refused: new Set(),
      refusalsInARow: 0,
      barrenStreams: 0,
      lost: undefined,
    }));
    this.#left = Math.ceil(options.blob.bytes / LEAF_BYTES);
    this.#waiting = Array.from({ length: this.#left }, (_, index) => index).reverse();
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const abort = (): void => this.#end();
    signal.addEventListener('abort', abort);
    try {
      this.#judge();
      await Promise.all(this.#sources.map((source) => this.#lane(source)));
    } finally {
      signal.removeEventListener('abort', abort);
    }
    if (this.#left === 0) return;
    signal.throwIfAborted();
    throw this.#fault ?? new FaultError(networkFaults.noSource);
  }

  /** Takes streams of one source for as long as there is something to ask it for. */
  async #lane(source: Source): Promise<void> {
    while (!this.#over.signal.aborted && source.lost === undefined) {
      if (this.#claimable(source) === undefined) await this.#change();
      else await this.#useStream(source);
    }
  }

  async #useStream(source: Source): Promise<void> {
    const { pool } = this.#options;
    let stream: BlockStream;
    try {
      stream = await pool.take(source.peer, this.#over.signal);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#lose(source, sentenceOf(error));
      return;
    }
    const before = this.#left;
    // What has brought all that it was asked for is of use to the next pull.
    const close = (): void => {
      if (!stream.idle) stream.close();
    };
    this.#over.signal.addEventListener('abort', close);
    const askers = Array.from({ length: BLOCKS_ASKED_MAX }, () => this.#ask(source, stream));
    const failed = (await Promise.allSettled(askers)).find(({ status }) => status === 'rejected');
    this.#over.signal.removeEventListener('abort', close);
    pool.giveBack(source.peer, stream);
    if (failed === undefined) return;
    source.barrenStreams = this.#left < before ? 0 : source.barrenStreams + 1;
    if (source.barrenStreams >= BARREN_STREAMS_MAX) {
      this.#lose(source, failed.status === 'rejected' ? sentenceOf(failed.reason) : '');
    }
  }

  /** Asks for one block after the other; several of these share a stream. */
  async #ask(source: Source, stream: BlockStream): Promise<void> {
    while (source.lost === undefined) {
      const block = this.#claim(source);
      if (block === undefined) return;
      let right = false;
      try {
        right = await this.#fetch(stream, source, block);
      } catch (error) {
        this.#giveBack(block);
        throw error;
      }
      if (right) this.#stored(source);
      else this.#refuse(source, block);
    }
  }

  async #fetch(stream: BlockStream, source: Source, block: number): Promise<boolean> {
    const { blob, into, digests, sha256, refused } = this.#options;
    const offset = block * LEAF_BYTES;
    const bytes = Math.min(LEAF_BYTES, blob.bytes - offset);
    const place = into.subarray(offset, offset + bytes);
    const known = digests?.[block];
    const isDigestKnown = known !== undefined;
    const reply = await stream.pull({ blob, offset, bytes, isDigestKnown }, place);
    if (reply === 'absent') return false;
    const digest = await sha256(place);
    this.#over.signal.throwIfAborted();
    const expected = known ?? reply.digest;
    const right = expected !== undefined && sameBytes(digest, expected);
    if (!right) refused.add(source.peer, 1);
    return right;
  }

  #claimable(source: Source): number | undefined {
    if (source.refused.size === 0)
      return this.#waiting.length > 0 ? this.#waiting.length - 1 : undefined;
    const index = this.#waiting.findLastIndex((block) => !source.refused.has(block));
    return index < 0 ? undefined : index;
  }

  #claim(source: Source): number | undefined {
    if (this.#over.signal.aborted) return undefined;
    const index = this.#claimable(source);
    return index === undefined ? undefined : this.#waiting.splice(index, 1)[0];
  }

  #giveBack(block: number): void {
    this.#waiting.push(block);
    this.#changed();
  }

  #stored(source: Source): void {
    source.refusalsInARow = 0;
    this.#left -= 1;
    if (this.#left === 0) this.#end();
  }

  #refuse(source: Source, block: number): void {
    source.refused.add(block);
    source.refusalsInARow += 1;
    this.#waiting.push(block);
    if (source.refusalsInARow >= REFUSALS_IN_A_ROW_MAX) this.#lose(source, 'it has not got it');
    this.#judge();
    this.#changed();
  }

  #lose(source: Source, why: string): void {
    source.lost = why;
    this.#judge();
    this.#changed();
  }

  /** Ends the pull when there is a block that nobody is left to give. */
  #judge(): void {
    const left = this.#sources.filter(({ lost }) => lost === undefined);
    const hopeless = this.#waiting.some((block) => left.every(({ refused }) => refused.has(block)));
    if (!hopeless && left.length > 0) return;
    if (this.#left === 0 || this.#over.signal.aborted) return;
    const why = this.#sources.map(
      ({ peer, lost, refused }) => `${peer}: ${lost ?? `${refused.size} blocks missing or wrong`}`,
    );
    this.#fault = new FaultError(networkFaults.noSource, {
      why: why.length > 0 ? why.join('; ') : 'there is nobody to ask',
    });
    this.#end();
  }

  #end(): void {
    this.#over.abort(new Error('the pull is over'));
    this.#changed();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
