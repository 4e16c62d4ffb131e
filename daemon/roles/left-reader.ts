/**
 * Left reader: an output that lies sealed on another machine, read from here as it is needed.
 *
 *   LeftOutput, offset ──▶ read ──▶ bytes, pulled from its machine; none of them are kept
 *
 * While some bytes are used the next ones come. What arrives is a claim: whoever reads all of it
 * compares its digest. Read next: sealed-outputs.ts (the other end).
 */

import { FaultError } from '../../proto/fault.ts';
import type { LeftOutput } from '../../proto/left-record.ts';
import { fromHex } from '../../proto/peer-fields.ts';
import type { Clock, Network } from '../ports.ts';
import { assemblyFaults } from './assembly-faults.ts';

export interface LeftPorts {
  /** Undefined for a daemon that belongs to no cluster. */
  readonly network: Pick<Network, 'pull' | 'peers'> | undefined;
  readonly clock: Pick<Clock, 'after'>;
}

interface Window {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

// Two of them are in memory: one that is used, one that comes. Over a link of 70 KB/s one comes before
// a hub has waited too long for the next byte.
const WINDOW_BYTES: number = 2 * 1024 * 1024;
// Together with the waiting of each pull less than a hub waits for the next byte.
const ATTEMPTS_MAX = 3;
const PAUSE_MS = 2000;
// A machine that is there is called again within that when this one has just started.
const CONNECT_MS_MAX = 5000;
const LOOK_MS = 250;

/** For one reader at a time. */
export class LeftReader {
  readonly #left: LeftOutput;
  readonly #release: string;
  readonly #ports: LeftPorts;
  #window: Window | undefined;
  #next: { readonly offset: number; readonly window: Promise<Window> } | undefined;

  /** @param release the folder of the outputs on their machines */
  constructor(left: LeftOutput, release: string, ports: LeftPorts) {
    this.#left = left;
    this.#release = release;
    this.#ports = ports;
  }

  /** @throws FaultError leftAway where its machine is away, or has not got it any more */
  async check(signal: AbortSignal): Promise<void> {
    const { peer } = this.#left;
    const isHere = (): boolean =>
      this.#ports.network?.peers().some((other) => other.peer === peer) === true;
    const isCluster = this.#ports.network !== undefined;
    for (let waitedMs = 0; isCluster && !isHere(); waitedMs += LOOK_MS) {
      signal.throwIfAborted();
      if (waitedMs >= CONNECT_MS_MAX) throw this.#away('it is not connected');
      await this.#pause(LOOK_MS);
    }
    await this.#pull(this.#left.bytes - 1, 1, signal);
  }

  /**
   * Fills `into` from `offset`.
   * @throws FaultError leftAway
   */
  async read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const window = await this.#windowAt(offset + done, signal);
      const from = offset + done - window.offset;
      const part = window.bytes.subarray(from, from + into.length - done);
      into.set(part, done);
      done += part.length;
    }
  }

  async #windowAt(offset: number, signal: AbortSignal): Promise<Window> {
    const known = this.#window;
    const isInside =
      known !== undefined && offset >= known.offset && offset < known.offset + known.bytes.length;
    if (isInside) return known;
    const next = this.#next;
    this.#next = undefined;
    const isNext = next?.offset === offset;
    const window = isNext ? await next.window : await this.#pull(offset, WINDOW_BYTES, signal);
    this.#window = window;
    const end = offset + window.bytes.length;
    if (end < this.#left.bytes) {
      const coming = this.#pull(end, WINDOW_BYTES, signal);
      // Whoever comes to need it hears of it.
      coming.catch(() => undefined);
      this.#next = { offset: end, window: coming };
    }
    return window;
  }

  /** @param most bytes; fewer where the file ends before */
  async #pull(offset: number, most: number, signal: AbortSignal): Promise<Window> {
    const { peer, id, bytes: size } = this.#left;
    const { network } = this.#ports;
    if (network === undefined) throw this.#away('this machine is in no cluster: quantd up');
    const bytes = new Uint8Array(Math.min(most, size - offset));
    const output = { run: this.#release, id: fromHex(id) };
    const blob = { kind: 'output', ...output, offset, bytes: bytes.length } as const;
    for (let attempt = 1; ; attempt++) {
      try {
        await network.pull([peer], blob, bytes, { signal });
        return { offset, bytes };
      } catch (error) {
        signal.throwIfAborted();
        if (attempt < ATTEMPTS_MAX) {
          await this.#pause(PAUSE_MS);
          continue;
        }
        throw this.#away(sentenceOf(error), error);
      }
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => this.#ports.clock.after(milliseconds, resolve));
  }

  #away(why: string, cause?: unknown): FaultError {
    const { file, machine } = this.#left;
    return new FaultError(assemblyFaults.leftAway, { file, why: `${machine}: ${why}` }, { cause });
  }
}

function sentenceOf(error: unknown): string {
  if (error instanceof FaultError) return error.detail.why ?? error.message;
  return error instanceof Error ? error.message : String(error);
}
