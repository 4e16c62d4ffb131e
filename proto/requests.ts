/**
 * Requests of the local API, as schemas that check them. Read next: api.ts, the answers.
 *
 * A command imports the types alone: the checking is the daemon's.
 */

import { z } from 'zod';

// Longer than any path or pattern a person types; the request as a whole stays far below 1 MiB.
const text = z.string().min(1).max(4096);
// There are some forty ftypes; a list of more entries names some twice.
const TYPES_MAX = 64;
const PATTERNS_MAX = 256;
// Far more layers than any model has.
const PRUNED_LAYERS_MAX = 1024;

const common = {
  /** Absolute path of the checkpoint directory, or of a GGUF to quantize. */
  source: text,
  /**
   * `general.name` and the beginning of each output's name; by default the config's own. Of a GGUF
   * the beginning of the names alone: its metadata stays as it is.
   */
  name: text.optional(),
  overwrite: z.boolean().default(false),
};

/** An importance matrix: where it lies, and the path as the user wrote it. */
export const imatrixRequest = z.strictObject({ path: text, given: text });

export const quantizeRequest = z.strictObject({
  ...common,
  kind: z.literal('quantize'),
  /** ftype names, as llama-quantize spells them. */
  types: z.array(text).min(1).max(TYPES_MAX),
  /** Absolute path of the directory the outputs go to. */
  out: text,
  /** `PATTERN=TYPE`, in the order of the command line. */
  tensorTypes: z.array(text).max(PATTERNS_MAX).default([]),
  outputTensorType: text.optional(),
  tokenEmbeddingType: text.optional(),
  leaveOutputTensor: z.boolean().default(false),
  pure: z.boolean().default(false),
  imatrix: imatrixRequest.optional(),
  /** Parts of names of the importance matrix's entries: take only these, or all but these. */
  includeWeights: z.array(text).max(PATTERNS_MAX).default([]),
  excludeWeights: z.array(text).max(PATTERNS_MAX).default([]),
  /** `KEY=TYPE:VALUE`, in the order of the command line. */
  overrideKv: z.array(text).max(PATTERNS_MAX).default([]),
  /** Plan and say the sizes; make nothing. */
  dryRun: z.boolean().default(false),
  /** A tool whose file is to be met to the last byte, header included. */
  compat: text.optional(),
  /** Quantized tensors of a GGUF may change their type. */
  allowRequantize: z.boolean().default(false),
  /** Each output is split where the GGUF is. */
  keepSplit: z.boolean().default(false),
  /** Numbers of the layers to leave out, from 0. */
  pruneLayers: z.array(z.number().int().min(0)).max(PRUNED_LAYERS_MAX).default([]),
});

export const convertRequest = z.strictObject({
  ...common,
  kind: z.literal('convert'),
  type: text,
  /** Absolute path of the file to make. */
  out: text,
});

export const runRequest = z.discriminatedUnion('kind', [quantizeRequest, convertRequest]);
export const inspectRequest = z.strictObject({ file: text });

export type QuantizeRequest = z.infer<typeof quantizeRequest>;
export type ConvertRequest = z.infer<typeof convertRequest>;
export type RunRequest = z.infer<typeof runRequest>;
export type InspectRequest = z.infer<typeof inspectRequest>;
