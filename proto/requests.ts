/**
 * Requests of the local API, as schemas that check them. Read next: api.ts, the answers.
 *
 * A command imports the types alone: the checking is the daemon's.
 */

import * as z from 'zod';
import { mergeRequest, retouchRequest, splitRequest } from './gguf-requests.ts';
import { hubAccess } from './hub-access.ts';
import { publishRequest } from './publish-request.ts';
import { reproduceRequest, verifyRequest } from './release-requests.ts';

// Longer than any path or pattern a person types; the request as a whole stays far below 1 MiB.
const text = z.string().min(1).max(4096);
// There are some forty ftypes; a list of more entries names some twice.
const TYPES_MAX = 64;
const PATTERNS_MAX = 256;
// Far more layers than any model has.
const PRUNED_LAYERS_MAX = 1024;
// Texts and matrices that one command names; whoever has more puts them together before.
const FILES_MAX = 256;
// The longest context of any model; a chunk of more would be no context of one.
const CHUNK_TOKENS_MAX = 2 ** 20;
// As llama-imatrix counts rows: what has fewer is not measured by it.
const CHUNK_TOKENS_MIN = 16;
// More chunks or tokens than a calibration text can have (its file is limited to 64 MiB).
const COUNT_MAX = 2 ** 31 - 1;
// A cluster of more machines than this does not exist.
const REPLICAS_MAX = 256;

const common = {
  /**
   * Absolute path of the checkpoint directory, or of a GGUF to quantize; or a repository of a hub,
   * as hub-name.ts writes it, behind `hf:`.
   */
  source: text,
  hub: hubAccess.optional(),
  /** What is fetched of a repository stays in the data directory when the run is done. */
  keepSource: z.boolean().optional(),
  /**
   * `general.name` and the beginning of each output's name; by default the repository's, else the
   * config's own. Of a GGUF
   * the beginning of the names alone: its metadata stays as it is.
   */
  name: text.optional(),
  overwrite: z.boolean().default(false),
};

/** A file: where it lies (absolute), and the path as the user wrote it. */
export const namedFile = z.strictObject({ path: text, given: text });

const count = z.number().int().min(1).max(COUNT_MAX);

/** What an importance matrix is measured with. Read next: docs/calibration.md. */
export const calibrationRequest = z.strictObject({
  /** Texts, or lines of messages, in this order. Not together with `default`. */
  files: z.array(namedFile).max(FILES_MAX).default([]),
  /** The text that quantd brings along. */
  default: z.boolean().default(false),
  /** Frames samples with the model's own chat template. */
  chat: z.boolean().default(false),
  /** The names of special tokens inside a text become those tokens. */
  parseSpecial: z.boolean().default(false),
  /** Tokens of a chunk. */
  ctx: z.number().int().min(CHUNK_TOKENS_MIN).max(CHUNK_TOKENS_MAX).default(512),
  /** At most so many chunks; all where absent. */
  chunks: count.optional(),
  /** Leaves out so many chunks at the beginning. */
  fromChunk: z.number().int().min(0).max(COUNT_MAX).default(0),
  /** Also measures what enters the output matrix. */
  processOutput: z.boolean().default(false),
  /** Also tells the perplexity of the text. */
  ppl: z.boolean().default(false),
  /** Adds groups of chunks until every expert has had so many tokens; needs `chunks`. */
  minExpertTokens: count.optional(),
  /** Machines that run the same layers, each for a part of the chunks. */
  replicas: z.number().int().min(1).max(REPLICAS_MAX).default(1),
  /** Chunks that pass a layer together, at most. */
  waveChunks: count.optional(),
});

export const quantizeRequest = z.strictObject({
  ...common,
  kind: z.literal('quantize'),
  /** ftype names, as llama-quantize spells them; one output each, after those of the recipe. */
  types: z.array(text).max(TYPES_MAX).default([]),
  /** A recipe's file, or its plain values (proto/recipe-file.ts); one output for each of its. */
  recipe: z
    .union([namedFile, z.strictObject({ plain: z.record(z.string(), z.unknown()) })])
    .optional(),
  /** Absolute path of the directory the outputs go to. */
  out: text,
  /** `PATTERN=TYPE`, in the order of the command line. */
  tensorTypes: z.array(text).max(PATTERNS_MAX).default([]),
  outputTensorType: text.optional(),
  tokenEmbeddingType: text.optional(),
  leaveOutputTensor: z.boolean().default(false),
  pure: z.boolean().default(false),
  /** An importance matrix. */
  imatrix: namedFile.optional(),
  /** Measures the importance before quantizing with it. Not together with `imatrix`. */
  calibration: calibrationRequest.optional(),
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
  /** Outputs are cut into parts of so many tensors, or bytes of them; not together. */
  splitMaxTensors: count.optional(),
  splitMaxBytes: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Only outputs that are larger are cut. */
  splitAboveBytes: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Numbers of the layers to leave out, from 0. */
  pruneLayers: z.array(z.number().int().min(0)).max(PRUNED_LAYERS_MAX).default([]),
  /**
   * `pooled`: outputs grow on the disks of all machines and are collected in the end; `left`: they
   * stay there. Where absent they grow in `out`.
   */
  assembly: z.enum(['pooled', 'left']).optional(),
});

/** Makes a folder ready to upload: outputs, card, lockfile and all that a rebuild needs. */
export const releaseRequest = quantizeRequest.omit({ kind: true, dryRun: true }).extend({
  kind: z.literal('release'),
});

export const convertRequest = z.strictObject({
  ...common,
  kind: z.literal('convert'),
  type: text,
  /** Absolute path of the file to make. */
  out: text,
});

/** Measures an importance matrix, or merges those of `inFiles`, or adds them to what it measures. */
export const makeImatrixRequest = z.strictObject({
  ...common,
  kind: z.literal('imatrix'),
  /** Where absent, `inFiles` are merged and nothing is measured. */
  calibration: calibrationRequest.optional(),
  /** Absolute path of the file to make. */
  out: text,
  format: z.enum(['gguf', 'dat']).default('gguf'),
  inFiles: z.array(namedFile).max(FILES_MAX).default([]),
  showStatistics: z.boolean().default(false),
});

export const runRequest = z.discriminatedUnion('kind', [
  quantizeRequest,
  releaseRequest,
  convertRequest,
  makeImatrixRequest,
  verifyRequest,
  reproduceRequest,
  publishRequest,
  splitRequest,
  mergeRequest,
  retouchRequest,
]);
export const inspectRequest = z.strictObject({ file: text, hub: hubAccess.optional() });

export type HubAccess = z.infer<typeof hubAccess>;
export type QuantizeRequest = z.infer<typeof quantizeRequest>;
export type ReleaseRequest = z.infer<typeof releaseRequest>;
export type ConvertRequest = z.infer<typeof convertRequest>;
export type CalibrationRequest = z.infer<typeof calibrationRequest>;
export type MakeImatrixRequest = z.infer<typeof makeImatrixRequest>;
/** What is made from the numbers of a model. */
export type ModelRequest = QuantizeRequest | ConvertRequest | MakeImatrixRequest;
export type RunRequest = z.infer<typeof runRequest>;
export type InspectRequest = z.infer<typeof inspectRequest>;
