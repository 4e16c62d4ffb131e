/**
 * Peer messages: what two daemons say to each other about a run, as the roles see it.
 *
 *   coordinator                          worker
 *      │ ◀────────── hello ──────────▶ │    once a connection, both ways
 *      │ ── open, lease ─────────────▶ │
 *      │ ◀── (pull source leaves) ──── │
 *      │ ◀── working, answer ───────── │
 *      │ ── (pull block runs) ───────▶ │
 *      │ ── kept ────────────────────▶ │
 *      │ ── close ───────────────────▶ │
 *
 * Outputs that grow on other machines have theirs: assemble, assembly-take, assembly-seal,
 * assembly-end; assembly-state and assembly-taken for what has become of them.
 *
 * Measuring has its own: stage-lease, stage-working, stage-answer, stage-kept; sums-held and
 * sums-kept for what was summed; state-release for what other workers have taken; meet for those who
 * hand states to each other.
 *
 * Every message may be lost with its connection, come late or come twice: what matters is said
 * again until it is answered. Read next: PROTOCOL.md, peer.proto (the bytes), peer-codec.ts (the
 * limits of every field).
 */

import type { FaultMessage } from './fault.ts';

/** A libp2p peer id as text: the digest of a public key, so it cannot be taken by another. */
export type PeerId = string;

/** What a peer is allowed to be: a worker takes leases, a coordinator also gives them. */
export type MemberRole = 'coordinator' | 'worker';

/** Who a peer is and what it offers. */
export interface Hello {
  readonly kind: 'hello';
  /** Version of quantd; peers of different versions do not work together. */
  readonly version: string;
  /** The number contract, see docs of unit ids; a part of each of them. */
  readonly contract: string;
  readonly name: string;
  readonly isa: string;
  /** Kernels that may run side by side; 0 takes no leases. */
  readonly threads: number;
  /** Memory for tasks under way. */
  readonly ramBytes: number;
  /** Disk for source leaves. */
  readonly diskBytes: number;
  /** Measured: bf16 source bytes a second of one kernel that quantizes, on all threads. */
  readonly bytesPerSecond: number;
  /** Measured: of a product with bf16 weights, on all threads. Layers are shared out by it. */
  readonly multiplicationsPerSecond: number;
}

/** 32 hexadecimal digits: the beginning of the digest of the run's outputs. Equal runs share it. */
export type RunId = string;

/** A coordinator has a run for this peer, or tells a new connection that it still has. */
export interface RunOpen {
  readonly kind: 'run-open';
  readonly run: RunId;
}

/** A repository of a hub at one commit. */
export interface SourceOrigin {
  /** Without a slash at its end. */
  readonly hubUrl: string;
  /** `org/name`. */
  readonly repository: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
}

/**
 * Part of a source file; `leaves` are the SHA-256 of its pieces of 1 MiB, the last one shorter.
 * In a lease with an origin there are none of what is to be fetched there: whoever fetches the piece
 * says them. Those of a piece that the coordinator keeps are named, and it is pulled from there.
 */
export interface SourcePiece {
  readonly file: string;
  /** SHA-256 of the whole file, lower-case hex. */
  readonly fileDigest: string;
  readonly offset: number;
  readonly bytes: number;
  readonly leaves: readonly Uint8Array[];
}

export interface LeasedRun {
  /** Unit id, lower-case hex. */
  readonly unit: string;
  /** Name of the block type. */
  readonly type: string;
  readonly bytes: number;
}

/** Make these block runs of one row group. Given again while nothing is heard of it. */
export interface Lease {
  readonly kind: 'lease';
  readonly run: RunId;
  /** Index of the task in the coordinator's plan: a name for the answer, no more. */
  readonly task: number;
  readonly tensor: string;
  /** Name of the block type that the source stores. */
  readonly element: string;
  /** Elements a dimension, fastest first, 1 to 4 of them. */
  readonly shape: readonly number[];
  readonly rowStart: number;
  readonly rows: number;
  readonly pieces: readonly SourcePiece[];
  /** Peers that can be asked for the pieces, the best first. */
  readonly sources: readonly PeerId[];
  readonly runs: readonly LeasedRun[];
  /** Other machines that may take what is made: those on whose disks outputs of it grow. */
  readonly assemblers: readonly PeerId[];
  /** SHA-256 of the weights of the columns, as the unit ids name them; pulled where not known. */
  readonly importance?: Uint8Array;
  /** Where the pieces are to be fetched; `sources` have them where it cannot be reached. */
  readonly origin?: SourceOrigin;
}

/** The peer is at these tasks: their leases are alive. */
export interface Working {
  readonly kind: 'working';
  readonly run: RunId;
  readonly tasks: readonly number[];
}

