/**
 * Read attestations: a line of attestations.ndjson, and whether the machine that it names has signed it.
 *
 *   line ──▶ readAttestation ──▶ unit ids and digests, or what is wrong with it
 */

import { FaultError } from '../../../proto/fault.ts';
import { type AttestationLine, attestationLine } from '../../../proto/lockfile.ts';
import { fromHex } from '../../../proto/peer-fields.ts';
import { publicKeyOf } from '../membership/peer-id.ts';
import { attestedBytes } from '../plan/attestation.ts';
import { ATTESTATIONS_FILE } from './attestations.ts';
import { releaseFaults } from './faults.ts';
import { parseStrictly } from './read-lock.ts';
import { decodeBase64, SIGNATURE_BYTES, type Verify } from './signature.ts';

/** Some five times what ten outputs of the largest models take; a text may not be longer either. */
export const ATTESTATIONS_BYTES_MAX: number = 400 * 1024 * 1024;

/**
 * @param number of the line, from 1
 * @throws FaultError badAttestation
 */
export function readAttestation(line: string, number: number, verify: Verify): AttestationLine {
  const bad = (why: string): FaultError =>
    new FaultError(releaseFaults.badAttestation, {
      file: ATTESTATIONS_FILE,
      why: `line ${number}: ${why}`,
    });
  const attested = parseStrictly(new TextEncoder().encode(line), attestationLine, bad);
  const { peer, units, signature } = attested;
  const key = publicKeyOf(peer);
  if (key === undefined) throw bad(`${JSON.stringify(peer)} is no peer id`);
  const signed = decodeBase64(signature, SIGNATURE_BYTES);
  const made = units.map(([unit, digest]) => ({ unit, digest: fromHex(digest) }));
  if (signed !== undefined && verify(key, attestedBytes(made), signed)) return attested;
  throw bad(`${peer} has not signed it`);
}
