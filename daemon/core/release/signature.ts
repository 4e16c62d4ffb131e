/**
 * Signature: who says that a lockfile is theirs.
 *
 *   bytes of quantd.lock.json and of quantd.lock.json.sig ──▶ checkSignature ──▶ the signer, or findings
 *
 * It proves that the machine of that peer id wrote these bytes. Whether to trust that machine is
 * for people to know.
 */

import { FaultError } from '../../../proto/fault.ts';
import { LOCK_FILE, lockSignature, SIGNATURE_FILE } from '../../../proto/lockfile.ts';
import { PUBLIC_KEY_BYTES, peerIdOf } from '../membership/peer-id.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, faulty, warning } from './findings.ts';
import { parseStrictly } from './read-lock.ts';

/** Ten times a signature; a longer file is none. */
export const SIGNATURE_BYTES_MAX = 4096;
/** Of Ed25519. */
export const SIGNATURE_BYTES = 64;

export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

export interface CheckedSignature {
  /** The peer id; undefined where no good signature says one. */
  readonly signer?: string;
  readonly findings: readonly Finding[];
}

/**
 * @param signature undefined where there is no file
 * @param wanted the peer id that must have signed, where one is asked for
 */
export function checkSignature(
  lock: Uint8Array,
  signature: Uint8Array | undefined,
  verify: Verify,
  wanted?: string,
): CheckedSignature {
  const file = SIGNATURE_FILE;
  if (signature === undefined) {
    const finding = { file: LOCK_FILE };
    const { noSignature } = releaseFaults;
    // Whoever asks for a signer asks for a signature.
    const tell = wanted === undefined ? warning : faulty;
    return { findings: [tell(noSignature, finding)] };
  }
  try {
    const { peer, publicKey, signed } = parse(signature);
    if (!verify(publicKey, lock, signed)) {
      return { findings: [faulty(releaseFaults.wrongSignature, { file })] };
    }
    if (wanted === undefined || wanted === peer) return { signer: peer, findings: [] };
    const why = `${peer} has, not ${wanted}`;
    return { signer: peer, findings: [faulty(releaseFaults.otherSigner, { file, why })] };
  } catch (error) {
    if (!(error instanceof FaultError)) throw error;
    return { findings: [faulty(error.kind, error.detail)] };
  }
}

function parse(bytes: Uint8Array): { peer: string; publicKey: Uint8Array; signed: Uint8Array } {
  if (bytes.length > SIGNATURE_BYTES_MAX) throw bad(`${bytes.length} bytes are none`);
  const { peer, publicKey, signature } = parseStrictly(bytes, lockSignature, bad);
  const key = base64(publicKey, PUBLIC_KEY_BYTES, 'publicKey');
  // The key is in the name: one that is not would be a key that nobody knows by it.
  if (peerIdOf(key) !== peer) throw bad('peer is not the name of publicKey');
  return { peer, publicKey: key, signed: base64(signature, SIGNATURE_BYTES, 'signature') };
}

function base64(text: string, bytes: number, what: string): Uint8Array {
  const decoded = decodeBase64(text, bytes);
  if (decoded === undefined) throw bad(`${what} is not the base64 of ${bytes} bytes`);
  return decoded;
}

/** Only the one text that `bytes` bytes are written as: spare bits and spaces are refused. */
export function decodeBase64(text: string, bytes: number): Uint8Array | undefined {
  let decoded = '';
  try {
    decoded = atob(text);
  } catch {
    return undefined;
  }
  if (decoded.length !== bytes || btoa(decoded) !== text) return undefined;
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}

function bad(why: string, byte?: number): FaultError {
  return new FaultError(releaseFaults.badSignature, {
    file: SIGNATURE_FILE,
    ...(byte === undefined ? {} : { byte }),
    why,
  });
}
