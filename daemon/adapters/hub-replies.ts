/**
 * Hub replies: what an answer that is no success means, and whether another attempt may help.
 *
 *   Response ──▶ faultOfReply ──▶ FaultError, or Passing   (read next: hub-transport.ts)
 *
 * The hub says why in the header X-Error-Code (RepoNotFound, RevisionNotFound, EntryNotFound,
 * GatedRepo); to someone without a token a repository that does not exist and one that is private
 * look the same, with status 401.
 */

import { FaultError, type FaultKind } from '../../proto/fault.ts';
import { hubFaults } from './hub-faults.ts';

/** A failure that may pass. */
export class Passing extends Error {
  readonly fault: FaultError;
  /** How long to wait, where that was said. */
  readonly waitMs: number | undefined;

  constructor(fault: FaultError, waitMs?: number, options?: ErrorOptions) {
    super(fault.message, options);
    this.fault = fault;
    this.waitMs = waitMs;
  }
}

export interface Asked {
  /** Whether the hub itself answers, not the storage that it led to. */
  readonly isHub: boolean;
  readonly hasToken: boolean;
  /** Where people read about the repository and accept its licence. */
  readonly page: string;
  readonly repository: string;
  readonly file?: string;
}

const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
// A sentence of the hub; whoever sends more does not explain anything.
const MESSAGE_LENGTH_MAX = 300;

export function faultOfReply(response: Response, asked: Asked): Error {
  const { status } = response;
  const file = asked.file ?? asked.repository;
  if (PASSING.has(status)) {
    const why = `status ${status}${sentenceOf(response)}`;
    return new Passing(new FaultError(hubFaults.busy, { file, why }), waitOf(response.headers));
  }
  if (!asked.isHub) {
    // A signed address that is no longer good: the hub gives another one.
    const why = `the storage of the hub answers with status ${status}`;
    return new Passing(new FaultError(hubFaults.unexpectedReply, { file, why }));
  }
  const kind = kindOf(response, asked);
  const hint = hintOf(kind, asked);
  const why = `status ${status}${sentenceOf(response)}`;
  return new FaultError(kind, { file, why, ...(hint === undefined ? {} : { hint }) });
}

function kindOf(response: Response, { hasToken, file }: Asked): FaultKind {
  switch (response.headers.get('x-error-code')) {
    case 'RepoNotFound':
      return hubFaults.repositoryMissing;
    case 'RevisionNotFound':
      return hubFaults.revisionMissing;
    case 'EntryNotFound':
      return hubFaults.fileMissing;
    case 'GatedRepo':
      return hasToken ? hubFaults.licenceNotAccepted : hubFaults.tokenWanted;
  }
  if (response.status === 401 || response.status === 403) {
    return hasToken ? hubFaults.tokenRefused : hubFaults.tokenWanted;
  }
  if (response.status === 404) {
    return file === undefined ? hubFaults.repositoryMissing : hubFaults.fileMissing;
  }
  return hubFaults.unexpectedReply;
}

function hintOf(kind: FaultKind, { page }: Asked): string | undefined {
  if (kind === hubFaults.licenceNotAccepted) {
    return `accept its licence at ${page}, then run the same command again`;
  }
  if (kind === hubFaults.tokenWanted) {
    return `accept its licence at ${page}, then: HF_TOKEN=hf_… quantd …, or --hub-token-file FILE`;
  }
  return undefined;
}

function sentenceOf({ headers }: Response): string {
  const message = headers.get('x-error-message') ?? '';
  // Nothing that moves the cursor of a terminal.
  const plain = message.replace(/[^\x20-\x7e]/g, ' ').slice(0, MESSAGE_LENGTH_MAX);
  return plain === '' ? '' : `: ${plain}`;
}

/** How long the answer asks to wait: seconds or a date, or the hub's own `RateLimit: …;t=SECONDS`. */
export function waitOf(headers: Headers): number | undefined {
  const after = headers.get('retry-after');
  if (after !== null && /^\d{1,9}$/.test(after)) return Number(after) * 1000;
  const date = after === null ? Number.NaN : Date.parse(after);
  if (Number.isFinite(date)) return Math.max(0, date - Date.now());
  const seconds = /;\s*t=(\d{1,9})/.exec(headers.get('ratelimit') ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

/** Whether another attempt may end better: broken connections, and what the hub calls temporary. */
export function isPassing(error: unknown): boolean {
  return error instanceof Passing || isBroken(error);
}

/** @param error one that is passing */
export function passingOf(error: unknown): Passing {
  if (error instanceof Passing) return error;
  const why = causeOf(error);
  return new Passing(new FaultError(hubFaults.unreachable, { why }, { cause: error }));
}

/** `fetch` and the bodies that it gives fail with a TypeError, which says why in its cause. */
function isBroken(error: unknown): boolean {
  return error instanceof TypeError && /^(fetch failed|terminated)/.test(error.message);
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError && cause.errors.length > 0) {
    return messageOf(cause.errors[0]);
  }
  return messageOf(cause ?? error);
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_LENGTH_MAX);
}
