/**
 * Attestation: what a machine signs of the block runs it has made.
 *
 *   unit ids and digests ──▶ attestedBytes ──▶ signed by the maker ──▶ a line of attestations.ndjson
 *
 * A unit's id covers its inputs and the contract, so that id and digest say the whole of it.
 */

import type { MadeUnit, PeerId } from '../../../proto/peer-messages.ts';
import { hex } from './unit-id.ts';

// So that no signature of another purpose can be taken for one of these.
const DOMAIN = 'quantd attestation 1\n';

export interface Attestation {
  readonly peer: PeerId;
  readonly made: readonly MadeUnit[];
  readonly signature: Uint8Array;
}

/** The domain, then a line for each unit: id and SHA-256 of its bytes, in lower-case hex. */
export function attestedBytes(made: readonly MadeUnit[]): Uint8Array {
  const lines = made.map(({ unit, digest }) => `${unit} ${hex(digest)}\n`);
  return new TextEncoder().encode(`${DOMAIN}${lines.join('')}`);
}
