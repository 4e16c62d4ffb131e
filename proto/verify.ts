/**
 * Verify: what a verification has to say at its end. What it found on the way are `finding` events.
 *
 * Making one: daemon/roles/verify-release.ts; showing one: cli/verify-view.ts.
 */

export interface SpotReport {
  /** Row groups that were made again from the source, and bytes of blocks that were compared. */
  readonly groups: number;
  readonly bytes: number;
  readonly seed: number;
}

export interface ReproduceReport {
  readonly model: string;
  readonly isSame: boolean;
  /** That were compared. */
  readonly files: number;
  readonly bytes: number;
  readonly tensors: number;
  /** What differs; each is a finding. */
  readonly differences: number;
  /** Where what was made again lies; undefined where it was removed. */
  readonly path?: string;
}

export interface VerifyReport {
  /** Of the model and of the version that made it; undefined without a lockfile that can be read. */
  readonly model?: string;
  readonly madeBy?: string;
  /** The peer id of a good signature. */
  readonly signer?: string;
  readonly files: number;
  /** Bytes that were read and hashed. */
  readonly bytes: number;
  readonly tensors: number;
  /** Units of which a machine has said, with a good signature, which bytes it made. */
  readonly attestedUnits: number;
  /** SHA-256 of the file, where one file was named. */
  readonly sha256?: string;
  /** What the types of the tensors were compared with. */
  readonly types: 'source' | 'lockfile' | 'nothing';
  /** Undefined where nothing was made again. */
  readonly spot?: SpotReport;
  /** Outputs that lie on other machines and were not read; absent where there is none. */
  readonly left?: number;
  readonly faults: number;
  readonly warnings: number;
}