export interface MadeUnit {
  readonly unit: string;
  readonly digest: Uint8Array;
}

/** Made, or why not; said again until `kept`. The block runs wait to be pulled. */
export interface LeaseAnswer {
  readonly kind: 'answer';
  readonly run: RunId;
  readonly task: number;
  readonly made: readonly MadeUnit[];
  /** The maker's, over what it made (core/plan/attestation.ts): 64 bytes; empty where that is nothing. */
  readonly signature: Uint8Array;
  /** The source or its numbers are at fault: no other peer would do better. */
  readonly fault?: FaultMessage;
  /** Of a lease with an origin: the leaves of its pieces in their order, as they were used. */
  readonly leaves?: readonly Uint8Array[];
  /** Why the pieces were not fetched from their origin. */
  readonly detour?: string;
  /** This peer cannot: its disk, its link. Another one may. */
  readonly declined?: string;
}

/** The coordinator has what it wants of these tasks, or wants it no more: forget them. */
export interface Kept {
  readonly kind: 'kept';
  readonly run: RunId;
  readonly tasks: readonly number[];
}

/** These pieces of a file are not what they should be: what is kept of them is worth nothing. */
export interface PiecesVoid {
  readonly kind: 'pieces-void';
  readonly run: RunId;
  readonly fileDigest: string;
  readonly pieces: readonly { readonly offset: number; readonly bytes: number }[];
}

/** The run is over here. `sealed`: nobody will ask for its source again. */
export interface RunClose {
  readonly kind: 'run-close';
  readonly run: RunId;
  readonly sealed: boolean;
}

/** Where another member may be reached: who is to get states from it asks it directly. */
export interface Meet {
  readonly kind: 'meet';
  readonly peer: PeerId;
  /** Multiaddrs, as the peer itself says and the coordinator believes of use. */
  readonly addresses: readonly string[];
}

/** Run a stage's layers over the chunks of one group. Given again while nothing is heard of it. */
export interface StageLease {
  readonly kind: 'stage-lease';
  readonly run: RunId;
  /** The coordinator's number for it: a name for the answer, no more. */
  readonly lease: number;
  /** Layers [from, to). */
  readonly from: number;
  readonly to: number;
  readonly group: number;
  /** Numbers of the chunks, ascending: those of the group that are not left out. */
  readonly chunks: readonly number[];
  readonly leftOut: readonly number[];
  /** At most so many chunks pass a layer together; 0 leaves it to the peer. */
  readonly waveChunks: number;
  /** Layers whose sums are wanted; the others are only passed. */
  readonly collect: readonly number[];
  /** Peers that have, or will have, the state in front of `from`; a repetition may name others. */
  readonly inputs: readonly PeerId[];
  /** Whether the state in front of `to` is to be kept until it is released. */
  readonly leavesState: boolean;
  /** SHA-256 and length of the model's description, which is pulled where it is not known. */
  readonly description: Uint8Array;
  readonly descriptionBytes: number;
  /** Where weights are to be fetched; the coordinator has them where it cannot be reached. */
  readonly origin?: SourceOrigin;
}

/** The peer is at these leases, or keeps states that they have left. */
export interface StageWorking {
  readonly kind: 'stage-working';
  readonly run: RunId;
  readonly leases: readonly number[];
  /** Layers times chunks that it has passed, of all its leases of the run so far. */
  readonly passed: number;
  /** Grows when the process takes a run up anew: what it had of it before is gone. */
  readonly begun: number;
}

/** Through, after so much computing without any waiting, or why not; said until `stage-kept`. */
export interface StageAnswer {
  readonly kind: 'stage-answer';
  readonly run: RunId;
  readonly lease: number;
  /** Chunks in which a number is not finite: their group is void. */
  readonly bad: readonly number[];
  readonly computeMs: number;
  readonly fault?: FaultMessage;
  readonly declined?: string;
  /** Of a lease with an origin: why weights were not fetched there. */
  readonly detour?: string;
}

/** Answers that have been heard, and leases that are wanted no more. */
export interface StageKept {
  readonly kind: 'stage-kept';
  readonly run: RunId;
  readonly leases: readonly number[];
}

/** Nobody will ask again for the states that these leases left. */
export interface StateRelease {
  readonly kind: 'state-release';
  readonly run: RunId;
  readonly leases: readonly number[];
}

/** Sums of one layer over whole groups. */
export interface HeldSums {
  readonly layer: number;
  /** Ascending. */
  readonly groups: readonly number[];
  /** Chunks of those groups that are not in them, ascending. */
  readonly leftOut: readonly number[];
  /** SHA-256 of the bytes. */
  readonly digest: Uint8Array;
  readonly bytes: number;
}

