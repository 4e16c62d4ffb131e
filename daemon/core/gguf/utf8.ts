/**
 * UTF-8 for headers: encoding straight into a buffer, decoding with a say on invalid bytes.
 *
 * TextEncoder has no way to refuse a lone surrogate and costs an allocation for each of a
 * tokenizer's million strings, so encoding is written out here.
 */

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** Bytes of the text in UTF-8; undefined where it holds half a surrogate pair. */
export function utf8Bytes(text: string): number | undefined {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes += 1;
    } else if (!isHigh(unit) && !isLow(unit)) {
      bytes += 2;
    } else {
      if (!isHigh(unit) || !isLow(text.charCodeAt(i + 1))) return undefined;
      // Two units become four bytes.
      bytes += 2;
      i++;
    }
  }
  return bytes;
}

/** Writes a text that `utf8Bytes` has accepted; returns the position after it. */
export function writeUtf8(text: string, into: Uint8Array, start: number): number {
  let at = start;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      into[at++] = unit;
    } else if (unit < 0x800) {
      into[at++] = 0xc0 | (unit >> 6);
      into[at++] = 0x80 | (unit & 0x3f);
    } else if (!isHigh(unit)) {
      into[at++] = 0xe0 | (unit >> 12);
      into[at++] = 0x80 | ((unit >> 6) & 0x3f);
      into[at++] = 0x80 | (unit & 0x3f);
    } else {
      i++;
      const point = 0x1_0000 + ((unit - 0xd800) << 10) + (text.charCodeAt(i) - 0xdc00);
      into[at++] = 0xf0 | (point >> 18);
      into[at++] = 0x80 | ((point >> 12) & 0x3f);
      into[at++] = 0x80 | ((point >> 6) & 0x3f);
      into[at++] = 0x80 | (point & 0x3f);
    }
  }
  return at;
}

/** The text, or undefined where the bytes are no UTF-8 (overlong forms and surrogates included). */
export function readUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** The text, with U+FFFD in the place of what is no UTF-8. */
export function readUtf8Leniently(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/** Whether a text holds a control character: C cuts a name at NUL, a terminal obeys the others. */
export function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}
