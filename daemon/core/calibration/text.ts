/**
 * Text: the bytes of a calibration file as text, or what is wrong with them.
 *
 *   bytes ──▶ calibrationText ──▶ string
 *
 * Nothing is repaired: a character that was guessed would be measured. Line ends stay as they are,
 * CR LF too, because llama-imatrix measures them so; only a byte order mark in front is left out.
 */

import { FaultError } from '../../../proto/fault.ts';
import { calibrationFaults as faults } from './faults.ts';

// At four bytes a token this is 16 million tokens: a hundred times what published matrices are
// measured with, and days of work for a large model.
export const CALIBRATION_BYTES_MAX = 64 * 1024 * 1024;

const BYTE_ORDER_MARK = '\ufeff';

/**
 * @param file as the user wrote it
 * @throws FaultError QD-8402, QD-8404, QD-8405, the latter two with the byte
 */
export function calibrationText(file: string, bytes: Uint8Array): string {
  if (bytes.length === 0) throw new FaultError(faults.fileEmpty, { file });
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw new FaultError(faults.binary, { file, byte: nul });
  const text = decode(bytes);
  if (text === undefined) throw new FaultError(faults.notUtf8, { file, byte: firstWrong(bytes) });
  const kept = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  if (kept === '') throw new FaultError(faults.fileEmpty, { file });
  return kept;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The first byte of the first character that is none; the bytes are known to hold one. */
function firstWrong(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const length = characterBytes(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return at;
}

/** For lead bytes in [from, to]: length, and the range of the second byte (RFC 3629, section 4). */
const leads = [
  { from: 0x00, to: 0x7f, length: 1, second: [0x80, 0xbf] },
  { from: 0xc2, to: 0xdf, length: 2, second: [0x80, 0xbf] },
  { from: 0xe0, to: 0xe0, length: 3, second: [0xa0, 0xbf] },
  { from: 0xe1, to: 0xec, length: 3, second: [0x80, 0xbf] },
  { from: 0xed, to: 0xed, length: 3, second: [0x80, 0x9f] },
  { from: 0xee, to: 0xef, length: 3, second: [0x80, 0xbf] },
  { from: 0xf0, to: 0xf0, length: 4, second: [0x90, 0xbf] },
  { from: 0xf1, to: 0xf3, length: 4, second: [0x80, 0xbf] },
  { from: 0xf4, to: 0xf4, length: 4, second: [0x80, 0x8f] },
] as const;

/** Bytes of the character at `at`; 0 where there is none. */
function characterBytes(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const lead = leads.find(({ from, to }) => first >= from && first <= to);
  if (lead === undefined) return 0;
  for (let i = 1; i < lead.length; i++) {
    const [least, most] = i === 1 ? lead.second : [0x80, 0xbf];
    const byte = bytes[at + i] ?? 0;
    if (byte < least || byte > most) return 0;
  }
  return lead.length;
}
