/**
 * Pool: the coordinator's end of the wire for one run.
 *
 *   lease, release ──▶ Pool ──▶ messages ──▶ lease-holder.ts on other machines
 *   joined, left, answers ◀── Pool ◀── messages, pulls of source leaves
 *
 * A lease is said again while nothing is heard of it, and everything that a peer may pull is what
 * this run has leased to it: nothing else of this machine can be read through it.
 */

import type { BlobName } from '../../proto/blob-names.ts';
import type { LeaseAnswer, PeerId, RunId, SourceOrigin } from '../../proto/peer-messages.ts';
import { type FilePiece, pieceKey } from '../core/plan/file-segments.ts';
import { leaseOf } from '../core/plan/leased-task.ts';
import { bytesOf, digestOf, type Plan, type Weights } from '../core/plan/plan.ts';
import { hex } from '../core/plan/unit-id.ts';
import type { BlobProvider, Clock, ConnectedPeer, Network, Source } from '../ports.ts';
import type { LeafDigests } from './leaf-digests.ts';
import { isWorking } from './offers.ts';

export interface PoolParts {
  readonly network: Network;
  readonly clock: Clock;
  readonly plan: Plan;
  readonly run: RunId;
  readonly source: Pick<Source, 'read'>;
  readonly leaves: LeafDigests;
  /** Where machines fetch the source by themselves. */
  readonly origin?: SourceOrigin | undefined;
  /** By output of the plan: on whose disk it grows now. */
  readonly assemblers: readonly { readonly peer: PeerId | undefined }[];
  /** Of a source with an origin: the leaves of a piece that this machine keeps for all. */
  readonly kept?: (piece: FilePiece) => Promise<readonly Uint8Array[] | undefined>;
  readonly onJoined: (peer: ConnectedPeer) => void;
  readonly onLeft: (peer: PeerId) => void;
  readonly onAnswer: (from: PeerId, answer: LeaseAnswer) => void;
  readonly onFailure: (error: unknown) => void;
}

/** What one peer has had to do with the run. */
export interface PeerShare {
  readonly peer: PeerId;
  readonly name: string;
  /** Leases that it was given; more than tasks where it died, was overtaken or came too late. */
  leases: number;
  tasks: number;
  units: number;
  /** Source bytes that left for it. */
  sourceBytes: number;
  /** Bytes of block runs that came from it. */
  resultBytes: number;
}

interface GivenLease {
  readonly runs: readonly number[];
  heardMs: number;
}

interface Member {
  readonly share: PeerShare;
  readonly leases: Map<number, GivenLease>;
  isHere: boolean;
  /** When it was last told that the run is open. */
  openedMs: number;
}

// Long enough that a peer which is only busy has said something meanwhile.
const SAY_AGAIN_MS = 5000;
// So that a peer which is long at its leases knows that they are wanted.
const OPEN_AGAIN_MS = 60_000;

export class Pool {
  readonly #parts: PoolParts;
  readonly #members = new Map<PeerId, Member>();
  /** Digests of the leaves of each range, by task. */
  readonly #leaves = new Map<number, Promise<Uint8Array[][]>>();
  /** What may be pulled: file and place of each range that has been leased. */
  readonly #ranges = new Map<string, { file: string; offset: number }>();
  readonly #weights = new Map<string, Weights>();
  #stops: (() => void)[] = [];

  constructor(parts: PoolParts) {
    this.#parts = parts;
    for (const { importance } of parts.plan.tasks) {
      if (importance !== undefined) this.#weights.set(hex(importance.digest), importance);
    }
  }

