/**
 * Base 32 for people: text that survives being read aloud, wrapped and typed in capitals.
 *
 *   bytes ──▶ encodeBase32 ──▶ 0-9 a-z without i l o u ──▶ decodeBase32 ──▶ bytes
 *
 * The four letters that look like others are never written; i and l are read as 1, o as 0.
 */

import { assert } from '../../../proto/assert.ts';

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const lookAlikes: Readonly<Record<string, string>> = { i: '1', l: '1', o: '0' };

/** Five bits a digit, the last one filled up with zeros. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += DIGITS[held >> bits];
      held &= (1 << bits) - 1;
    }
  }
  return bits === 0 ? text : text + DIGITS[held << (5 - bits)];
}

/** The first character that is no digit and is not read as one. */
export function foreignCharacter(text: string): string | undefined {
  return [...text].find((character) => digitValue(character) < 0);
}

/**
 * The whole bytes of a text of digits. `isExact` is false where digits are missing or too many:
 * an encoding leaves fewer than five bits over, and those are zero.
 */
export function decodeBase32(text: string): {
  readonly bytes: Uint8Array;
  readonly isExact: boolean;
} {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const character of text) {
    const value = digitValue(character);
    assert(value >= 0, 'the text has been looked through for foreign characters');
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = held >> bits;
      held &= (1 << bits) - 1;
    }
  }
  return { bytes, isExact: bits < 5 && held === 0 };
}

function digitValue(character: string): number {
  // Folded by hand: a Kelvin sign or a dotless i must not become a letter of ours.
  const lower = /^[A-Z]$/.test(character) ? character.toLowerCase() : character;
  return DIGITS.indexOf(lookAlikes[lower] ?? lower);
}
