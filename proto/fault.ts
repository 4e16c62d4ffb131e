/**
 * Fault: everything the outside world can do to us, as data that crosses the local API.
 *
 *   where it is found ──▶ new FaultError(kind, detail) ──▶ FaultMessage (JSON) ──▶ the terminal
 *
 * A bug of ours is not a fault: it is a failed `assert` (assert.ts) and ends the process.
 * The kinds stand beside the code that finds them, in a `faults.ts` per area; the codes are
 * numbered by area: 1 usage and environment, 2 checkpoint and model, 3 GGUF, 4 recipe,
 * 5 numbers in tensors, 6 disk and outputs, 7 daemon and local API, 8 network.
 */

/** What a process ends with. 0 is success, 130 an interrupted run that can be resumed. */
export const exitCodes = {
  failed: 1,
  usage: 2,
  environment: 3,
  input: 4,
  network: 5,
  mismatch: 6,
  partial: 7,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** One way to fail: its public code, one sentence of what happened, and what to do about it. */
export interface FaultKind {
  readonly code: `QD-${number}`;
  readonly exit: ExitCode;
  readonly what: string;
  readonly hint: string;
}

/** Where it happened and why. `file` is as the user named it or relative to SOURCE. */
export interface FaultDetail {
  readonly file?: string;
  readonly tensor?: string;
  readonly row?: number;
  /** Byte position inside `file`; a string where it exceeds 2^53. */
  readonly byte?: number | string;
  readonly key?: string;
  /** Of a text that people write, from 1. */
  readonly line?: number;
  readonly why?: string;
  /** Replaces the kind's hint where the place knows better. */
  readonly hint?: string;
}

export interface FaultMessage extends FaultDetail {
  readonly code: string;
  readonly exit: ExitCode;
  readonly what: string;
  readonly hint: string;
}

export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly kind: FaultKind;
  readonly detail: FaultDetail;

  constructor(kind: FaultKind, detail: FaultDetail = {}, options?: ErrorOptions) {
    super(sentence(kind, detail), options);
    this.kind = kind;
    this.detail = detail;
  }

  toMessage(): FaultMessage {
    const { code, exit, what, hint } = this.kind;
    return { ...this.detail, code, exit, what, hint: this.detail.hint ?? hint };
  }
}

function sentence(
  kind: FaultKind,
  { file, tensor, row, byte, key, line, why }: FaultDetail,
): string {
  const where = [
    file,
    line !== undefined && `line ${line}`,
    tensor !== undefined && `tensor ${tensor}`,
    key !== undefined && `key ${key}`,
    row !== undefined && `row ${row}`,
    byte !== undefined && `byte ${byte}`,
  ].filter((part) => typeof part === 'string');
  const place = where.length > 0 ? ` (${where.join(', ')})` : '';
  return `${kind.code} ${kind.what}${place}${why === undefined ? '' : `: ${why}`}`;
}
