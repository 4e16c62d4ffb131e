/**
 * Measure pool: the coordinator's end of the wire for one measurement.
 *
 *   lease, cancel, release ──▶ MeasurePool ──▶ messages ──▶ stage-holder.ts on other machines
 *   joined, left, answers, sums ◀── MeasurePool ◀── messages and hints
 *
 * It serves what only the coordinator has: the description, digests and bytes of the source, what
 * stands in front of layer 0, per-layer inputs; and the states that its own stage leaves.
 */

import { assert } from '../../proto/assert.ts';
import type { BlobName } from '../../proto/blob-names.ts';
import type {
  HeldSums,
  PeerId,
  StageAnswer,
  StageLease,
  StageWorking,
} from '../../proto/peer-messages.ts';
import type { BlobProvider, Clock, ConnectedPeer, Network } from '../ports.ts';
import type { KeptStates } from './kept-states.ts';
import { LayerLeaves, type LayerLeavesParts } from './layer-leaves.ts';
import type { ModelFront } from './model-front.ts';
import { isWorking } from './offers.ts';
import { gather, stateBytes } from './stage-io.ts';
import { StateRelay } from './state-relay.ts';

export interface MeasurePoolParts extends LayerLeavesParts {
  readonly network: Network;
  readonly clock: Clock;
  /**
   * What the numbers of leases begin with on the wire, drawn at random: an answer to an earlier
   * process of this machine is none to this one.
   */
  readonly firstLease: number;
  readonly description: Uint8Array;
  readonly descriptionDigest: Uint8Array;
  readonly front: ModelFront;
  /** What this machine's own stage has left; undefined where it runs none that is cut. */
  readonly states: KeptStates | undefined;
  /** Chunks that the calibration has, those among them that may follow later. */
  readonly chunkCount: () => number;
  /** Also of a peer that was here all the time and has forgotten the run. */
  readonly onJoined: (peer: ConnectedPeer) => void;
  readonly onLeft: (peer: PeerId) => void;
  readonly onAnswer: (from: PeerId, answer: StageAnswer) => void;
  readonly onSums: (from: PeerId, sums: readonly HeldSums[]) => void;
  /** So many more chunks have passed a layer somewhere. */
  readonly onPassed: (chunks: number) => void;
}

/** What one peer has had to do with the measurement. */
export interface MeasureShare {
  readonly peer: PeerId;
  readonly name: string;
  leases: number;
  /** Chunks times layers. */
  passed: number;
  /** Source bytes that left for it. */
  sourceBytes: number;
  /** Bytes of sums that came from it. */
  sumsBytes: number;
}

interface Given {
  lease: StageLease;
  heardMs: number;
  /** When it was told last what its input is now; undefined where that is as at first. */
  changedMs: number | undefined;
}

interface Member {
  readonly peer: ConnectedPeer;
  readonly share: MeasureShare;
  readonly leases: Map<number, Given>;
  /** Leases whose states may be wanted. */
  readonly leaving: Set<number>;
  /** What it said last to have passed, of this run since it knows of it. */
  heardPassed: number;
  /** As it said last, on this connection. */
  begun: number | undefined;
  openedMs: number;
  isHere: boolean;
  /** Of whom it has been told where they are. */
  readonly met: Set<PeerId>;
}

const SAY_AGAIN_MS = 5000;
// A worker that hears nothing for ten minutes forgets the run, and a lease may take longer.
const OPEN_AGAIN_MS = 30_000;

export class MeasurePool {
  readonly #parts: MeasurePoolParts;
  readonly #members = new Map<PeerId, Member>();
  readonly #leaves: LayerLeaves;
  readonly #relay: StateRelay;
  #stops: (() => void)[] = [];

  constructor(parts: MeasurePoolParts) {
    this.#parts = parts;
    this.#leaves = new LayerLeaves(parts);
    this.#relay = new StateRelay(parts.network);
  }