  /** Opens the run with every peer that is connected and with those that come. */
  start(): void {
    const { network, onLeft, clock } = this.#parts;
    this.#stops = [
      network.serve(this.#provider()),
      network.listen({
        connected: (peer) => this.#open(peer),
        disconnected: (peer) => {
          const member = this.#members.get(peer);
          if (member?.isHere !== true) return;
          member.isHere = false;
          member.leases.clear();
          onLeft(peer);
        },
        message: ({ peer }, message) => {
          const member = this.#members.get(peer);
          if (member === undefined || !('run' in message) || message.run !== this.#parts.run)
            return;
          const heardMs = clock.now();
          if (message.kind === 'working') {
            for (const task of message.tasks) {
              const lease = member.leases.get(task);
              if (lease !== undefined) lease.heardMs = heardMs;
            }
          }
          if (message.kind === 'answer') this.#parts.onAnswer(peer, message);
        },
      }),
    ];
  }

  /**
   * Tells every peer that the run is over. `sealed`: its source will not be asked for again.
   * @param ended undefined where the run goes on: then peers are only told to let go of its leases
   */
  stop(ended: { readonly sealed: boolean } | undefined): void {
    const { network, run } = this.#parts;
    for (const peer of this.#members.keys()) {
      if (ended === undefined) this.releaseAll(peer);
      else network.send(peer, { kind: 'run-close', run, sealed: ended.sealed });
    }
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  lease(peer: PeerId, task: number, runs: readonly number[]): void {
    const { clock, onFailure } = this.#parts;
    const member = this.#members.get(peer);
    if (member === undefined) return;
    member.leases.set(task, { runs, heardMs: clock.now() });
    member.share.leases++;
    this.#say(peer, task).catch(onFailure);
  }

  /** Ends a lease: the peer may forget what it made, or stop making it. */
  release(peer: PeerId, task: number): void {
    const { network, run } = this.#parts;
    this.#members.get(peer)?.leases.delete(task);
    network.send(peer, { kind: 'kept', run, tasks: [task] });
  }

  releaseAll(peer: PeerId): void {
    for (const task of this.#members.get(peer)?.leases.keys() ?? []) this.release(peer, task);
  }

  /** Says leases again that nothing has been heard of. */
  tick(): void {
    const { clock, onFailure, origin } = this.#parts;
    for (const [peer, member] of this.#members) {
      const { leases, isHere } = member;
      // Who has fetched a part is asked about it when all of its leases are over, too.
      const isWanted = leases.size > 0 || (isHere && origin !== undefined);
      if (isWanted && clock.now() - member.openedMs >= OPEN_AGAIN_MS) this.#sayOpen(member);
      for (const [task, lease] of leases) {
        if (clock.now() - lease.heardMs < SAY_AGAIN_MS) continue;
        lease.heardMs = clock.now();
        this.#say(peer, task).catch(onFailure);
      }
    }
  }

  share(peer: PeerId): PeerShare | undefined {
    return this.#members.get(peer)?.share;
  }

  shares(): PeerShare[] {
    return [...this.#members.values()].map(({ share }) => ({ ...share }));
  }

  #open(peer: ConnectedPeer): void {
    const { onJoined } = this.#parts;
    if (!isWorking(peer)) return;
    const known = this.#members.get(peer.peer);
    const share = known?.share ?? {
      peer: peer.peer,
      name: peer.hello.name,
      ...{ leases: 0, tasks: 0, units: 0, sourceBytes: 0, resultBytes: 0 },
    };
    const member = { share, leases: new Map(), isHere: true, openedMs: 0 };
    this.#members.set(peer.peer, member);
    this.#sayOpen(member);
    onJoined(peer);
  }

  #sayOpen(member: Member): void {
    const { network, run, clock } = this.#parts;
    member.openedMs = clock.now();
    network.send(member.share.peer, { kind: 'run-open', run });
  }

  async #say(peer: PeerId, task: number): Promise<void> {
    const { plan, network, run, origin } = this.#parts;
    const leaves = await this.#leavesOf(task);
    const lease = this.#members.get(peer)?.leases.get(task);
    // Answered or given back meanwhile.
    if (lease === undefined) return;
    network.send(
      peer,
      leaseOf(plan, task, lease.runs, {
        ...{ run, sources: [network.self], leaves, origin },
        assemblers: this.#assemblersOf(peer, task, lease.runs),
      }),
    );
  }

  /** Other machines than the one that makes them. */
  #assemblersOf(maker: PeerId, task: number, runs: readonly number[]): PeerId[] {
    const { plan, assemblers } = this.#parts;
    const peers = new Set<PeerId>();
    for (const run of runs) {
      for (const { output } of plan.tasks[task]?.runs[run]?.placements ?? []) {
        const peer = assemblers[output]?.peer;
        if (peer !== undefined && peer !== maker) peers.add(peer);
      }
    }
    return [...peers];
  }

  #leavesOf(index: number): Promise<Uint8Array[][]> {
    const known = this.#leaves.get(index);
    if (known !== undefined) return known;
    const leaves = this.#hashTask(index);
    this.#leaves.set(index, leaves);
    return leaves;
  }

  async #hashTask(index: number): Promise<Uint8Array[][]> {
    const { plan, origin, kept } = this.#parts;
    const digests: Uint8Array[][] = [];
    for (const { file, offset, bytes } of plan.tasks[index]?.group.ranges ?? []) {
      const fileDigest = digestOf(plan.fileDigests, file);
      const piece = { file, fileDigest, offset, bytes };
      const leaves = origin === undefined ? this.#parts.leaves.of(piece) : kept?.(piece);
      digests.push([...((await leaves) ?? [])]);
      this.#ranges.set(pieceKey({ fileDigest, offset, bytes }), { file, offset });
    }
    return digests;
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) => {
        if (!this.#members.has(to.peer) || blob.run !== this.#parts.run) return undefined;
        if (blob.kind === 'source') return await this.#readSource(blob, offset, bytes);
        if (blob.kind !== 'importance') return undefined;
        const weights = this.#weights.get(hex(blob.digest));
        if (weights === undefined || weights.values.byteLength !== blob.bytes) return undefined;
        return bytesOf(weights.values).subarray(offset, offset + bytes);
      },
      sent: (to, blob, bytes) => {
        const share = this.#members.get(to.peer)?.share;
        if (share !== undefined && blob.kind === 'source') share.sourceBytes += bytes;
      },
    };
  }

  async #readSource(
    blob: Extract<BlobName, { kind: 'source' }>,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined> {
    const range = this.#ranges.get(pieceKey(blob));
    if (range === undefined) return undefined;
    const into = new Uint8Array(bytes);
    await this.#parts.source.read(range.file, range.offset + offset, into);
    return into;
  }
}
