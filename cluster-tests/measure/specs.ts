/**
 * Specs: the generated checkpoints on which the forward pass is compared with llama.cpp.
 *
 *   measureSpecs ──▶ checkpoints.ts ──▶ a directory, GGUFs
 *
 * Together they hold every branch of the family: stacked and single experts of several numbers,
 * dense parts, per-layer embeddings with shared keys and values, layers without values, tied and
 * untied heads. Every window is shorter than TOKENS, so that it is crossed.
 */

import type { CheckpointSpec } from '../checkpoints/spec.ts';

/** Tokens of a chunk in these tests; every window below is shorter. */
export const TOKENS = 96;

const base = {
  dtype: 'BF16',
  shards: 1,
  vocabulary: 320,
  hidden: 256,
  layers: 'SSF',
  heads: 4,
  kvHeads: 2,
  globalKvHeads: 1,
  headDim: 64,
  globalHeadDim: 128,
  keysAreValues: true,
  dense: 96,
  window: 8,
} as const satisfies Partial<CheckpointSpec>;

const experts = { count: 4, used: 2, width: 64, form: 'stacked' } as const;
const sixteen = { count: 16, used: 4, width: 32, form: 'stacked' } as const;
const perLayer = { width: 64, sharedLayers: 2, doubleWide: true } as const;
const withPerLayer = {
  ...base,
  kvHeads: 1,
  globalKvHeads: null,
  keysAreValues: false,
  dense: 256,
} as const;

const unseeded: readonly Omit<CheckpointSpec, 'seed'>[] = [
  { ...base, name: 'moe-2-of-4', experts },
  {
    ...base,
    name: 'moe-2-of-4-single',
    keysAreValues: false,
    experts: { ...experts, form: 'single' },
  },
  { ...base, name: 'moe-4-of-16', window: 24, experts: sixteen },
  {
    ...base,
    name: 'moe-4-of-16-single',
    hidden: 512,
    layers: 'SF',
    shards: 2,
    experts: { ...sixteen, form: 'single' },
  },
  // A type of their own for norms, scales and router, and experts as wide as the model.
  {
    ...base,
    name: 'moe-wide',
    smallDtype: 'F32',
    headDim: 32,
    globalHeadDim: 64,
    experts: { ...experts, count: 3, width: 256 },
  },
  // No length is a multiple of 16, and the inner lengths of two products are odd.
  {
    ...base,
    name: 'moe-odd',
    hidden: 250,
    heads: 2,
    headDim: 42,
    globalHeadDim: 86,
    dense: 97,
    window: 13,
    experts: { ...experts, count: 5, used: 3, width: 33 },
  },
  { ...base, name: 'dense', layers: 'SSSF', dense: 352 },
  {
    ...base,
    name: 'dense-many-heads',
    hidden: 512,
    heads: 8,
    kvHeads: 2,
    globalKvHeads: 2,
    headDim: 32,
    globalHeadDim: 64,
    keysAreValues: false,
    dense: 160,
    window: 40,
  },
  { ...base, name: 'dense-deep', layers: 'SSSSSFSSSSSF', kvHeads: 1, window: 16 },
  { ...base, name: 'dense-untied', untied: true, window: 31 },
  { ...withPerLayer, name: 'per-layer', layers: 'SFSF', perLayer },
  {
    ...withPerLayer,
    name: 'per-layer-narrow',
    layers: 'SSFSSF',
    kvHeads: 2,
    window: 20,
    perLayer: { width: 32, sharedLayers: 3, doubleWide: false },
  },
];

/** Fixes the weights of all of them; one seed more for each. */
const FIRST_SEED = 4100;

export const measureSpecs: readonly CheckpointSpec[] = unseeded.map((spec, index) => ({
  ...spec,
  seed: FIRST_SEED + index,
}));