  start(): void {
    const { network, onLeft } = this.#parts;
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
        message: ({ peer }, message) => this.#hear(peer, message),
        hint: (peer, message) => this.#hear(peer, message),
      }),
    ];
  }

  /** @param ended undefined where quantizing follows, else whether the source is still of use */
  stop(ended: { readonly sealed: boolean } | undefined): void {
    const { network, run } = this.#parts;
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#leaves.close();
    this.#relay.close();
    if (ended === undefined) return;
    const { sealed } = ended;
    for (const peer of this.#members.keys()) network.send(peer, { kind: 'run-close', run, sealed });
  }

  lease(peer: PeerId, lease: StageLease): void {
    const member = this.#members.get(peer);
    if (member === undefined) return;
    if (!member.leases.has(lease.lease)) member.share.leases++;
    const heardMs = this.#parts.clock.now();
    member.leases.set(lease.lease, { lease, heardMs, changedMs: undefined });
    if (lease.leavesState) member.leaving.add(lease.lease);
    this.#leaves.allow(lease);
    this.#introduce(peer, lease.inputs);
    this.#send(peer, lease);
  }

  /** Chunks of a lease come from others now. */
  inputs(peer: PeerId, lease: number, inputs: readonly PeerId[]): void {
    const given = this.#members.get(peer)?.leases.get(lease);
    if (given === undefined) return;
    given.lease = { ...given.lease, inputs };
    given.changedMs = this.#parts.clock.now();
    this.#introduce(peer, inputs);
    this.#send(peer, given.lease);
  }

  #send(peer: PeerId, lease: StageLease): void {
    const { network, firstLease, chains } = this.#parts;
    const from = chains === undefined ? {} : { origin: chains.origin };
    network.send(peer, { ...lease, ...from, lease: firstLease + lease.lease });
  }

  /** Tells a worker where those are whose states it is to take, once for each. */
  #introduce(peer: PeerId, inputs: readonly PeerId[]): void {
    const { network } = this.#parts;
    const met = this.#members.get(peer)?.met;
    for (const input of inputs) {
      if (met === undefined || input === peer || input === network.self || met.has(input)) continue;
      met.add(input);
      void network.addressesOf(input).then((addresses) => {
        if (addresses.length > 0) network.send(peer, { kind: 'meet', peer: input, addresses });
      });
    }
  }

  /** An answer is heard, or the lease is wanted no more. */
  end(peer: PeerId, lease: number): void {
    const { network, run, firstLease } = this.#parts;
    this.#members.get(peer)?.leases.delete(lease);
    network.send(peer, { kind: 'stage-kept', run, leases: [firstLease + lease] });
  }

  release(peer: PeerId, lease: number): void {
    const { network, run, firstLease } = this.#parts;
    this.#members.get(peer)?.leaving.delete(lease);
    network.send(peer, { kind: 'state-release', run, leases: [firstLease + lease] });
  }

  keptSums(peer: PeerId, digests: readonly Uint8Array[]): void {
    const { network, run } = this.#parts;
    network.send(peer, { kind: 'sums-kept', run, digests });
  }

  /** Says leases again that nothing has been heard of, or of which an old word may have come last. */
  tick(): void {
    const now = this.#parts.clock.now();
    for (const [peer, member] of this.#members) {
      if (member.isHere && now - member.openedMs >= OPEN_AGAIN_MS) this.#sayOpen(member);
      for (const given of member.leases.values()) {
        const { heardMs, changedMs = now } = given;
        if (now - heardMs < SAY_AGAIN_MS && now - changedMs < SAY_AGAIN_MS) continue;
        given.heardMs = now;
        if (given.changedMs !== undefined) given.changedMs = now;
        this.#send(peer, given.lease);
      }
    }
  }

  share(peer: PeerId): MeasureShare | undefined {
    return this.#members.get(peer)?.share;
  }

  shares(): MeasureShare[] {
    return [...this.#members.values()].map(({ share }) => ({ ...share }));
  }

  #open(peer: ConnectedPeer): void {
    const { onJoined } = this.#parts;
    if (!isWorking(peer)) return;
    const known = this.#members.get(peer.peer);
    const share = known?.share ?? {
      peer: peer.peer,
      name: peer.hello.name,
      ...{ leases: 0, passed: 0, sourceBytes: 0, sumsBytes: 0 },
    };
    const heardPassed = known?.heardPassed ?? 0;
    const fresh = { leases: new Map(), leaving: new Set<number>(), met: new Set<PeerId>() };
    const told = { heardPassed, begun: undefined, openedMs: 0 };
    const member = { peer, share, isHere: true, ...told, ...fresh };
    this.#members.set(peer.peer, member);
    this.#sayOpen(member);
    onJoined(peer);
  }

  /** It is answered with what the peer has of the run. */
  #sayOpen(member: Member): void {
    const { network, run, clock } = this.#parts;
    member.openedMs = clock.now();
    network.send(member.peer.peer, { kind: 'run-open', run });
  }

  #hear(
    peer: PeerId,
    message: Parameters<NonNullable<Parameters<Network['listen']>[0]['message']>>[1],
  ): void {
    const { run, firstLease, onAnswer, onSums } = this.#parts;
    const member = this.#members.get(peer);
    if (member === undefined || !('run' in message) || message.run !== run) return;
    switch (message.kind) {
      case 'stage-working':
        this.#hearWorking(peer, member, message);
        break;
      case 'stage-answer':
        onAnswer(peer, { ...message, lease: message.lease - firstLease });
        break;
      case 'sums-held':
        onSums(peer, message.sums);
        break;
    }
  }

  #hearWorking(peer: PeerId, member: Member, { leases, passed, begun }: StageWorking): void {
    const { firstLease, clock, onPassed } = this.#parts;
    // A word from before it took the run up anew, which came late.
    if (begun < (member.begun ?? 0)) return;
    if (member.begun !== undefined && begun > member.begun) this.#begunAnew(member);
    member.begun = begun;
    let isAtOurs = false;
    for (const lease of leases.map((number) => number - firstLease)) {
      const given = member.leases.get(lease);
      if (given !== undefined) given.heardMs = clock.now();
      if (given !== undefined || member.leaving.has(lease)) isAtOurs = true;
      else {
        // Of an earlier connection or process, or what told that it is over was lost.
        this.end(peer, lease);
        this.release(peer, lease);
      }
    }
    // What it passed for an earlier process of this machine is none of this one's.
    const since = passed < member.heardPassed ? 0 : member.heardPassed;
    const more = isAtOurs ? passed - since : 0;
    member.heardPassed = passed;
    member.share.passed += more;
    onPassed(more);
  }

  /** Its leases, its states and its sums are gone, though it never left. */
  #begunAnew(member: Member): void {
    member.leases.clear();
    member.leaving.clear();
    this.#parts.onJoined(member.peer);
  }

  #provider(): BlobProvider {
    return {
      read: async (to, blob, offset, bytes) => {
        if (!this.#members.has(to.peer) || blob.run !== this.#parts.run) return undefined;
        return await this.#read(to.peer, blob, offset, bytes);
      },
      sent: (to, blob, bytes) => {
        const share = this.#members.get(to.peer)?.share;
        if (share !== undefined && blob.kind === 'source' && this.#leaves.has(blob)) {
          share.sourceBytes += bytes;
        }
      },
    };
  }

  async #read(
    to: PeerId,
    blob: BlobName,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined> {
    switch (blob.kind) {
      case 'description':
        return part(this.#parts.description, blob, offset, bytes);
      case 'layer-leaves': {
        const leaves = await this.#leaves.of(to, blob.layer);
        return leaves && part(leaves, blob, offset, bytes);
      }
      case 'source':
        return await this.#leaves.readSource(blob, offset, bytes);
      case 'state':
        return await this.#readState(to, blob, offset, bytes);
      case 'layer-inputs': {
        if (!this.#hasChunk(blob.chunk)) return undefined;
        const inputs = await this.#parts.front.inputs(blob.layer, blob.chunk);
        return part(gather(inputs), blob, offset, bytes);
      }
      default:
        return undefined;
    }
  }

  async #readState(
    to: PeerId,
    blob: Extract<BlobName, { kind: 'state' }>,
    offset: number,
    bytes: number,
  ): Promise<Uint8Array | undefined> {
    const { front, states, model, network } = this.#parts;
    const { boundary, chunk, bytes: total } = blob;
    const cut = model.cuts[boundary];
    if (cut === undefined || stateBytes(cut, model.positions) !== total) return undefined;
    if (!this.#hasChunk(chunk)) return undefined;
    if (boundary === 0) return gather(await front.state(chunk)).subarray(offset, offset + bytes);
    const sources = this.#sourcesFor(to, boundary, chunk);
    if (sources.includes(network.self)) {
      return await states?.read(boundary, chunk, { total, offset, bytes });
    }
    if (sources.length === 0) return undefined;
    return (await this.#relay.read(blob, sources))?.subarray(offset, offset + bytes);
  }

  /** Who was named to the peer for this state. */
  #sourcesFor(to: PeerId, boundary: number, chunk: number): readonly PeerId[] {
    for (const { lease } of this.#members.get(to)?.leases.values() ?? []) {
      if (lease.from === boundary && lease.chunks.includes(chunk)) return lease.inputs;
    }
    return [];
  }

  #hasChunk(chunk: number): boolean {
    return chunk < this.#parts.chunkCount();
  }
}

function part(
  whole: Uint8Array,
  blob: BlobName,
  offset: number,
  bytes: number,
): Uint8Array | undefined {
  if (whole.length !== blob.bytes) return undefined;
  assert(offset + bytes <= whole.length, 'a block lies in its blob');
  return whole.subarray(offset, offset + bytes);
}
