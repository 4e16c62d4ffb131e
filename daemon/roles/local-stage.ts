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
import { gather, stateBytes } from './stage-io.ts';
import type { StageIo, StageResult, StageRunner, StageTask } from './stage-runner.ts';
import { StateInput } from './state-input.ts';

export interface LocalLease extends StageTask {
  readonly lease: number;
  readonly group: number;
  /** Chunks of the group that it runs without; when its sums come, others may be left out too. */
  readonly leftOut: readonly number[];
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

export class LocalStage {
  readonly #parts: LocalStageParts;
  readonly #input: StateInput;
  readonly #stops = new Map<number, { lease: LocalLease; stop: AbortController }>();

  constructor(parts: LocalStageParts) {
    this.#parts = parts;
    this.#input = new StateInput({ ...parts, relay: undefined });
  }

  /** @returns undefined where the lease was cancelled */
  async run(lease: LocalLease): Promise<StageResult | undefined> {
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
    const { run, model, front, states, keepSums, passed } = this.#parts;
    return {
      readState: async (boundary, chunk, into, signal) => {
        if (boundary === 0) {
          copyAll(await front.state(chunk), into);
          return;
        }
        const bytes = stateBytes(model.cuts[boundary] ?? [], model.positions);
        const blob = { kind: 'state', run, boundary, chunk, bytes } as const;
        await this.#input.fill(blob, into, () => lease.inputs, signal);
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
}

function copyAll(from: readonly Float32Array[], into: readonly Float32Array[]): void {
  for (const [index, numbers] of into.entries()) {
    const source = from[index];
    assert(source !== undefined, 'every register has its numbers');
    numbers.set(source);
  }
}
