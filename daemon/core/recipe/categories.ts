/**
 * Categories: what a tensor is to the rules, told from its name alone.
 *
 *   name ──▶ categoryOf ──▶ Category  (read next: mixture.ts)
 *
 * The names are those of GGUF files as llama.cpp reads them; the order of the lists is part of
 * the rule, since `ffn_gate_up_exps` is a gate because it is looked for after `ffn_up`.
 */

export type Category =
  | 'output'
  | 'embedding'
  | 'qkv'
  | 'kv-b'
  | 'value'
  | 'key'
  | 'query'
  | 'attention-output'
  | 'up'
  | 'gate'
  | 'down'
  | 'other';

export const outputTensor = 'output.weight';
export const tokenEmbedding = 'token_embd.weight';

const whole: Readonly<Record<string, Category>> = {
  [outputTensor]: 'output',
  [tokenEmbedding]: 'embedding',
  'per_layer_token_embd.weight': 'embedding',
};

const parts: readonly (readonly [part: string, category: Category])[] = [
  ['attn_qkv.weight', 'qkv'],
  ['attn_kv_b.weight', 'kv-b'],
  ['attn_v.weight', 'value'],
  ['attn_k.weight', 'key'],
  ['attn_q.weight', 'query'],
  ['attn_output.weight', 'attention-output'],
  ['ffn_up', 'up'],
  ['ffn_gate', 'gate'],
  ['ffn_down', 'down'],
];

/** The first category whose mark the name bears. */
export function categoryOf(name: string): Category {
  if (Object.hasOwn(whole, name)) return whole[name] ?? 'other';
  return parts.find(([part]) => name.includes(part))?.[1] ?? 'other';
}

/** Whether a tensor holds value projections, alone or joined with others. */
export function isValueLike(category: Category): boolean {
  return category === 'value' || category === 'qkv' || category === 'kv-b';
}

// Norms, routers, small convolutions, recurrent state and vision or audio projectors: few bytes,
// and rough numbers there cost much.
const keptParts: readonly string[] = [
  '_norm.weight',
  'ffn_gate_inp.weight',
  'ffn_gate_tid2eid.weight',
  'altup',
  'laurel',
  'per_layer_model_proj',
  'ssm_conv1d',
  'shortconv.conv.weight',
  'indexer.k_proj.weight',
  'indexer.q_proj.weight',
  'time_mix_first.weight',
  ...['w0', 'w1', 'w2', 'v0', 'v1', 'v2', 'a0', 'a1', 'a2', 'g1', 'g2'].map(
    (part) => `time_mix_${part}.weight`,
  ),
  'time_mix_decay_w1.weight',
  'time_mix_decay_w2.weight',
  'time_mix_lerp_fused.weight',
  'attn_rel_b.weight',
  '.position_embd',
  'sam.pos_embd',
  'sam.neck.',
  'sam.net_',
  '.rel_pos',
  '.patch_embd',
  '.patch_merger',
  'a.rvq.codebook',
  'mm.a.code_embd',
];
const keptNames: readonly string[] = ['position_embd.weight', 'token_types.weight'];

/** Whether a tensor may get another type than it has; vectors and the kept names may not. */
export function mayBeQuantized(name: string, shape: readonly number[]): boolean {
  const dimensions = shape.findLastIndex((elements) => elements !== 1) + 1;
  return (
    dimensions >= 2 &&
    name.endsWith('weight') &&
    !keptNames.includes(name) &&
    !keptParts.some((part) => name.includes(part))
  );
}

/** The N of a leading `blk.N.`; undefined for tensors that belong to no layer. */
export function layerOf(name: string): number | undefined {
  // Nine digits are far more layers than any model has, and still an exact number.
  const digits = /^blk\.(\d{1,9})\./.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
