/**
 * The metadata of a GGUF, as values. Writing them is layout.ts, reading them is reader.ts.
 *
 * Value types are those of the GGUF format, version 3. 64-bit integers are BigInt; arrays hold
 * one element type and do not nest.
 */

export type NumberType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64';
export type WideType = 'u64' | 'i64';

export type ScalarValue =
  | { readonly type: NumberType; readonly value: number }
  | { readonly type: WideType; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string };

export type ArrayValue =
  | { readonly type: 'array'; readonly of: NumberType; readonly value: readonly number[] }
  | { readonly type: 'array'; readonly of: WideType; readonly value: readonly bigint[] }
  | { readonly type: 'array'; readonly of: 'bool'; readonly value: readonly boolean[] }
  | { readonly type: 'array'; readonly of: 'string'; readonly value: readonly string[] };

export type MetadataValue = ScalarValue | ArrayValue;

/** Keys are unique; their order is the order in the file. */
export interface KeyValue {
  readonly key: string;
  readonly value: MetadataValue;
  /**
   * What stands after the type in the file that the value was read from. It is written in the
   * place of `value`, so that bytes which are no UTF-8 and the bits of a NaN come through.
   */
  readonly encoded?: Uint8Array;
}
