/**
 * The local API: what the command line and the daemon of one machine say to each other.
 *
 *   POST /v1/runs      RunRequest ──▶ RunEvent per line until `done` or `fault`
 *   DELETE /v1/runs/N  finish what is under way and stop; the run's events end with a fault
 *   POST /v1/inspect   InspectRequest ──▶ InspectReport (inspect.ts)
 *   GET /v1/status     Status
 *
 * It is served on a socket in the daemon's data directory, which only its owner can open. Every
 * failure is a FaultMessage (fault.ts).
 */

import type { RunEstimate } from './estimate.ts';
import type { FaultMessage } from './fault.ts';
import type { ImportanceStatistics } from './importance-statistics.ts';
import type { PublishPlan } from './publish-plan.ts';
import type { ReproduceReport, VerifyReport } from './verify.ts';

/** Version of every line that `--json` prints. */
export const EVENT_VERSION = 1;

export interface OutputSummary {
  readonly file: string;
  /** As llama-quantize spells it. */
  readonly ftype: string;
  readonly bytes: number;
  readonly bitsPerWeight: number;
}

/** What one machine has had to do with a run. */
export interface PeerWork {
  readonly name: string;
  /** Leases that it was given, and tasks of which it made something that was used. */
  readonly leases: number;
  readonly tasks: number;
  readonly units: number;
  /** Source bytes that it read, or that were sent to it. */
  readonly sourceBytes: number;
  /** Bytes of the block runs that it made. */
  readonly resultBytes: number;
}

/**
 * What a run does, one after the other; `fetch` only where SOURCE is a repository, `measure` only
 * where there is a calibration, `digest` (of every tensor made) only for a release, `collect` where
 * outputs grew on other machines.
 */
export type StageName =
  | 'fetch'
  | 'fingerprint'
  | 'measure'
  | 'quantize'
  | 'copy'
  | 'publish'
  | 'verify'
  | 'collect'
  | 'digest'
  | 'spot';

/** One text of a calibration. */
export interface CalibrationFile {
  /** Its base name: where it lies is nobody's business. */
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Ids of all of it, with those before the first and after the last chunk. */
  readonly tokens: number;
  /** Chunks of it that are measured. */
  readonly chunks: number;
}

/** How many tokens reached the experts of one layer. */
export interface LayerCoverage {
  readonly layer: number;
  readonly experts: number;
  /** Of the expert with the fewest, and of the one in the middle. */
  readonly least: number;
  readonly median: number;
  /** How many experts have fewer than the floor, and the first of them by number. */
  readonly belowFloor: number;
  readonly below: readonly number[];
}

/**
 * What a stage of a run cost. Within it everything overlaps, so that the part with the most
 * seconds is what limits it.
 */
export interface StageCosts {
  readonly stage: StageName;
  readonly seconds: number;
  /** CPU seconds of the kernels' threads: at most as many in a second as there are threads. */
  readonly computeThreadSeconds: number;
  readonly hashThreadSeconds: number;
  /** Of those: of blocks as they were made, for their digests and checksums. */
  readonly digestThreadSeconds: number;
  /** During which a read was under way; where files are hashed, waited for. */
  readonly readSeconds: number;
  /** During which a write was under way. */
  readonly writeSeconds: number;
  /** During which a disk was asked to have bytes for good. */
  readonly syncSeconds: number;
}

/** A metadata key before and after; undefined where there is none. Long values are abridged. */
export interface KeyChange {
  readonly key: string;
  readonly from?: string;
  readonly to?: string;
}

