/**
 * Inspect: what a GGUF or safetensors file says of itself, as plain JSON.
 *
 * Long values are shortened where they are read, so that a report of any file fits a terminal and
 * a local API message. Making one: daemon/roles/inspect.ts; showing one: cli/inspect-view.ts.
 */

/** 64-bit integers, NaN and the infinities have no JSON number: they are texts. */
export type InspectScalar = string | number | boolean;

export type InspectValue =
  | {
      readonly type: string;
      readonly value: InspectScalar;
      /** UTF-16 units of the whole text, where `value` is only its beginning. */
      readonly length?: number;
    }
  | {
      readonly type: 'array';
      /** The elements' type. */
      readonly of: string;
      readonly length: number;
      /** At most 8 of them. */
      readonly first: readonly InspectScalar[];
    };

export interface InspectEntry {
  readonly key: string;
  readonly value: InspectValue;
}

export interface InspectTensor {
  readonly name: string;
  /** A block type of GGUF or a dtype of safetensors. */
  readonly type: string;
  /** As the file has it: fastest dimension first in a GGUF, slowest first in safetensors. */
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface InspectTypeTotal {
  readonly type: string;
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
}

export interface InspectTotals {
  readonly elements: number;
  /** Of the tensors, without header and padding. */
  readonly bytes: number;
  /** 0 where there are no elements. */
  readonly bitsPerWeight: number;
  /** The type with the most bytes first. */
  readonly types: readonly InspectTypeTotal[];
}

export interface InspectReport {
  readonly kind: 'gguf' | 'safetensors';
  readonly file: string;
  readonly bytes: number;
  /** Of the GGUF format. */
  readonly version?: number;
  /** Where this file is one part of several; `part` counts from 0. */
  readonly split?: { readonly part: number; readonly parts: number; readonly tensors: number };
  readonly metadata: readonly InspectEntry[];
  readonly tensors: readonly InspectTensor[];
  readonly totals: InspectTotals;
  /** What the user should know of the file. */
  readonly notices: readonly string[];
}
