/** Short ways to write one metadata key with its value type, so that lists of them read as tables. */

import type { KeyValue } from '../gguf/metadata.ts';

export function str(key: string, value: string): KeyValue {
  return { key, value: { type: 'string', value } };
}

export function bool(key: string, value: boolean): KeyValue {
  return { key, value: { type: 'bool', value } };
}

export function u32(key: string, value: number): KeyValue {
  return { key, value: { type: 'u32', value } };
}

export function f32(key: string, value: number): KeyValue {
  return { key, value: { type: 'f32', value } };
}

export function i32s(key: string, value: readonly number[]): KeyValue {
  return { key, value: { type: 'array', of: 'i32', value } };
}

export function f32s(key: string, value: readonly number[]): KeyValue {
  return { key, value: { type: 'array', of: 'f32', value } };
}

export function bools(key: string, value: readonly boolean[]): KeyValue {
  return { key, value: { type: 'array', of: 'bool', value } };
}

export function strings(key: string, value: readonly string[]): KeyValue {
  return { key, value: { type: 'array', of: 'string', value } };
}