/** What waits to be pulled; said again until it is kept, and also as gossip. */
export interface SumsHeld {
  readonly kind: 'sums-held';
  readonly run: RunId;
  readonly sums: readonly HeldSums[];
}

/** The coordinator has these sums, or wants them no more. */
export interface SumsKept {
  readonly kind: 'sums-kept';
  readonly run: RunId;
  readonly digests: readonly Uint8Array[];
}

/** Signed records of membership (membership.ts), in their own encoding. */
export interface MemberRecords {
  readonly kind: 'members';
  readonly records: readonly Uint8Array[];
}

/** The network key of a later epoch, from a coordinator to a member that stays. */
export interface KeyChange {
  readonly kind: 'key-change';
  readonly epoch: number;
  readonly networkKey: Uint8Array;
}

/**
 * Put this output together on your disk, or go on with it. Answered by `assembly-state`, each time
 * that it is said.
 */
export interface Assemble {
  readonly kind: 'assemble';
  readonly run: RunId;
  /** The coordinator's number for the output: a name for the answers, no more. */
  readonly output: number;
  /** Which of the coordinator's openings of it: what is said of an earlier one is not heard. */
  readonly opening: number;
  /** Of the folder in which it lies: the same for all outputs of a plan. */
  readonly release: RunId;
  /** A base name. */
  readonly file: string;
  /** As the plan has it: the digest of the header, the length and all unit ids. */
  readonly id: Uint8Array;
  readonly fileBytes: number;
  readonly headerBytes: number;
  readonly runCount: number;
  /** SHA-256 of the header and the place of each run, which are pulled. */
  readonly map: Uint8Array;
}

/**
 * What has become of an output. `lost`: runs are missing, or were not what was written, so that it
 * cannot be sealed. `ended`: nothing of it is held open any more.
 */
export type AssemblyPhase = 'open' | 'lost' | 'verifying' | 'sealed' | 'ended' | 'declined';

export interface AssemblyState {
  readonly kind: 'assembly-state';
  readonly run: RunId;
  readonly output: number;
  readonly opening: number;
  readonly phase: AssemblyPhase;
  /** Where it is open or has lost runs: a bit for each run, set once it is durable. */
  readonly stored: Uint8Array;
  /** Bytes read back so far. */
  readonly verifiedBytes: number;
  /** Of a sealed file: its SHA-256, and where it lies. */
  readonly digest?: Uint8Array;
  readonly path?: string;
  /** This machine cannot: its disk, its link. Another one may. */
  readonly declined?: string;
}

export interface TakenRun {
  /** Index of the run in the output. */
  readonly run: number;
  /** Told back where the run cannot be had: a later try has another number. */
  readonly serial: number;
  /** SHA-256 of its bytes. */
  readonly digest: Uint8Array;
  /** Who made it; where it cannot be reached, the coordinator passes it on. */
  readonly from: PeerId;
}

/** Pull these block runs and write them. Said again until `assembly-taken` names them. */
export interface AssemblyTake {
  readonly kind: 'assembly-take';
  readonly run: RunId;
  readonly output: number;
  readonly opening: number;
  readonly takes: readonly TakenRun[];
}

export interface AssemblyTaken {
  readonly kind: 'assembly-taken';
  readonly run: RunId;
  readonly output: number;
  readonly opening: number;
  /** Runs that are written, and those that are durable. */
  readonly written: readonly number[];
  readonly stored: readonly number[];
  /** Serials of what could not be had. */
  readonly failed: readonly number[];
}

/** All is stored: read it back and give it its name. Said again until `sealed` or `lost`. */
export interface AssemblySeal {
  readonly kind: 'assembly-seal';
  readonly run: RunId;
  readonly output: number;
  readonly opening: number;
}

/** The coordinator wants nothing more of the output. Said again until `ended`. */
export interface AssemblyEnd {
  readonly kind: 'assembly-end';
  readonly run: RunId;
  readonly output: number;
  readonly opening: number;
  /** It lies sealed somewhere else: delete it. Otherwise what there is stays. */
  readonly erase: boolean;
}

export type AssemblyMessage =
  | Assemble
  | AssemblyState
  | AssemblyTake
  | AssemblyTaken
  | AssemblySeal
  | AssemblyEnd;
export type StageMessage =
  | StageLease
  | StageWorking
  | StageAnswer
  | StageKept
  | StateRelease
  | SumsHeld
  | SumsKept;
export type RunMessage =
  | RunOpen
  | Lease
  | Working
  | LeaseAnswer
  | Kept
  | PiecesVoid
  | RunClose
  | StageMessage
  | AssemblyMessage;
export type PeerMessage = Hello | RunMessage | MemberRecords | KeyChange | Meet;

/** What travels in one answer of a pull, and what one source digest covers. */
export const LEAF_BYTES: number = 1024 * 1024;
