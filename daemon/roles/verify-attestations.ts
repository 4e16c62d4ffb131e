/**
 * Verify attestations: every signature of attestations.ndjson, and who has signed for which unit.
 *
 *   ReleaseFolder ──▶ lines ──▶ Attested, findings
 */

import { FaultError } from '../../proto/fault.ts';
import { decodeUtf8 } from '../core/checkpoint/config.ts';
import { ATTESTATIONS_FILE } from '../core/release/attestations.ts';
import { releaseFaults } from '../core/release/faults.ts';
import { type Finding, faulty } from '../core/release/findings.ts';
import { ATTESTATIONS_BYTES_MAX, readAttestation } from '../core/release/read-attestations.ts';
import type { Verify } from '../core/release/signature.ts';
import type { Clock } from '../ports.ts';
import type { ReleaseFolder } from '../release-ports.ts';
import { readWhole } from './release-documents.ts';

/** By unit id: the SHA-256 that was signed for, in hex, and by whom. */
export type Attested = ReadonlyMap<string, { readonly digest: string; readonly peer: string }>;

// Some ten milliseconds of signatures; then others get their turn.
const LINES_AT_ONCE = 64;

export async function verifyAttestations(
  folder: ReleaseFolder,
  { verify, clock }: { readonly verify: Verify; readonly clock: Clock },
  signal: AbortSignal,
): Promise<{ readonly attested: Attested; readonly findings: readonly Finding[] }> {
  const findings: Finding[] = [];
  const attested = new Map<string, { digest: string; peer: string }>();
  const bytes = await readWhole(folder, ATTESTATIONS_FILE, ATTESTATIONS_BYTES_MAX, findings);
  if (bytes === undefined) return { attested, findings };
  const text = bytes.length > ATTESTATIONS_BYTES_MAX ? undefined : decodeUtf8(bytes);
  if (text === undefined || (text !== '' && !text.endsWith('\n'))) {
    const why = 'it is too large, no UTF-8, or its last line does not end';
    findings.push(faulty(releaseFaults.badAttestation, { file: ATTESTATIONS_FILE, why }));
    return { attested, findings };
  }
  const lines = text.split('\n').slice(0, -1);
  for (const [index, line] of lines.entries()) {
    if (index % LINES_AT_ONCE === 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => void clock.after(0, resolve));
    }
    try {
      const { peer, units } = readAttestation(line, index + 1, verify);
      for (const [unit, digest] of units) attested.set(unit, { digest, peer });
    } catch (error) {
      if (!(error instanceof FaultError)) throw error;
      findings.push(faulty(error.kind, error.detail));
    }
  }
  return { attested, findings };
}
