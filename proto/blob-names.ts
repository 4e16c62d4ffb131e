/** Blob names: what can be pulled from a peer. Read next: block-codec.ts (their bytes), PROTOCOL.md. */

import type { RunId } from './peer-messages.ts';

/** What can be pulled from a peer, block by block. */
export type BlobName =
  /** `bytes` of a source file from `offset`. */
  | {
      readonly kind: 'source';
      readonly run: RunId;
      readonly fileDigest: string;
      readonly offset: number;
      readonly bytes: number;
    }
  /**
   * SHA-256 of a file up to the end of a piece that the peer keeps, from what it was in front of the
   * piece: the state, then the piece's leaves, 32 bytes each.
   */
  | {
      readonly kind: 'chain';
      readonly run: RunId;
      readonly fileDigest: string;
      readonly offset: number;
      readonly pieceBytes: number;
      readonly state: Uint8Array;
      readonly bytes: number;
    }
  /** The block run that a worker made for a unit. */
  | {
      readonly kind: 'block-run';
      readonly run: RunId;
      readonly unit: string;
      readonly bytes: number;
    }
  /** Weights of one slice: little-endian binary32, by the digest of those bytes. */
  | {
      readonly kind: 'importance';
      readonly run: RunId;
      readonly digest: Uint8Array;
      readonly bytes: number;
    }
  /** What a worker needs to know of the model, by the digest of those bytes. */
  | {
      readonly kind: 'description';
      readonly run: RunId;
      readonly digest: Uint8Array;
      readonly bytes: number;
    }
  /** The SHA-256 of the leaves of a layer's weights, one after the other. */
  | {
      readonly kind: 'layer-leaves';
      readonly run: RunId;
      readonly layer: number;
      readonly bytes: number;
    }
  /** What crosses the cut in front of layer `boundary`, of one chunk. */
  | {
      readonly kind: 'state';
      readonly run: RunId;
      readonly boundary: number;
      readonly chunk: number;
      readonly bytes: number;
    }
  /** What a layer takes of the tokens themselves, of one chunk: its per-layer embeddings. */
  | {
      readonly kind: 'layer-inputs';
      readonly run: RunId;
      readonly layer: number;
      readonly chunk: number;
      readonly bytes: number;
    }
  /** Sums of a layer over some groups, by the digest of those bytes. */
  | {
      readonly kind: 'sums';
      readonly run: RunId;
      readonly digest: Uint8Array;
      readonly bytes: number;
    }
  /** Header and runs of an output that is to be put together, by the digest of those bytes. */
  | {
      readonly kind: 'assembly-map';
      readonly run: RunId;
      readonly digest: Uint8Array;
      readonly bytes: number;
    }
  /** `bytes` of a sealed output from `offset`; of one that is not open `run` is its release. */
  | {
      readonly kind: 'output';
      readonly run: RunId;
      readonly id: Uint8Array;
      readonly offset: number;
      readonly bytes: number;
    };
