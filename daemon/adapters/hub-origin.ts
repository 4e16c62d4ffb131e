/**
 * Hub origin: parts of a repository's files for the run of another machine.
 *
 *   origin as a lease names it ──▶ openHubOrigin ──▶ reader of byte ranges; nothing is kept
 *
 * What a lease names is another machine's word. Fetched is only from the one hub that this machine's
 * user has named (or the public one), so that no coordinator can have it ask addresses of the
 * network it stands in; and only files with the digest that the lease names. The token is the
 * user's own. Read next: hub-repository.ts, docs/hub.md.
 */

import { exitCodes, FaultError, type FaultKind } from '../../proto/fault.ts';
import type { SourceOrigin } from '../../proto/peer-messages.ts';
import type { HubAccess } from '../../proto/requests.ts';
import { type HubRepository, openHubRepository, readInto } from './hub-repository.ts';
import { transportOf } from './open-hub.ts';

export const hubOriginFaults = {
  otherHub: {
    code: 'QD-6803',
    exit: exitCodes.usage,
    what: 'the run fetches from another hub than this machine may',
    hint: 'on that machine: quantd join --hub-url URL',
  },
  otherFile: {
    code: 'QD-6804',
    exit: exitCodes.mismatch,
    what: 'the hub has another file there than the run asks for',
    hint: 'check --hub-url of both machines',
  },
} as const satisfies Record<string, FaultKind>;

interface AskedFile {
  readonly file: string;
  /** SHA-256, lower-case hex. */
  readonly fileDigest: string;
}

/** @throws FaultError QD-6803, QD-25xx */
export async function openHubOrigin(
  origin: SourceOrigin,
  access: HubAccess,
  signal: AbortSignal,
): Promise<{
  read(file: AskedFile, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
}> {
  const transport = transportOf(origin.repository, access);
  if (transport.hubUrl !== origin.hubUrl) {
    const why = `${origin.hubUrl}, where this machine fetches from ${transport.hubUrl}`;
    throw new FaultError(hubOriginFaults.otherHub, { why });
  }
  const repository = await openHubRepository(transport, origin.commit, signal);
  return {
    read: async (asked, offset, into, stop) =>
      readInto(repository, wantedFile(repository, asked, offset + into.length), offset, into, stop),
  };
}

function wantedFile(
  repository: HubRepository,
  { file, fileDigest }: AskedFile,
  end: number,
): ReturnType<HubRepository['file']> {
  const found = repository.file(file);
  // Of small files that are not kept by LFS the hub names no SHA-256.
  const isOther = found.sha256 !== undefined && found.sha256 !== fileDigest;
  if (isOther || end > found.bytes) {
    const why = isOther
      ? `SHA-256 ${found.sha256}, asked for ${fileDigest}`
      : `${found.bytes} bytes`;
    throw new FaultError(hubOriginFaults.otherFile, { file, why });
  }
  return found;
}
