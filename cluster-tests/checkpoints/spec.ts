/**
 * Spec: what a generated Gemma 4 checkpoint looks like, before there are weights.
 *
 *   a name or a seed ──▶ CheckpointSpec ──▶ generate.ts
 *
 * Every spec is small enough to be written, converted and quantized to every type in seconds.
 */

import { type Random, seededRandom } from './random.ts';

export type Dtype = 'BF16' | 'F16' | 'F32';

export interface CheckpointSpec {
  readonly name: string;
  /** Fixes every weight and the tokenizer. */
  readonly seed: number;
  readonly dtype: Dtype;
  /** How norms, scales and router are stored where it is not `dtype`. */
  readonly smallDtype?: Dtype;
  readonly shards: number;
  readonly vocabulary: number;
  readonly hidden: number;
  /** A letter a layer: S for sliding, F for full attention; the last is F. */
  readonly layers: string;
  readonly heads: number;
  readonly kvHeads: number;
  /** null as the small published models write it: then full layers have `kvHeads` too. */
  readonly globalKvHeads: number | null;
  readonly headDim: number;
  readonly globalHeadDim: number;
  /** Full layers have no value projection. */
  readonly keysAreValues: boolean;
  readonly dense: number;
  readonly experts?: {
    readonly count: number;
    readonly used: number;
    readonly width: number;
    /** One tensor for all experts, or three for each. */
    readonly form: 'stacked' | 'single';
  };
  readonly perLayer?: {
    readonly width: number;
    /** How many layers at the end take keys and values of earlier ones. */
    readonly sharedLayers: number;
    /** Whether those layers have a dense part of double width. */
    readonly doubleWide: boolean;
  };
  /** Adds tensors of a vision tower, which no text model takes. */
  readonly vision?: boolean;
  /** A text-only export: a flat config.json and names without `language_model.`. */
  readonly textOnly?: boolean;
  /** Adds `lm_head.weight`, a copy of the embeddings. */
  readonly headCopy?: boolean;
  /** Adds `lm_head.weight` with weights of its own, and says so. */
  readonly untied?: boolean;
  /** How many tokens a sliding layer sees, with the token itself; 8 unless told otherwise. */
  readonly window?: number;
  /** Zero rows, zero and constant runs, outliers and tiny values among the weights. */
  readonly rough?: boolean;
}

const base = {
  dtype: 'BF16',
  shards: 1,
  vocabulary: 320,
  hidden: 256,
  layers: 'SF',
  heads: 4,
  kvHeads: 2,
  globalKvHeads: 1,
  headDim: 32,
  globalHeadDim: 64,
  keysAreValues: true,
  dense: 96,
} as const satisfies Partial<CheckpointSpec>;

const experts = { count: 4, used: 2, width: 64, form: 'stacked' } as const;

const named: readonly Omit<CheckpointSpec, 'seed'>[] = [
  { ...base, name: 'moe', experts },
  { ...base, name: 'moe-f16', dtype: 'F16', experts },
  { ...base, name: 'moe-f32', dtype: 'F32', experts },
  { ...base, name: 'moe-two-dtypes', smallDtype: 'F32', experts },
  { ...base, name: 'moe-wide', experts: { ...experts, count: 3, width: 256 }, dense: 256 },
  // The rules of llama.cpp treat eight experts and four query heads a key apart.
  { ...base, name: 'moe-eight', kvHeads: 1, experts: { ...experts, count: 8, width: 32 } },
  { ...base, name: 'moe-single', experts: { ...experts, form: 'single' } },
  { ...base, name: 'moe-single-shards', shards: 3, experts: { ...experts, form: 'single' } },
  { ...base, name: 'moe-vision', shards: 2, vision: true, experts },
  { ...base, name: 'moe-text-only', textOnly: true, experts },
  { ...base, name: 'moe-head-copy', headCopy: true, experts },
  { ...base, name: 'moe-rough', rough: true, layers: 'SSF', dense: 256, experts },
  { ...base, name: 'dense-hidden-512', hidden: 512, dense: 160, vocabulary: 352 },
  { ...base, name: 'dense-values', keysAreValues: false, dense: 256, headDim: 64 },
  { ...base, name: 'dense-f32-rough', dtype: 'F32', rough: true, dense: 256, headDim: 64 },
  // Rows of 288 are no whole super-blocks, so every tensor falls back.
  { ...base, name: 'dense-hidden-288', hidden: 288, dense: 96 },
  // Past ten layers the order by number is not the order by name; the rules speak of eighths.
  { ...base, name: 'dense-deep', layers: 'SSSSSFSSSSSF', dense: 32, kvHeads: 1, headDim: 64 },
  {
    ...base,
    name: 'per-layer',
    layers: 'SFSF',
    kvHeads: 1,
    globalKvHeads: null,
    keysAreValues: false,
    perLayer: { width: 64, sharedLayers: 2, doubleWide: true },
  },
  {
    ...base,
    name: 'per-layer-f16',
    dtype: 'F16',
    layers: 'SSFSF',
    globalKvHeads: null,
    keysAreValues: false,
    perLayer: { width: 32, sharedLayers: 2, doubleWide: false },
  },
];

/** How many specs are drawn at random beside the named ones. */
const DRAWN_COUNT = 5;

/** The named specs and some drawn from `seed`, each with a seed of its own. */
export function checkpointSpecs(seed: number): CheckpointSpec[] {
  const drawn = Array.from({ length: DRAWN_COUNT }, (_, index) => drawSpec(seed * 1000 + index));
  return [...named.map((spec, index) => ({ ...spec, seed: seed * 1000 + 500 + index })), ...drawn];
}

/** A spec with every choice left to the seed. */
export function drawSpec(seed: number): CheckpointSpec {
  const random = seededRandom(seed);
  const one = <T>(...choices: readonly [T, ...T[]]): T =>
    choices[random.below(choices.length)] ?? choices[0];
  const heads = one(2, 4, 8);
  const hasExperts = random.below(3) > 0;
  const hasPerLayer = !hasExperts && random.below(2) === 0;
  // Narrow heads where there are many, so that no spec is much larger than the others.
  const headDim = heads === 8 ? 32 : one(32, 64);
  return {
    name: `drawn-${seed}`,
    seed,
    dtype: one<Dtype>('BF16', 'BF16', 'F16', 'F32'),
    shards: one(1, 2, 3),
    vocabulary: one(320, 352, 416),
    hidden: one(256, 256, 256, 512),
    // Shared layers take the keys of the two layers before them, which must be S and F.
    layers: hasPerLayer ? one('SFSF', 'SSFSF', 'SFSSF') : one('SF', 'SSF', 'SFF', 'SSSSF'),
    heads,
    kvHeads: one(1, heads / 2),
    globalKvHeads: hasPerLayer ? null : one(1, 2),
    headDim,
    globalHeadDim: 2 * headDim,
    keysAreValues: !hasPerLayer && random.below(2) === 0,
    dense: one(32, 96, 256),
    ...(hasExperts && { experts: drawExperts(random, one) }),
    ...(hasPerLayer && {
      perLayer: { width: one(32, 64), sharedLayers: 2, doubleWide: random.below(2) === 0 },
    }),
    vision: random.below(3) === 0,
    rough: random.below(3) === 0,
  };
}

function drawExperts(
  random: Random,
  one: <T>(...choices: readonly [T, ...T[]]) => T,
): NonNullable<CheckpointSpec['experts']> {
  const count = one(2, 3, 4, 8);
  return {
    count,
    used: 1 + random.below(count - 1),
    width: one(32, 64, 96, 256),
    form: one<'stacked' | 'single'>('stacked', 'single'),
  };
}
