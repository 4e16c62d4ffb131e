/**
 * Importance keys: what a quantized file tells of the importance matrix that it was made with.
 *
 *   Importance + compat ──▶ importanceKeys ──▶ `quantize.imatrix.*`, the last keys of the file
 */

import { FaultError } from '../../../proto/fault.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import { utf8Bytes } from '../gguf/utf8.ts';
import { importanceFaults } from './faults.ts';
import type { Importance } from './importance.ts';

/**
 * `llama-quantize`: the header too is what that tool writes. `none`: no path of a machine stands
 * in it, so that the same inputs give the same bytes wherever they lie.
 */
export type Compat = 'none' | 'llama-quantize';

/** @throws FaultError unknownCompat */
export function parseCompat(text: string | undefined): Compat {
  if (text === undefined) return 'none';
  if (text === 'llama-quantize') return text;
  throw new FaultError(importanceFaults.unknownCompat, { why: JSON.stringify(text.slice(0, 64)) });
}

// What llama-quantize keeps of a text: 128 bytes with the terminator.
const TEXT_BYTES_MAX = 127;

/**
 * The keys, in their order.
 * @throws FaultError pathCutInside where the cut of llama-quantize would leave half a character
 */
export function importanceKeys(
  { file, given, dataset, entries, chunks }: Importance,
  compat: Compat,
): KeyValue[] {
  const path = compat === 'llama-quantize' ? given : file;
  const text = (key: string, whole: string): KeyValue => {
    const value = cut(whole);
    if (compat !== 'none' && value !== whole && utf8Bytes(value) !== TEXT_BYTES_MAX) {
      throw new FaultError(importanceFaults.pathCutInside, { key });
    }
    return { key, value: { type: 'string', value } };
  };
  const number = (key: string, value: number): KeyValue => ({ key, value: { type: 'u32', value } });
  return [
    text('quantize.imatrix.file', path),
    ...(dataset === undefined ? [] : [text('quantize.imatrix.dataset', dataset)]),
    number('quantize.imatrix.entries_count', entries),
    ...(chunks > 0 ? [number('quantize.imatrix.chunks_count', chunks)] : []),
  ];
}

/** As many whole characters from the beginning as fit. */
function cut(text: string): string {
  let kept = '';
  let bytes = 0;
  for (const character of text) {
    bytes += utf8Bytes(character) ?? 0;
    if (bytes > TEXT_BYTES_MAX) break;
    kept += character;
  }
  return kept;
}