export type RunEvent =
  | { readonly type: 'accepted'; readonly run: number }
  /** Something the user should know and need not act on. */
  | { readonly type: 'notice'; readonly text: string }
  /** Which version of a repository it is: of a run whose source is one. */
  | {
      readonly type: 'repository';
      readonly repository: string;
      readonly commit: string;
      readonly hubUrl: string;
    }
  /** What is to be published, and what of it the repository has already. */
  | ({ readonly type: 'publish' } & PublishPlan)
  /** What was sent, as the repository then lists it. */
  | {
      readonly type: 'published';
      readonly repository: string;
      readonly commit: string;
      readonly url: string;
      readonly files: number;
      readonly bytes: number;
    }
  | {
      readonly type: 'plan';
      readonly model: string;
      readonly architecture: string;
      readonly tensors: number;
      readonly elements: number;
      readonly sourceBytes: number;
      readonly tasks: number;
      readonly units: number;
      readonly outputs: readonly (OutputSummary & {
        /** Bytes of it that an earlier run left. */
        readonly bytesDone: number;
        /** Tensors whose rows do not fit the wanted type's blocks. */
        readonly fallbacks: number;
      })[];
      readonly isa: string;
      readonly threads: number;
    }
  /** Which machine is to make how much; only where there are several. */
  | {
      readonly type: 'placement';
      readonly peers: readonly {
        readonly name: string;
        readonly tasks: number;
        readonly sourceBytes: number;
      }[];
    }
  /** What the run would need and how long it would take; only of a dry run. */
  | ({ readonly type: 'estimate' } & RunEstimate)
  | {
      readonly type: 'progress';
      readonly stage: StageName;
      /** In `measure` not bytes: a step there is a chunk that has passed a layer. */
      readonly bytesDone: number;
      readonly bytesTotal: number;
      readonly bytesPerSecond: number;
      /** Undefined until there is something to estimate from. */
      readonly secondsLeft?: number;
    }
  /** What is going to be measured with. */
  | {
      readonly type: 'calibration';
      readonly files: readonly CalibrationFile[];
      readonly chunks: number;
      /** Tokens of the chunks. */
      readonly tokens: number;
      readonly chunkTokens: number;
      /** SHA-256 of the ids of all chunks, lower-case hex. */
      readonly sha256: string;
    }
  /** Which machines run which layers, from one to the one before the other; told anew on a change. */
  | {
      readonly type: 'layers';
      readonly stages: readonly {
        readonly from: number;
        readonly to: number;
        readonly names: readonly string[];
      }[];
    }
  /** What other machines had to do with a measurement, once it is over. */
  | {
      readonly type: 'measured';
      readonly peers: readonly {
        readonly name: string;
        readonly leases: number;
        /** Chunks times layers that it ran. */
        readonly steps: number;
        /** Source bytes that were sent to it. */
        readonly sourceBytes: number;
        /** Bytes of sums that came from it. */
        readonly sumsBytes: number;
      }[];
      /** What leases took of the states that others had left. */
      readonly stateBytes: number;
      readonly sumsBytes: number;
    }
  /** What machines that had no layers left to run quantized while others were still measuring. */
  | {
      readonly type: 'ahead';
      /** Units that were made before the last layer was measured. */
      readonly units: number;
      /** Block runs that the outputs begin with. */
      readonly runs: number;
    }
  /** How well the calibration reached the experts; only of models that have some. */
  | {
      readonly type: 'coverage';
      /** Tokens below which an expert is named. */
      readonly floor: number;
      readonly layers: readonly LayerCoverage[];
    }
  /** Of the second half of every chunk, with its standard error. */
  | {
      readonly type: 'perplexity';
      readonly value: number;
      readonly error: number;
      readonly tokens: number;
    }
  /** An importance matrix that was written. */
  | {
      readonly type: 'imatrix';
      readonly path: string;
      readonly sha256: string;
      readonly entries: number;
      readonly chunks: number;
      readonly bytes: number;
    }
  /** A release whose folder is whole. */
  | {
      readonly type: 'release';
      readonly path: string;
      readonly files: number;
      readonly peer: string;
    }
  /** How the importance of each tensor is spread, where that was asked for. */
  | ({ readonly type: 'statistics' } & ImportanceStatistics)
  /** Something that is wrong with a release; a warning does not fail its verification. */
  | ({ readonly type: 'finding'; readonly severity: 'fault' | 'warning' } & FaultMessage)
  | ({ readonly type: 'verified' } & VerifyReport)
  | ({ readonly type: 'reproduced' } & ReproduceReport)
  /** What is going to be copied into which files, where tensors stay as they are. */
  | {
      readonly type: 'copy';
      /** Base name of the GGUF, and the bytes of its tensors. */
      readonly source: string;
      readonly tensors: number;
      readonly bytes: number;
      readonly files: readonly {
        readonly file: string;
        readonly tensors: number;
        /** Of the whole file. */
        readonly bytes: number;
      }[];
      /** Keys that are not as in the source, for a person to read. */
      readonly changes: readonly KeyChange[];
    }
  /** A file of a copy that has been read back and has its name. */
  | {
      readonly type: 'copied';
      readonly path: string;
      readonly sha256: string;
      readonly tensors: number;
      readonly bytes: number;
    }
  /** On whose disk each output grows; only where that is not this machine's alone. */
  | {
      readonly type: 'assembly';
      readonly outputs: readonly { readonly file: string; readonly machine: string }[];
    }
  | ({
      readonly type: 'output';
      readonly sha256: string;
      readonly path: string;
      /** Where it lies on another machine: the path is one of that machine's. */
      readonly machine?: string;
    } & OutputSummary)
  | {
      readonly type: 'done';
      readonly seconds: number;
      readonly sourceBytes: number;
      /** Bytes read to make the outputs: at most `sourceBytes`, each once. */
      readonly sourceBytesRead: number;
      readonly unitsMade: number;
      readonly outputs: number;
      /** Every machine that had a part in the run. */
      readonly peers: readonly PeerWork[];
      /** In the order they began. */
      readonly stages?: readonly StageCosts[];
    }
  | ({ readonly type: 'fault' } & FaultMessage);

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly dataDirectory: string;
  readonly name: string;
  readonly uptimeSeconds: number;
  readonly isa: string;
  readonly isas: readonly string[];
  readonly threads: number;
  readonly ramBytes: number;
  readonly diskBytes: number | null;
  readonly residentBytes: number;
  /** 99th percentile of the event loop's delay since the last question. */
  readonly eventLoopDelayMs: number;
  readonly runs: readonly {
    readonly run: number;
    readonly kind: string;
    readonly source: string;
    readonly stage: string;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  }[];
}
