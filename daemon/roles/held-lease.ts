/**
 * Held lease: one lease from its arrival until the coordinator has what it asked for.
 *
 *   waiting for memory ──▶ source leaves ──▶ kernels ──▶ answer ──▶ … ──▶ kept
 */

import { FaultError } from '../../proto/fault.ts';
import {
  LEAF_BYTES,
  type Lease,
  type LeaseAnswer,
  type PeerId,
  type SourceOrigin,
  type SourcePiece,
} from '../../proto/peer-messages.ts';
import { attestedBytes } from '../core/plan/attestation.ts';
import type { Task } from '../core/plan/plan.ts';
import { hex, type Sha256 } from '../core/plan/unit-id.ts';
import type { Clock, Kernels, LeafStore, Network, Source } from '../ports.ts';
import type { Credit } from './credit.ts';
import { numberFaults } from './faults.ts';
import { leafKey } from './leaf-digests.ts';
import type { Fetched, OriginPieces } from './origin-pieces.ts';
import type { MadeRun, Worker } from './worker.ts';

export interface LeasePorts {
  readonly network: Network;
  readonly kernels: Pick<Kernels, 'sha256'>;
  readonly store: LeafStore;
  readonly clock: Clock;
  readonly sha256: Sha256;
  readonly worker: Worker;
  readonly memory: Credit;
  /** What this machine fetches from hubs; none: it does not. */
  readonly origins?: OriginPieces | undefined;
  /** This machine's signature. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

// A source that cannot be reached for so long is asked by somebody else.
const PULL_ATTEMPTS_MAX = 5;
const PULL_PAUSE_MS = 1000;

export class HeldLease {
  readonly #lease: Lease;
  #assemblers: readonly PeerId[];
  readonly #task: Task;
  readonly #ports: LeasePorts;
  readonly #weights: Map<string, Promise<Float32Array>>;
  readonly #stop = new AbortController();
  /** Block runs by their unit's id, while the coordinator may pull them. */
  readonly made = new Map<string, Uint8Array>();
  answer: LeaseAnswer | undefined;
  /** Of each piece that came from a hub, by its place in the lease. */
  readonly #fetched = new Map<number, Fetched>();
  saidMs = 0;

  constructor(
    lease: Lease,
    task: Task,
    ports: LeasePorts,
    weights: Map<string, Promise<Float32Array>>,
  ) {
    this.#lease = lease;
    this.#assemblers = lease.assemblers;
    this.#task = task;
    this.#ports = ports;
    this.#weights = weights;
  }

  /** Whether the machine puts an output together that wants what is made here. */
  isTakenBy(peer: PeerId): boolean {
    return this.#assemblers.includes(peer);
  }

  /** An output may have gone to another machine since. */
  rename({ assemblers }: Lease): void {
    this.#assemblers = assemblers;
  }

