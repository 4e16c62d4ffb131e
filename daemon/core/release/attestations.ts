/**
 * Attestations: who made which block runs, each line signed by its maker.
 *
 *   Attestation ──▶ encodeAttestation ──▶ a line of attestations.ndjson ──▶ keepAttestations
 *
 * The file tells of one run and is not the same in another cluster. A unit's id covers everything that
 * its bytes follow from, so that whoever makes the unit again can hold the signer to the digest.
 */

import { type AttestationLine, attestationLine } from '../../../proto/lockfile.ts';
import type { Attestation } from '../plan/attestation.ts';
import { hex } from '../plan/unit-id.ts';

export const ATTESTATIONS_FILE = 'attestations.ndjson';

export function encodeAttestation({ peer, made, signature }: Attestation): string {
  const line: AttestationLine = {
    peer,
    units: made.map(({ unit, digest }) => [unit, hex(digest)]),
    signature: btoa(String.fromCharCode(...signature)),
  };
  return `${JSON.stringify(line)}\n`;
}

/**
 * Of the lines that a run left, in the order of the plan: for each unit the last that names it. Lines
 * that a crash tore, and those of another plan, are left out.
 * @param units of the plan, in its order
 */
export function keepAttestations(
  text: string,
  units: readonly string[],
): { readonly text: string; readonly missing: number } {
  const lineOf = new Map<string, string>();
  for (const line of text.split('\n')) {
    for (const unit of unitsOf(line)) lineOf.set(unit, line);
  }
  const kept = new Set<string>();
  let missing = 0;
  for (const unit of units) {
    const line = lineOf.get(unit);
    if (line === undefined) missing++;
    else kept.add(line);
  }
  return { text: [...kept].map((line) => `${line}\n`).join(''), missing };
}

function unitsOf(line: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return [];
  }
  const parsed = attestationLine.safeParse(value);
  return parsed.success ? parsed.data.units.map(([unit]) => unit) : [];
}
