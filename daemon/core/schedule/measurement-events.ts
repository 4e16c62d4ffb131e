/**
 * Measurement events: what the state machine of measurement.ts is told, and what it wants done.
 *
 *   peers, stored sums, answers ──▶ MeasurementEvent      MeasurementEffect ──▶ leases, releases
 */

import type { Stage, UnplacedLayers } from './stages.ts';

export type PeerId = string;

/** What a peer offers to a measurement. */
export interface MeasuringPeer {
  readonly peer: PeerId;
  /** Work per time, to compare peers with; 0 takes nothing. */
  readonly speed: number;
  /** Weights it may hold at a time; a local peer reads the source itself and needs no room. */
  readonly roomBytes: number;
  readonly isLocal: boolean;
  /** Leases it may hold at a time: one is computed, of another the input comes. 2 if not said. */
  readonly leasesMax?: number;
  /** Layers whose weights it has from an earlier run. */
  readonly holds?: readonly number[];
}

/** Where the state at a boundary is, or will be: what that peer's lease leaves. */
export interface StateInput {
  readonly peer: PeerId;
  readonly lease: number;
}

export type MeasurementEvent =
  /** Told together where they come together, so that each gets its stage at once. */
  | { readonly kind: 'peers-joined'; readonly peers: readonly MeasuringPeer[] }
  /** Its leases, its states and its sums that are not stored are gone. */
  | { readonly kind: 'peer-left'; readonly peer: PeerId }
  /**
   * The sums of a layer over the group without the chunks `excluded` (ascending) are durable. Also
   * told at the start for what an earlier run left. Those of other chunks are ignored.
   */
  | {
      readonly kind: 'sums-stored';
      readonly layer: number;
      readonly group: number;
      readonly excluded: readonly number[];
    }
  /** The lease is through: its state is at the peer, its sums are stored there or on their way. */
  | {
      readonly kind: 'stage-done';
      readonly peer: PeerId;
      readonly lease: number;
      /** So long the peer has computed, without waiting, as it says; 0 or nothing: not known. */
      readonly computeMs?: number;
    }
  /** The peer cannot run the lease; it gets no other for a while, or until it joins again. */
  | { readonly kind: 'declined'; readonly peer: PeerId; readonly lease: number }
  /** Chunks (by index in the group) had values that are not finite: all sums of the group are void. */
  | { readonly kind: 'bad-chunks'; readonly group: number; readonly chunks: readonly number[] }
  /** Behind the last group come others, of so many chunks each. */
  | { readonly kind: 'more-groups'; readonly groups: readonly number[] }
  /** Time has passed: peers that were closed may be asked again. */
  | { readonly kind: 'tick' }
  /** Hand out nothing more; what runs may finish. */
  | { readonly kind: 'drain' };

export type MeasurementEffect =
  /** Whose stage is what from now on; leases that are out stay where they are. */
  | { readonly kind: 'placed'; readonly stages: readonly Stage[] }
  /** No peers have room for these layers; the layers before them are measured meanwhile. */
  | ({ readonly kind: 'stuck' } & UnplacedLayers)
  /** It runs layers so many times slower than its offer let expect: others get what they can of its. */
  | { readonly kind: 'slow'; readonly peer: PeerId; readonly times: number }
  | {
      readonly kind: 'lease';
      readonly peer: PeerId;
      readonly lease: number;
      readonly group: number;
      /** The layers [from, to). */
      readonly from: number;
      readonly to: number;
      /** Chunks of the group that are left out, by index in it, ascending. */
      readonly excluded: readonly number[];
      /** The layers whose sums are wanted; the others are only run through. */
      readonly collect: readonly number[];
      /** Whether the state at `to` is to be kept until it is released. */
      readonly leavesState: boolean;
      /** Any of them has, or will have, the state at `from`. Empty: from the tokens. */
      readonly inputs: readonly StateInput[];
    }
  /** Chunks that the lease still lacks come from these now; from nobody yet, if there are none. */
  | {
      readonly kind: 'inputs';
      readonly peer: PeerId;
      readonly lease: number;
      readonly inputs: readonly StateInput[];
    }
  /** The lease is over, unless it is through already: then what it left stands. */
  | { readonly kind: 'cancel'; readonly peer: PeerId; readonly lease: number }
  /** The state that the lease left at its end boundary is needed no more. */
  | {
      readonly kind: 'release';
      readonly peer: PeerId;
      readonly lease: number;
      readonly group: number;
      readonly boundary: number;
    }
  /** The sums of all groups of a layer are stored. */
  | { readonly kind: 'layer-complete'; readonly layer: number }
  /** They are not any more: chunks were taken out, or groups were added. */
  | { readonly kind: 'layer-reopened'; readonly layer: number }
  /** All layers are complete, until one is reopened. */
  | { readonly kind: 'finished' }
  | { readonly kind: 'drained' };
