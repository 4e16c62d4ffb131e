/**
 * Assembly words: what the coordinator says of one output to the machine that puts it together.
 *
 *   assemble, take, seal, end ──▶ messages of the opening of the moment
 *
 * Whether and when it is said again is remote-assembler.ts.
 */

import { TAKES_MAX } from '../../proto/peer-limits.ts';
import type { AssemblyMessage, PeerId, RunId, TakenRun } from '../../proto/peer-messages.ts';
import type { MappedOutput } from '../core/plan/assembly-map.ts';
import type { Clock, Network } from '../ports.ts';

export interface AssemblyWordsParts {
  readonly network: Pick<Network, 'send'>;
  readonly clock: Clock;
  readonly run: RunId;
  /** Names the folder on the other machine. */
  readonly release: RunId;
  readonly peer: PeerId;
  /** Number of the output in the run. */
  readonly index: number;
  readonly output: MappedOutput;
  /** SHA-256 of the output's map. */
  readonly map: Uint8Array;
  /** Drawn at random, so that no process hears answers to another's openings. */
  readonly firstOpening: number;
}

// Numbers on the wire are below 2^32.
const OPENINGS: number = 2 ** 32;

export class AssemblyWords {
  readonly #parts: AssemblyWordsParts;
  /** Answers to another are not heard. */
  opening: number;
  saidMs = 0;

  constructor(parts: AssemblyWordsParts) {
    this.#parts = parts;
    this.opening = parts.firstOpening;
  }

  openAnew(): void {
    this.opening = (this.opening + 1) % OPENINGS;
    this.assemble();
  }

  assemble(): void {
    const { release, map, output } = this.#parts;
    const { file, id, layout, runs } = output;
    this.#say({
      kind: 'assemble',
      ...this.#place(),
      ...{ release, file, id, map },
      fileBytes: layout.fileBytes,
      headerBytes: layout.header.length,
      runCount: runs.length,
    });
  }

  take(takes: readonly TakenRun[]): void {
    for (let at = 0; at < takes.length; at += TAKES_MAX) {
      const some = takes.slice(at, at + TAKES_MAX);
      this.#say({ kind: 'assembly-take', ...this.#place(), takes: some });
    }
  }

  seal(): void {
    this.#say({ kind: 'assembly-seal', ...this.#place() });
  }

  end(erase: boolean): void {
    this.#say({ kind: 'assembly-end', ...this.#place(), erase });
  }

  #say(message: AssemblyMessage): void {
    this.saidMs = this.#parts.clock.now();
    this.#parts.network.send(this.#parts.peer, message);
  }

  #place(): { run: RunId; output: number; opening: number } {
    const { run, index } = this.#parts;
    return { run, output: index, opening: this.opening };
  }
}
