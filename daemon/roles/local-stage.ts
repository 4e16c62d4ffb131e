/**
 * Local stage: the coordinator's own part in its measurement, on weights where they lie.
 *
 *   lease ──▶ states from the front, from itself or from other machines ──▶ sums, straight to the store
 *
 * Read next: stage-runner.ts (the work), held-measurement.ts (the same on another machine).
 */

import { assert } from '../../proto/assert.ts';
import type { PeerId, RunId } from '../../proto/peer-messages.ts';
import type { MeasuredModel } from '../core/models/measured-model.ts';
import type { Clock, Network } from '../ports.ts';
import type { KeptStates } from './kept-states.ts';
import type { ModelFront } from './model-front.ts';
import { bytesOfNumbers, gather, scatter, stateBytes } from './stage-io.ts';
import type { StageIo, StageRunner, StageTask } from './stage-runner.ts';

export interface LocalLease extends StageTask {
  readonly lease: number;
  readonly group: number;
  readonly leavesState: boolean;
  /** Who has, or will have, the state in front of `from`, this machine by its own name. */
  inputs: readonly PeerId[];
}

export interface LocalStageParts {
  readonly run: RunId;
  readonly model: MeasuredModel;
  readonly runner: StageRunner;
  readonly front: ModelFront;
  readonly clock: Clock;
  /** Undefined where this machine measures alone. */
  readonly network: Network | undefined;
  readonly states: KeptStates | undefined;
  /** How inputs call this machine. */
  readonly self: PeerId;
  readonly keepSums: (lease: LocalLease, layer: number, bytes: Uint8Array) => Promise<void>;
  readonly passed: (chunks: number) => void;
}

const ASK_AGAIN_MS = 200;

export class LocalStage {
  readonly #parts: LocalStageParts;
  readonly #stops = new Map<number, { lease: LocalLease; stop: AbortController }>();

  constructor(parts: LocalStageParts) {
    this.#parts = parts;
  }

  /** @returns bad chunks; undefined where the lease was cancelled */
  async run(lease: LocalLease): Promise<readonly number[] | undefined> {
    const stop = new AbortController();
    this.#stops.set(lease.lease, { lease, stop });
    try {
      return await this.#parts.runner.run(lease, this.#io(lease), stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return undefined;
      throw error;
    } finally {
      this.#stops.delete(lease.lease);
    }
  }

  inputs(lease: number, inputs: readonly PeerId[]): void {
    const known = this.#stops.get(lease);
    if (known !== undefined) known.lease.inputs = inputs;
  }

  cancel(lease: number): void {
    this.#stops.get(lease)?.stop.abort();
  }

  cancelAll(): void {
    for (const { stop } of this.#stops.values()) stop.abort();
  }

  #io(lease: LocalLease): StageIo {
    const { front, states, keepSums, passed } = this.#parts;
    return {
      readState: async (boundary, chunk, into, signal) => {
        if (boundary > 0) await this.#take(lease, boundary, chunk, into, signal);
        else copyAll(await front.state(chunk), into);
      },
      readInputs: async (layer, chunk, into) => copyAll(await front.inputs(layer, chunk), into),
      keepState: async (boundary, chunk, from) => {
        if (!lease.leavesState) return;
        assert(states !== undefined, 'who is not alone has room for states');
        await states.keep(lease.lease, boundary, chunk, gather(from));
      },
      passed,
      keepSums: (layer, bytes) => keepSums(lease, layer, bytes),
    };
  }

  /** From itself or from another, whoever has it by now. */
  async #take(
    lease: LocalLease,
    boundary: number,
    chunk: number,
    into: readonly Float32Array[],
    signal: AbortSignal,
  ): Promise<void> {
    const { run, model, network, states, self, clock } = this.#parts;
    const total = stateBytes(model.cuts[boundary] ?? [], model.positions);
    const [only] = into;
    const single = into.length === 1 && only !== undefined;
    const bytes = single ? bytesOfNumbers(only) : new Uint8Array(total);
    for (;;) {
      signal.throwIfAborted();
      const place = { total, offset: 0, bytes: total };
      const isOwn = lease.inputs.includes(self);
      const own = isOwn ? await states?.read(boundary, chunk, place) : undefined;
      if (own !== undefined) {
        bytes.set(own);
        break;
      }
      const others = lease.inputs.filter((peer) => peer !== self);
      const blob = { kind: 'state', run, boundary, chunk, bytes: total } as const;
      try {
        if (network === undefined || others.length === 0) throw new Error('nobody has it yet');
        await network.pull(others, blob, bytes, { signal });
        break;
      } catch {
        // Not made yet, or its maker is gone: others will be named.
        await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve));
      }
    }
    if (!single) scatter(bytes, into);
  }
}

function copyAll(from: readonly Float32Array[], into: readonly Float32Array[]): void {
  for (const [index, numbers] of into.entries()) {
    const source = from[index];
    assert(source !== undefined, 'every register has its numbers');
    numbers.set(source);
  }
}