  /** Whether a lease that came again asks for nothing that this one does not. */
  isFor({ runs }: Lease): boolean {
    const units = new Set(this.#lease.runs.map(({ unit }) => unit));
    return runs.every(({ unit }) => units.has(unit));
  }

  /** Resolves when there is an answer, or when the lease has ended without one. */
  make(): Promise<void> {
    return new Promise((resolve) => {
      this.#make(resolve)
        .catch((error: unknown) => {
          if (!this.#stop.signal.aborted) this.answer = this.#refusal(error);
        })
        .finally(resolve);
    });
  }

  /** The coordinator has it or wants it no more. */
  end(): void {
    this.made.clear();
    this.#stop.abort();
  }

  async #make(answered: () => void): Promise<void> {
    const { worker, memory } = this.#ports;
    const { signal } = this.#stop;
    const giveBack = await memory.take(this.#task.memoryBytes);
    try {
      signal.throwIfAborted();
      const task = await this.#withWeights();
      const wanted = task.runs.map((_, index) => index);
      const source: Pick<Source, 'read'> = {
        read: (file, offset, into) => this.#read(file, offset, into),
      };
      await worker.run(task, wanted, source, signal, async (runs) => {
        this.#offer(runs);
        answered();
        // The block runs lie in the worker's buffer until they have been pulled.
        await this.#ended();
      });
    } finally {
      giveBack();
    }
  }

  #offer(runs: readonly MadeRun[]): void {
    if (this.#stop.signal.aborted) return;
    const { run, task } = this.#lease;
    const made = runs.flatMap(({ run: index, bytes, digest }) => {
      const unit = this.#task.runs[index]?.unit;
      if (unit === undefined) return [];
      this.made.set(unit, bytes);
      return [{ unit, digest: digest.slice() }];
    });
    const signature = made.length > 0 ? this.#ports.sign(attestedBytes(made)) : new Uint8Array(0);
    this.answer = { kind: 'answer', run, task, made, signature, ...this.#used() };
  }

  /** What was used of a hub's files. */
  #used(): Pick<LeaseAnswer, 'leaves' | 'detour'> {
    if (this.#lease.origin === undefined) return {};
    const fetched = this.#lease.pieces.map((_, index) => this.#fetched.get(index));
    const detour = fetched.find((piece) => piece?.detour !== undefined)?.detour;
    const leaves = fetched.flatMap((piece) => piece?.leaves ?? []);
    return { leaves, ...(detour === undefined ? {} : { detour }) };
  }

  #ended(): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #refusal(error: unknown): LeaseAnswer {
    const { run, task } = this.#lease;
    const nothing = { made: [], signature: new Uint8Array(0) };
    const answer: LeaseAnswer = { kind: 'answer', run, task, ...nothing };
    if (error instanceof FaultError) {
      const codes: string[] = Object.values(numberFaults).map(({ code }) => code);
      const message = error.toMessage();
      if (codes.includes(message.code)) return { ...answer, fault: message };
    }
    return { ...answer, declined: error instanceof Error ? error.message : String(error) };
  }

  async #withWeights(): Promise<Task> {
    const { importance } = this.#lease;
    if (importance === undefined) return this.#task;
    const key = hex(importance);
    const values = this.#weights.get(key) ?? this.#pullWeights(importance);
    this.#weights.set(key, values);
    try {
      return { ...this.#task, importance: { digest: importance, values: await values } };
    } catch (error) {
      this.#weights.delete(key);
      throw error;
    }
  }

  async #pullWeights(digest: Uint8Array): Promise<Float32Array> {
    const { network, kernels } = this.#ports;
    const bytes = this.#task.columns * Float32Array.BYTES_PER_ELEMENT;
    const into = new Uint8Array(bytes);
    const { run, sources } = this.#lease;
    await this.#again(async () => {
      const blob = { kind: 'importance', run, digest, bytes } as const;
      await network.pull(sources, blob, into, { signal: this.#stop.signal });
      if (hex(await kernels.sha256(into)) !== hex(digest)) {
        throw new Error('the weights are not those of their digest');
      }
    });
    const view = new DataView(into.buffer);
    return Float32Array.from({ length: this.#task.columns }, (_, column) =>
      view.getFloat32(column * 4, true),
    );
  }

  async #read(file: string, offset: number, into: Uint8Array): Promise<void> {
    const piece = this.#lease.pieces.find(
      (known) => known.file === file && known.offset === offset && known.bytes === into.length,
    );
    if (piece === undefined) throw new Error('the lease names no such piece of its source');
    const { origin } = this.#lease;
    if (origin !== undefined) {
      await this.#readOrigin(origin, piece, into);
      return;
    }
    const { store, sha256 } = this.#ports;
    const { run } = this.#lease;
    const key = leafKey(sha256, piece);
    if ((await store.read(run, key, into)) && (await this.#isRight(piece, into))) return;
    await this.#pullSource(piece, into);
    await store.put(run, key, into);
  }

  async #readOrigin(origin: SourceOrigin, piece: SourcePiece, into: Uint8Array): Promise<void> {
    const { origins } = this.#ports;
    if (origins === undefined) throw new Error('this machine fetches nothing from hubs');
    const { run, pieces } = this.#lease;
    const { signal } = this.#stop;
    if (piece.leaves.length > 0) {
      await this.#readKept(piece, into);
      this.#fetched.set(pieces.indexOf(piece), { leaves: piece.leaves });
      return;
    }
    const detour = (): Promise<void> => this.#pullSource(piece, into);
    const fetched = await origins.provide(run, origin, piece, into, detour, signal);
    this.#fetched.set(pieces.indexOf(piece), fetched);
  }

  /** What the coordinator keeps of a hub's file is not kept here a second time. */
  async #readKept(piece: SourcePiece, into: Uint8Array): Promise<void> {
    const { store, sha256 } = this.#ports;
    const isHere = await store.read(this.#lease.run, leafKey(sha256, piece), into);
    if (isHere && (await this.#isRight(piece, into))) return;
    await this.#pullSource(piece, into);
  }

  /** From those whom the lease names; compared with the leaves that it names, if it does. */
  async #pullSource(
    { fileDigest, offset, bytes, leaves }: SourcePiece,
    into: Uint8Array,
  ): Promise<void> {
    const { run, sources } = this.#lease;
    const blob = { kind: 'source', run, fileDigest, offset, bytes } as const;
    const digests = leaves.length > 0 ? { digests: leaves } : {};
    await this.#again(async () => {
      const { signal } = this.#stop;
      await this.#ports.network.pull(sources, blob, into, { ...digests, signal });
    });
  }

  /** What a crash tore in the store, or a disk changed, is not used. */
  async #isRight({ leaves }: SourcePiece, bytes: Uint8Array): Promise<boolean> {
    const digests = await Promise.all(
      leaves.map((_, index) =>
        this.#ports.kernels.sha256(bytes.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES)),
      ),
    );
    return leaves.every((leaf, index) => hex(leaf) === hex(digests[index] ?? new Uint8Array(0)));
  }

  /** Tries what a broken link or a busy source may have failed. */
  async #again(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.#stop.signal.aborted || attempt === PULL_ATTEMPTS_MAX) throw error;
        await new Promise<void>((resolve) => this.#ports.clock.after(PULL_PAUSE_MS, resolve));
      }
    }
  }
}
