/**
 * Requests about a release that is finished: to verify it, to make it again. Read next: requests.ts,
 * and lockfile.ts for what a release says of itself.
 */

import * as z from 'zod';
import { hubAccess } from './hub-access.ts';

// Longer than any path or pattern a person types.
const text = z.string().min(1).max(4096);
// More row groups than any release has, so that a large number means all of them.
const SPOT_MAX = 2 ** 31 - 1;
// As many as a calibration may have.
const TEXTS_MAX = 256;
const SEED_MAX = 2 ** 32 - 1;

/** As a run has it, where there is one. */
const source = {
  source: text.optional(),
  hub: hubAccess.optional(),
  keepSource: z.boolean().optional(),
};

export const verifyRequest = z.strictObject({
  kind: z.literal('verify'),
  /** Absolute path of a release's folder, or of one file of it, or of any GGUF. */
  release: text,
  /** What it was made from: the types are planned again, and a part of the blocks is made again. */
  ...source,
  /** How many row groups are made again. */
  spot: z.number().int().min(0).max(SPOT_MAX).default(16),
  /** Which ones. */
  seed: z.number().int().min(0).max(SEED_MAX),
  /** The peer id that must have signed. */
  signer: text.optional(),
});

/** Makes a release again from its lockfile and compares every byte. */
export const reproduceRequest = z.strictObject({
  kind: z.literal('reproduce'),
  /** Absolute path of the lockfile, or of the folder it lies in. */
  release: text,
  /** By default `source` is the repository and commit that the lockfile names. */
  ...source,
  /** Absolute paths of the texts, in the order of the lockfile; by default those of the release. */
  calibration: z.array(text).max(TEXTS_MAX).default([]),
  /** Absolute path of the directory to make it in; by default one beside the release's folder. */
  out: text.optional(),
  /** What was made again stays. */
  keep: z.boolean().default(false),
});

export type ReproduceRequest = z.infer<typeof reproduceRequest>;
export type VerifyRequest = z.infer<typeof verifyRequest>;
