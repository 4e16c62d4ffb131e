/**
 * Requests that rewrite GGUFs without making a block: split, merge, retouch. Read next: requests.ts.
 */

import * as z from 'zod';

// Longer than any path a person types.
const path = z.string().min(1).max(4096);
// More tensors than a GGUF may have: a larger number cuts nothing more.
const TENSORS_MAX = 2 ** 31 - 1;
const SETTINGS_MAX = 256;
// Longer texts, such as chat templates, come from files. 256 of these exceed the request's own limit.
const SETTING_CHARACTERS_MAX = 65_536;
const KEY_CHARACTERS_MAX = 65_535;
const setting = z.string().min(1).max(SETTING_CHARACTERS_MAX);

const common = {
  /** Absolute path of the GGUF; of a split one any part names the whole. */
  source: path,
  overwrite: z.boolean().default(false),
};

/** Cuts a whole GGUF into parts of at most so many tensors, or bytes of them. */
export const splitRequest = z.strictObject({
  ...common,
  kind: z.literal('split'),
  /** Absolute path that each part's name begins with: `<out>-00001-of-00003.gguf`. */
  out: path,
  /** Not together with `maxBytes`; 128 where neither is given. */
  maxTensors: z.number().int().min(1).max(TENSORS_MAX).optional(),
  maxBytes: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  /** The first part has the metadata and no tensors. */
  noTensorFirstSplit: z.boolean().default(false),
  /** Say the parts and their sizes; make nothing. */
  dryRun: z.boolean().default(false),
});

/** Joins the parts of a split GGUF. */
export const mergeRequest = z.strictObject({
  ...common,
  kind: z.literal('merge'),
  /** Absolute path of the file to make. */
  out: path,
});

/** Changes metadata of a GGUF; its tensors are copied as they are. */
export const retouchRequest = z.strictObject({
  ...common,
  kind: z.literal('retouch'),
  /** Absolute path of the file to make; absent: `source` is replaced. */
  out: path.optional(),
  /** `KEY=TYPE:VALUE`, in the order of the command line. */
  set: z.array(setting).max(SETTINGS_MAX).default([]),
  remove: z.array(z.string().min(1).max(KEY_CHARACTERS_MAX)).max(SETTINGS_MAX).default([]),
  /** `general.name`. */
  name: setting.optional(),
  /** Absolute path of a file that becomes `tokenizer.chat_template`. */
  chatTemplate: path.optional(),
  /** Keys that the model's shape follows from may be changed, and keys may change their type. */
  force: z.boolean().default(false),
});

export type SplitRequest = z.infer<typeof splitRequest>;
export type MergeRequest = z.infer<typeof mergeRequest>;
export type RetouchRequest = z.infer<typeof retouchRequest>;
export type GgufRequest = SplitRequest | MergeRequest | RetouchRequest;
