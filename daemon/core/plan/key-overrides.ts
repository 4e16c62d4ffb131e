/**
 * Key overrides: metadata that a person sets by hand with `--override-kv`.
 *
 *   "general.name=str:My model" ──▶ parseKeyOverride ──▶ KeyValue, one of the last of the file
 *
 * The types are those that llama-quantize writes: an integer becomes a u32 of its absolute value,
 * a float an f32.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';
import { utf8Bytes } from '../gguf/utf8.ts';
import { planFaults } from './faults.ts';

// llama-quantize keeps key and text in 128 bytes each, with the terminator.
const TEXT_BYTES_MAX = 127;

const U32_MAX = 2 ** 32 - 1;

// What the rules or the reading of the file rest on: the file would contradict its own tensors.
const structural: readonly RegExp[] = [
  /^general\.(architecture|alignment)$/,
  /^split\./,
  /^[^.]+\.(block_count|expert_count|attention\.head_count|attention\.head_count_kv)$/,
];

/**
 * Reads the KEY=TYPE:VALUE of `--override-kv`; the first `=` divides, then the first `:`.
 * @throws FaultError badKeyOverride, structuralKey
 */
export function parseKeyOverride(text: string): KeyValue {
  const match = /^([^=]+)=(int|float|bool|str):(.*)$/su.exec(text);
  const [, key = '', type = '', value = ''] = match ?? [];
  if (match === null) throw bad(text, 'it is not of the form KEY=int|float|bool|str:VALUE');
  if ((utf8Bytes(key) ?? Infinity) > TEXT_BYTES_MAX) {
    throw bad(text, `its key is longer than ${TEXT_BYTES_MAX} bytes`);
  }
  if (structural.some((pattern) => pattern.test(key))) {
    throw new FaultError(planFaults.structuralKey, { key });
  }
  return { key, value: readValue(text, type, value) };
}

function readValue(text: string, type: string, value: string): MetadataValue {
  switch (type) {
    case 'int': {
      const number = /^[+-]?\d{1,15}$/.test(value) ? Math.abs(Number(value)) : Number.NaN;
      if (!(number <= U32_MAX)) throw bad(text, `its value is no integer up to ${U32_MAX}`);
      return { type: 'u32', value: number };
    }
    case 'float': {
      const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value);
      const number = isNumber ? Math.fround(Number(value)) : Number.NaN;
      if (!Number.isFinite(number)) throw bad(text, 'its value is no binary32 number');
      return { type: 'f32', value: number };
    }
    case 'bool':
      if (value !== 'true' && value !== 'false') throw bad(text, 'its value is not true or false');
      return { type: 'bool', value: value === 'true' };
    default:
      if ((utf8Bytes(value) ?? Infinity) > TEXT_BYTES_MAX) {
        throw bad(text, `its value is longer than ${TEXT_BYTES_MAX} bytes`);
      }
      return { type: 'string', value };
  }
}

// Enough of a text to recognise it.
const SHOWN_MAX = 80;

function bad(text: string, why: string): FaultError {
  const shown = JSON.stringify(text.slice(0, SHOWN_MAX));
  return new FaultError(planFaults.badKeyOverride, { why: `${shown}: ${why}` });
}
