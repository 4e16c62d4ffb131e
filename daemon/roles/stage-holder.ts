/**
 * Stage holder: this machine's part in the measurements of other machines.
 *
 *   stage leases ──▶ HeldMeasurement (one a run) ──▶ answers, sums and states to pull
 *
 * Beside lease-holder.ts, which does the same for quantizing; both have one store. Read next:
 * measure-pool.ts, the other end.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import type { PeerId, PeerMessage, RunId, StageLease } from '../../proto/peer-messages.ts';
import type { BlobProvider, ConnectedPeer } from '../ports.ts';
import { HeldMeasurement, type MeasurePorts } from './held-measurement.ts';

// Often enough that a coordinator knows a lease is alive long before it gives up on it.
const SAY_MS = 2000;
// A coordinator that is silent for so long while its leases are held has gone away for good.
const FORGET_MS = 10 * 60 * 1000;
const RUNS_MAX = 8;
const LEASES_MAX = 64;

export class StageHolder {
  readonly #ports: MeasurePorts;
  readonly #runs = new Map<string, HeldMeasurement>();
  #begun = 0;
  #stops: (() => void)[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(ports: MeasurePorts) {
    this.#ports = ports;
  }

  start(): void {
    const { network } = this.#ports;
    this.#stops = [
      network.serve(this.#provider()),
      network.listen({ message: (from, message) => this.#hear(from, message) }),
    ];
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    for (const key of [...this.#runs.keys()]) this.#forget(key);
  }

  /** Leases that it holds, of all runs. */
  get leases(): number {
    return [...this.#runs.values()].reduce((sum, { leases }) => sum + leases, 0);
  }

  /** Only who may give leases is listened to. */
  #hear(from: ConnectedPeer, message: PeerMessage): void {
    if (from.role !== 'coordinator') return;
    if (message.kind === 'meet') this.#ports.network.meet(message.peer, message.addresses);
    if (!('run' in message)) return;
    const key = `${from.peer}/${message.run}`;
    const held = this.#runs.get(key);
    if (held !== undefined) held.heardMs = this.#ports.clock.now();
    switch (message.kind) {
      case 'stage-lease':
        this.#take(key, from.peer, message);
        break;
      case 'stage-kept':
        held?.forget(message.leases);
        break;
      case 'state-release':
        held?.release(message.leases);
        break;
      case 'sums-kept':
        held?.keptSums(message.digests);
        break;
      case 'run-open':
        if (held !== undefined) held.sayAgain();
        else this.#sayNothing(from.peer, message.run);
        break;
      case 'run-close':
        this.#forget(key);
        break;
    }
  }

  #take(key: string, coordinator: PeerId, lease: StageLease): void {
    const known = this.#runs.get(key);
    if (known === undefined && this.#runs.size >= RUNS_MAX) return;
    const held = known ?? this.#begin(lease.run, coordinator);
    this.#runs.set(key, held);
    if (held.leases >= LEASES_MAX) return;
    held.take(lease);
    this.#cancelTimer ??= this.#ports.clock.after(SAY_MS, () => this.#sayAll());
  }

  #begin(run: RunId, coordinator: PeerId): HeldMeasurement {
    this.#begun++;
    return new HeldMeasurement(run, coordinator, this.#begun, this.#ports);
  }

  /** Whatever this machine had of the run it has no more. */
  #sayNothing(coordinator: PeerId, run: RunId): void {
    const begun = this.#begun + 1;
    const nothing = { leases: [], passed: 0, begun };
    this.#ports.network.send(coordinator, { kind: 'stage-working', run, ...nothing });
  }

  #sayAll(): void {
    const { clock } = this.#ports;
    for (const [key, held] of this.#runs) {
      if (clock.now() - held.heardMs >= FORGET_MS) this.#forget(key);
      else held.say();
    }
    this.#cancelTimer = this.#runs.size > 0 ? clock.after(SAY_MS, () => this.#sayAll()) : undefined;
  }

  #forget(key: string): void {
    const held = this.#runs.get(key);
    this.#runs.delete(key);
    held?.end().catch(() => undefined);
    if (this.#runs.size > 0) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) => {
        const place = { total: blob.bytes, offset, bytes };
        const held = this.#heldFor(to.peer, blob);
        if (blob.kind === 'state') return await held?.readState(blob.boundary, blob.chunk, place);
        if (blob.kind === 'sums') return await held?.readSums(blob.digest, place);
        if (blob.kind === 'layer-leaves') return held?.readLeaves(blob.layer, place);
        return undefined;
      },
    };
  }

  /** Sums and leaves are for the coordinator; states for any member that knows the run. */
  #heldFor(to: PeerId, blob: BlobName): HeldMeasurement | undefined {
    for (const held of this.#runs.values()) {
      if (held.run !== blob.run) continue;
      if (blob.kind === 'state' || held.coordinator === to) return held;
    }
    return undefined;
  }
}
