/**
 * Lease holder: this machine's work for the runs of other machines.
 *
 *   lease ──▶ source leaves (own store, else pulled) ──▶ Worker ──▶ answer ──▶ block runs to pull
 *
 * What it makes stays in memory until the coordinator says that it has it. Nothing is lost when
 * this process dies: its leases are given to others. Read next: pool.ts, the other end.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import { joinBytes } from '../../proto/bytes.ts';
import type {
  Lease,
  LeaseAnswer,
  PeerId,
  PeerMessage,
  PiecesVoid,
  RunId,
} from '../../proto/peer-messages.ts';
import { readLease } from '../core/plan/leased-task.ts';
import type { Sha256 } from '../core/plan/unit-id.ts';
import type { BlobProvider, Clock, ConnectedPeer, Kernels, LeafStore, Network } from '../ports.ts';
import { Credit } from './credit.ts';
import { HeldLease, type LeasePorts } from './held-lease.ts';
import type { OriginPieces } from './origin-pieces.ts';
import { Worker } from './worker.ts';

export interface LeaseHolderParts {
  readonly network: Network;
  readonly kernels: Kernels;
  readonly store: LeafStore;
  readonly clock: Clock;
  readonly sha256: Sha256;
  /** Memory that leases under way may take, over all runs. */
  readonly memoryBytes: number;
  /** What it fetches from the hub that this machine's user allows; none: from no hub. */
  readonly origins?: OriginPieces;
  /** This machine's signature. */
  readonly sign: (message: Uint8Array) => Uint8Array;
}

interface HeldRun {
  readonly run: RunId;
  readonly coordinator: PeerId;
  readonly leases: Map<number, HeldLease>;
  /** Weights of the columns, by the digest that names them. */
  readonly weights: Map<string, Promise<Float32Array>>;
  /** When the coordinator last spoke of the run, or took something of it. */
  heardMs: number;
}

// Often enough that a coordinator knows a lease is alive long before it gives up on it.
const SAY_MS = 2000;
const SAY_AGAIN_MS = 5000;
// A coordinator speaks of a run once a minute. One that is silent for longer has ended it while the
// link was broken, or has gone away for good; what it may still want is made again.
const FORGET_MS = 10 * 60 * 1000;
// Far more than a coordinator gives to one peer at a time; beyond it are only mistakes.
const LEASES_MAX = 1024;
const RUNS_MAX = 64;

