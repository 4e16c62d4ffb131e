/**
 * Checkpoint: what a Hugging Face directory holds, after every header has been checked.
 *
 *   config.json + tokenizer files + *.safetensors headers ──▶ Checkpoint ──▶ models/
 */

/** How a source tensor's elements are stored. Others are refused by name. */
export const sourceDtypes = { BF16: 2, F16: 2, F32: 4 } as const;
export type SourceDtype = keyof typeof sourceDtypes;

/** A run of bytes of one source file. */
export interface SourceRange {
  /** Path relative to SOURCE, with `/`; checked to stay inside it. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** One tensor of a safetensors file: row-major, little endian, without gaps. */
export interface SourceTensor extends SourceRange {
  readonly name: string;
  readonly dtype: SourceDtype;
  /** Slowest dimension first, as safetensors writes it; [] is a scalar of one element. */
  readonly shape: readonly number[];
}

/** A tensor whose dtype cannot be converted; it matters only to a model that needs it. */
export interface UnusableTensor extends SourceRange {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface SourceFile {
  readonly file: string;
  readonly bytes: number;
}

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export interface Checkpoint {
  readonly config: JsonObject;
  readonly generationConfig: JsonObject | undefined;
  readonly tokenizer: JsonObject;
  readonly tokenizerConfig: JsonObject;
  /** Text of chat_template.jinja, or the template of chat_template.json. */
  readonly chatTemplate: string | undefined;
  /** Every tensor file in the order of its name. */
  readonly files: readonly SourceFile[];
  /** By name, in the order of the files and, within one, of the bytes. */
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** The tensors of dtypes that cannot be converted, in the same order. */
  readonly unusable: ReadonlyMap<string, UnusableTensor>;
}
