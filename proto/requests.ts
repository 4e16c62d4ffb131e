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

const common = {
  /** Absolute path of the checkpoint directory. */
  source: text,
  /** `general.name` and the beginning of each output's name; by default the config's own. */
  name: text.optional(),
  overwrite: z.boolean().default(false),
};

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
