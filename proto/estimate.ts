/**
 * Estimate: what a run will need and how long it will take, told before its first byte.
 *
 *   what was planned, what machines offer ──▶ RunEstimate (an event of api.ts) ──▶ a table, or JSON
 *
 * What is estimated from what is docs/plan.md.
 */

/** A change with which what does not fit would fit. */
export type Remedy =
  /** The machine offers so much memory in all. */
  | { readonly kind: 'ram'; readonly name: string; readonly bytes: number }
  /** It offers so much more disk than now. */
  | { readonly kind: 'disk'; readonly name: string; readonly bytes: number }
  /** So much more is free where the outputs go. */
  | { readonly kind: 'room'; readonly bytes: number }
  /** These outputs are left out. */
  | { readonly kind: 'fewer-types'; readonly names: readonly string[] }
  /** One more machine that offers this much. */
  | { readonly kind: 'machine'; readonly diskBytes: number; readonly ramBytes: number }
  /** The machine that has SOURCE computes too. */
  | { readonly kind: 'compute-here' };

/** What does not fit. */
export interface EstimateFault {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly hint: string;
  /** Each of them is enough. */
  readonly remedies: readonly Remedy[];
}

/** What one machine will have to do with the run. */
export interface EstimatedPeer {
  readonly name: string;
  /** Whether it is the one that has SOURCE and makes the outputs. */
  readonly isLocal: boolean;
  /** Of the source bytes that are quantized, 0 to 1. */
  readonly share: number;
  /** The layers [from, to) that it measures. */
  readonly layers?: { readonly from: number; readonly to: number };
  /** Source bytes that are sent to it, or that it fetches from a hub by itself. */
  readonly fetchBytes: number;
  /** What it keeps on its disk: source bytes; of the local machine the outputs. */
  readonly diskBytes: number;
  /** null where it is not known. */
  readonly diskOffered: number | null;
  /** The least with which it can do its part. */
  readonly ramBytes: number;
  readonly ramOffered: number;
  /** During which it computes; null where that cannot be said. */
  readonly seconds: number | null;
}

export interface RunEstimate {
  readonly sourceBytes: number;
  readonly outputBytes: number;
  /** Bytes that a hub still has to send. */
  readonly downloadBytes: number;
  /** Source bytes that travel between machines. */
  readonly fetchBytes: number;
  readonly peers: readonly EstimatedPeer[];
  /** Machines that take no part in the run, or in measuring, and why. */
  readonly weak: readonly { readonly name: string; readonly why: string }[];
  /** null where that cannot be said. */
  readonly stages: readonly {
    readonly stage: 'download' | 'fingerprint' | 'fetch' | 'measure' | 'quantize' | 'verify';
    readonly seconds: number | null;
  }[];
  /** From the first byte to the last; null where a stage is, or a part of the source has no place. */
  readonly seconds: number | null;
  readonly faults: readonly EstimateFault[];
  /** What the times are computed from, a sentence each. */
  readonly basis: readonly string[];
}
