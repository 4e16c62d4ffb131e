import { expect, test } from 'vitest';
import { blockTypes } from '../gguf/block-types.ts';
import { ftypes, parseFtype } from './ftypes.ts';
import { checkImportance, checkMakeable, needsImportance, requirementsOf } from './requirements.ts';
import type { TypeAssignment } from './type-rules.ts';

const q4 = parseFtype('Q4_K_M');
const unmakeable = (Object.keys(blockTypes) as (keyof typeof blockTypes)[]).filter(
  (name) => !blockTypes[name].makeable,
);
const tensors = ['token_embd.weight', 'blk.0.attn_q.weight', 'blk.1.attn_q.weight'].map((name) => ({
  name,
}));

function given(...types: readonly TypeAssignment['type'][]): readonly TypeAssignment[] {
  return types.map((type) => ({ type, reason: 'default' }));
}

test('types with a kernel pass; one without is refused with ftype, tensor and type', () => {
  expect(() => checkMakeable(given('Q6_K', 'Q4_K', 'F16'), tensors, q4)).not.toThrow();
  // As kernels are added this list shrinks; Q8_K is no type for files and stays.
  expect(unmakeable).toContain('Q8_K');
  for (const type of unmakeable) {
    const message = new RegExp(
      `QD-4108 .*blk.0.attn_q.weight.*ftype Q4_K_M wants ${type} for blk.0`,
    );
    expect(() => checkMakeable(given('Q6_K', type, 'F16'), tensors, q4)).toThrow(message);
  }
});

test('a kept tensor is copied, whatever its type', () => {
  const kept: TypeAssignment = { type: 'I32', reason: 'kept' };
  expect(() => checkMakeable([kept, kept, kept], tensors, q4)).not.toThrow();
});

test('a thousand tensors are named by a few', () => {
  const many = Array.from({ length: 1000 }, (_, layer) => ({ name: `blk.${layer}.attn_q.weight` }));
  const wanted = many.map(() => ({ type: 'Q8_K', reason: 'default' }) as const);
  expect(() => checkMakeable(wanted, many, q4)).toThrow(/and 995 more$/);
});

test('coarse types need importance for their tensor, but not for embedding and output', () => {
  const coarse = given('IQ2_S', 'IQ2_S', 'IQ3_XXS');
  expect(() => checkImportance(coarse, tensors, q4, new Set())).toThrow(
    /QD-4107 .*IQ2_S for blk.0.attn_q.weight, IQ3_XXS for blk.1.attn_q.weight$/,
  );
  const measured = new Set(['blk.0.attn_q.weight', 'blk.1.attn_q.weight']);
  expect(() => checkImportance(coarse, tensors, q4, measured)).not.toThrow();
  expect(() => checkImportance(given('IQ2_XS', 'F16', 'F16'), tensors, q4, measured)).toThrow(
    /QD-4107.*token_embd/,
  );
});

test('Q2_K needs importance only in Q2_K_S', () => {
  const q2: TypeAssignment = { type: 'Q2_K', reason: 'default' };
  expect(needsImportance('blk.0.attn_q.weight', q2, parseFtype('Q2_K'))).toBe(false);
  expect(needsImportance('blk.0.attn_q.weight', q2, parseFtype('Q2_K_S'))).toBe(true);
  expect(needsImportance('output.weight', q2, parseFtype('Q2_K_S'))).toBe(false);
});

test('which ftypes need importance follows from the rules', () => {
  const wanting = ftypes.filter((ftype) => requirementsOf(ftype).needsImportance);
  expect(wanting.map(({ name }) => name)).toEqual([
    ...['IQ3_XS', 'IQ3_XXS', 'Q2_K_S', 'IQ2_M', 'IQ2_S', 'IQ2_XS', 'IQ2_XXS', 'IQ1_M', 'IQ1_S'],
  ]);
});

test('which ftypes can be made follows from the kernels', () => {
  for (const ftype of ftypes) {
    const { missingTypes } = requirementsOf(ftype);
    if (!blockTypes[ftype.type].makeable) expect(missingTypes).toContain(ftype.type);
    expect(missingTypes.every((type) => unmakeable.includes(type))).toBe(true);
  }
  expect(requirementsOf(q4).missingTypes).toEqual([]);
  expect(requirementsOf(parseFtype('Q2_K')).missingTypes).toEqual([]);
});
