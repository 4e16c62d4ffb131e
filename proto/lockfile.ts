/**
 * The lockfile of a release, quantd.lock.json: everything that its bytes follow from.
 *
 *   { lock, run }      lock: the pure part, the same in every cluster; run: how it was made this time
 *
 * Two releases are the same exactly where their pure parts are. docs/release.md tells the fields.
 */

import * as z from 'zod';
import { recipeFile } from './recipe-file.ts';
import { calibrationRequest, quantizeRequest } from './requests.ts';

export const LOCK_FILE = 'quantd.lock.json';
export const SIGNATURE_FILE = 'quantd.lock.json.sig';
/** Raised when a field changes its meaning: older programs then refuse the file. */
export const LOCK_SCHEMA = 1;
/** Far more than the tensors of forty outputs of the largest models take. */
export const LOCK_BYTES_MAX: number = 256 * 1024 * 1024;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256 in lower-case hex');
const bytes = z.number().int().min(0);
const count = z.number().int().min(0);
const text = z.string().min(1).max(4096);
// A release lies in one folder: a file of it is named by its path inside, which never leaves it.
const inside = z
  .string()
  .max(255)
  .regex(
    /^(\.gitattributes|[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)?)$/,
    'is no name in a release',
  );

const digestedFile = z.strictObject({ file: inside, bytes, sha256 });
/** A file of the source, by its path relative to SOURCE. */
const sourceFile = z.strictObject({ file: text, bytes, sha256 });

/** What was asked for, without where things lie: with the inputs, it decides every byte. */
export const wishes = quantizeRequest
  .omit({
    kind: true,
    source: true,
    hub: true,
    keepSource: true,
    out: true,
    overwrite: true,
    imatrix: true,
    calibration: true,
    dryRun: true,
    assembly: true,
  })
  .extend({
    name: text,
    /** Its outputs in canonical form; how was measured stands with the calibration. */
    recipe: z.strictObject({ plain: recipeFile }).optional(),
  });

export const lockedCalibration = z.strictObject({
  /** The contract that every number of the forward pass keeps. */
  contract: z.string(),
  chunks: count,
  chunkTokens: count,
  /** Of the ids of all chunks, with what cuts them. */
  tokens: sha256,
  /** Every text in order: its name in the matrix, and where its bytes lie in the release. */
  texts: z.array(
    z.strictObject({ name: text, file: inside, bytes, sha256, tokens: count, chunks: count }),
  ),
  options: calibrationRequest.omit({
    files: true,
    default: true,
    replicas: true,
    waveChunks: true,
  }),
});

export const lockedOutput = digestedFile.extend({
  ftype: z.string(),
  bitsPerWeight: z.number(),
  /** SHA-256 of what stands in front of the tensor data, padding included. */
  header: sha256,
  /** In the order of the file: name, type, SHA-256 of the tensor's bytes. */
  tensors: z.array(z.tuple([z.string(), z.string(), sha256])),
});

export const pureLock = z.strictObject({
  schema: z.literal(LOCK_SCHEMA),
  quantd: text,
  contracts: z.strictObject({
    /** Whose type rules and block layouts these are. */
    rules: text,
    /** SHA-256 over the hashes that every kernel must give before it is used. */
    quantizers: sha256,
    measuring: z.strictObject({ name: text, selfTest: sha256 }),
  }),
  model: z.strictObject({
    name: text,
    architecture: text,
    tensors: count,
    /** Elements of all tensors. */
    elements: count,
  }),
  source: z.strictObject({
    /** Of a hub: org/name, and the commit. */
    repository: text.optional(),
    commit: text.optional(),
    files: z.array(sourceFile),
  }),
  /** SHA-256 over names and digests of the files that the vocabulary comes from. */
  tokenizer: sha256.optional(),
  wishes,
  calibration: lockedCalibration.optional(),
  imatrix: digestedFile
    .extend({ name: text, entries: count.optional(), chunks: count.optional() })
    .optional(),
  outputs: z.array(lockedOutput).min(1),
  /** The other files of the release that are the same in every cluster. */
  files: z.array(digestedFile),
});

/** How it was made this time; nothing of it may touch a byte above. */
export const lockedRun = z.strictObject({
  seconds: z.number(),
  isa: z.string(),
  threads: count,
  sourceBytes: bytes,
  peers: z.array(
    z.strictObject({
      name: z.string(),
      tasks: count,
      units: count,
      sourceBytes: bytes,
      resultBytes: bytes,
    }),
  ),
  /** Allocated bytes of the release folder and of what the run kept beside it. */
  diskBytes: bytes,
  /** The files of the release that tell of this run, such as REPRODUCE.md, so that they are signed too. */
  files: z.array(digestedFile).optional(),
});

export const lockFile = z.strictObject({ lock: pureLock, run: lockedRun });

/** Who says so: over the bytes of quantd.lock.json. */
export const lockSignature = z.strictObject({
  algorithm: z.literal('ed25519'),
  /** The machine that made it, as libp2p names it; its key is in the name. */
  peer: text,
  /** Base64. */
  publicKey: z.string(),
  signature: z.string(),
});

/** A line of attestations.ndjson: block runs that a machine made, in its words and with its name. */
export const attestationLine = z.strictObject({
  peer: text,
  /** Id and SHA-256 of the bytes of each unit. */
  units: z.array(z.tuple([sha256, sha256])).min(1),
  /** Base64; over the bytes that core/plan/attestation.ts tells. */
  signature: z.string(),
});

export type AttestationLine = z.infer<typeof attestationLine>;
export type Wishes = z.infer<typeof wishes>;
export type LockedCalibration = z.infer<typeof lockedCalibration>;
export type LockedOutput = z.infer<typeof lockedOutput>;
export type PureLock = z.infer<typeof pureLock>;
export type LockedRun = z.infer<typeof lockedRun>;
export type LockFile = z.infer<typeof lockFile>;
export type LockSignature = z.infer<typeof lockSignature>;