export class LeaseHolder {
  readonly #parts: LeaseHolderParts;
  readonly #ports: LeasePorts;
  readonly #runs = new Map<string, HeldRun>();
  #stops: (() => void)[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(parts: LeaseHolderParts) {
    this.#parts = parts;
    this.#ports = {
      ...parts,
      worker: new Worker(parts.kernels),
      memory: new Credit(parts.memoryBytes),
    };
  }

  start(): void {
    const { network } = this.#parts;
    this.#stops = [
      network.serve(this.#provider()),
      network.listen({
        message: (from, message) => this.#onMessage(from, message),
      }),
    ];
  }

  /** Ends what is under way; what is in the store stays for the next time. */
  stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    for (const key of [...this.#runs.keys()]) this.#forget(key);
  }

  /** Leases that are held now, over all runs. */
  get leases(): number {
    let count = 0;
    for (const { leases } of this.#runs.values()) count += leases.size;
    return count;
  }

  /** Only who may give leases is listened to. */
  #onMessage(from: ConnectedPeer, message: PeerMessage): void {
    if (from.role !== 'coordinator' || !('run' in message)) return;
    const key = `${from.peer}/${message.run}`;
    this.#hear(key);
    switch (message.kind) {
      case 'run-open':
        this.#open(key, from.peer, message.run);
        break;
      case 'lease':
        this.#onLease(key, from.peer, message);
        break;
      case 'kept':
        for (const task of message.tasks) this.#drop(key, task);
        break;
      case 'pieces-void':
        this.#void(message).catch(() => undefined);
        break;
      case 'run-close':
        this.#close(key, message.run, message.sealed);
        break;
      case 'working':
      case 'answer':
        break;
    }
  }

  #hear(key: string): void {
    const held = this.#runs.get(key);
    if (held !== undefined) held.heardMs = this.#parts.clock.now();
  }

  /** Of a run that is known already, a new connection hears again what is finished. */
  #open(key: string, coordinator: PeerId, run: RunId): HeldRun | undefined {
    const known = this.#runs.get(key);
    for (const lease of known?.leases.values() ?? []) this.#sayAnswer(coordinator, lease);
    if (known !== undefined || this.#runs.size >= RUNS_MAX) return known;
    const held = {
      run,
      coordinator,
      leases: new Map(),
      weights: new Map(),
      heardMs: this.#parts.clock.now(),
    };
    this.#runs.set(key, held);
    this.#cancelTimer ??= this.#parts.clock.after(SAY_MS, () => this.#sayAll());
    return held;
  }

  #onLease(key: string, coordinator: PeerId, message: Lease): void {
    // The message that opens the run may have been lost.
    const held = this.#runs.get(key) ?? this.#open(key, coordinator, message.run);
    if (held === undefined) return;
    const { task: index } = message;
    const known = held.leases.get(index);
    if (known?.isFor(message) === true) {
      known.rename(message);
      this.#sayAnswer(coordinator, known);
      return;
    }
    if (known !== undefined) this.#drop(key, index);
    if (held.leases.size >= LEASES_MAX) return;
    try {
      const task = readLease(message, this.#parts.sha256);
      const lease = new HeldLease(message, task, this.#ports, held.weights);
      held.leases.set(index, lease);
      void lease.make().then(() => {
        if (held.leases.get(index) === lease) this.#sayAnswer(coordinator, lease);
      });
    } catch (error) {
      const declined = error instanceof Error ? error.message : String(error);
      const { run } = message;
      const nothing = { made: [], signature: new Uint8Array(0) };
      const answer: LeaseAnswer = { kind: 'answer', run, task: index, ...nothing, declined };
      this.#parts.network.send(coordinator, answer);
    }
  }

  #sayAnswer(coordinator: PeerId, lease: HeldLease): void {
    if (lease.answer === undefined) return;
    lease.saidMs = this.#parts.clock.now();
    this.#parts.network.send(coordinator, lease.answer);
  }

  #drop(key: string, task: number): void {
    const held = this.#runs.get(key);
    held?.leases.get(task)?.end();
    held?.leases.delete(task);
  }

  #forget(key: string): void {
    for (const lease of this.#runs.get(key)?.leases.values() ?? []) lease.end();
    this.#runs.delete(key);
    if (this.#runs.size > 0) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #close(key: string, run: RunId, sealed: boolean): void {
    if (!this.#runs.has(key)) return;
    this.#forget(key);
    const isShared = [...this.#runs.values()].some((other) => other.run === run);
    // Its leaves are a copy of what the coordinator has; a failed deletion costs only room.
    if (sealed && !isShared) this.#parts.store.drop(run).catch(() => undefined);
  }

  /** Once the kept pieces are gone, they are fetched anew by whoever needs them. */
  async #void({ run, fileDigest, pieces }: PiecesVoid): Promise<void> {
    for (const piece of pieces) await this.#ports.origins?.forget(run, { fileDigest, ...piece });
  }

  /** Says what is alive, and again what has been answered and not yet taken. */
  #sayAll(): void {
    const { network, clock } = this.#parts;
    for (const [key, { run, coordinator, leases, heardMs }] of this.#runs) {
      if (clock.now() - heardMs >= FORGET_MS) {
        this.#forget(key);
        continue;
      }
      const tasks = [...leases].flatMap(([task, { answer }]) => (answer ? [] : [task]));
      if (tasks.length > 0) network.send(coordinator, { kind: 'working', run, tasks });
      for (const lease of leases.values()) {
        if (clock.now() - lease.saidMs >= SAY_AGAIN_MS) this.#sayAnswer(coordinator, lease);
      }
    }
    this.#cancelTimer = this.#runs.size > 0 ? clock.after(SAY_MS, () => this.#sayAll()) : undefined;
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) => {
        const found =
          blob.kind === 'chain' ? await this.#chain(to.peer, blob) : this.#madeFor(to.peer, blob);
        return found?.subarray(offset, offset + bytes);
      },
    };
  }

  /** A link of a file's chain, for the coordinator of the run: state, then leaves. */
  async #chain(
    to: PeerId,
    blob: Extract<BlobName, { kind: 'chain' }>,
  ): Promise<Uint8Array | undefined> {
    const { run, fileDigest, offset, pieceBytes, state } = blob;
    const key = `${to}/${run}`;
    if (!this.#runs.has(key)) return undefined;
    this.#hear(key);
    const piece = { fileDigest, offset, bytes: pieceBytes };
    const link = await this.#ports.origins?.chain(run, piece, state);
    const answer = link && joinBytes([link.state, ...link.leaves]);
    return answer?.length === blob.bytes ? answer : undefined;
  }

  /** A block run, for the coordinator that asked for it or a machine that its lease names. */
  #madeFor(to: PeerId, blob: BlobName): Uint8Array | undefined {
    if (blob.kind !== 'block-run') return undefined;
    this.#hear(`${to}/${blob.run}`);
    return this.#made(blob, (held, lease) => held.coordinator === to || lease.isTakenBy(to));
  }

  /** A block run that waits here to be taken; its bytes stay until the coordinator has said so. */
  made(run: RunId, unit: string, bytes: number): Uint8Array | undefined {
    return this.#made({ run, unit, bytes }, () => true);
  }

  #made(
    { run, unit, bytes }: { readonly run: RunId; readonly unit: string; readonly bytes: number },
    mayTake: (held: HeldRun, lease: HeldLease) => boolean,
  ): Uint8Array | undefined {
    for (const held of this.#runs.values()) {
      if (held.run !== run) continue;
      for (const lease of held.leases.values()) {
        const found = mayTake(held, lease) ? lease.made.get(unit) : undefined;
        if (found?.length === bytes) return found;
      }
    }
    return undefined;
  }
}
