import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InspectReport, InspectValue } from '../proto/inspect.ts';
import { renderInspect } from './inspect-view.ts';

const report: InspectReport = {
  kind: 'gguf',
  file: 'tiny-Q4_K_M.gguf',
  bytes: 9_731_072,
  version: 3,
  metadata: [
    { key: 'general.architecture', value: { type: 'string', value: 'gemma4' } },
    { key: 'gemma4.block_count', value: { type: 'u32', value: 4 } },
    {
      key: 'tokenizer.ggml.tokens',
      value: { type: 'array', of: 'string', length: 262_144, first: ['<pad>', '\n', '▁the'] },
    },
    { key: 'tokenizer.ggml.add_bos_token', value: { type: 'bool', value: true } },
    { key: 'test.empty', value: { type: 'array', of: 'i32', length: 0, first: [] } },
  ],
  tensors: [
    { name: 'token_embd.weight', type: 'Q6_K', shape: [256, 1024], offset: 1_024, bytes: 215_040 },
    { name: 'output_norm.weight', type: 'F32', shape: [256], offset: 216_064, bytes: 1_024 },
  ],
  totals: {
    elements: 262_400,
    bytes: 216_064,
    bitsPerWeight: 6.587,
    types: [
      { type: 'Q6_K', tensors: 1, elements: 262_144, bytes: 215_040 },
      { type: 'F32', tensors: 1, elements: 256, bytes: 1_024 },
    ],
  },
  notices: ['general.name holds bytes that are no UTF-8; they are shown as U+FFFD'],
};

test('a report reads like this', () => {
  expect(renderInspect(report, 100)).toEqual([
    'tiny-Q4_K_M.gguf · GGUF version 3 · 9.28 MiB',
    '',
    'metadata (5)',
    '  general.architecture          string          gemma4',
    '  gemma4.block_count            u32             4',
    '  tokenizer.ggml.tokens         string[262144]  ["<pad>", "\\n", "▁the", …]',
    '  tokenizer.ggml.add_bos_token  bool            true',
    '  test.empty                    i32[0]          []',
    '',
    'tensors (2)',
    '  type       shape   bytes  offset  name',
    '  Q6_K  256 × 1024  215040    1024  token_embd.weight',
    '  F32          256    1024  216064  output_norm.weight',
    '',
    'total: 262 k elements · 211 KiB · 6.587 bits per weight',
    '  Q6_K  1 tensor  262 k elements   210 KiB  99.5 %',
    '  F32   1 tensor    256 elements  1.00 KiB   0.5 %',
    'note: general.name holds bytes that are no UTF-8; they are shown as U+FFFD',
  ]);
});

test('a part of a split file says which one it is', () => {
  const lines = renderInspect({ ...report, split: { part: 1, parts: 3, tensors: 41 } }, 80);
  expect(lines[1]).toBe('part 2 of 3, with 41 tensors in all');
});

test('a file without anything in it still has totals', () => {
  const totals = { elements: 0, bytes: 0, bitsPerWeight: 0, types: [] };
  const lines = renderInspect({ ...report, metadata: [], tensors: [], totals, notices: [] }, 80);
  expect(lines.slice(2)).toEqual([
    'metadata (0)',
    '',
    'tensors (0)',
    '',
    'total: 0 elements · 0 B · 0.000 bits per weight',
  ]);
});

const hostile = fc.string({ unit: 'binary', maxLength: 200 });
const anyScalar = fc.oneof(hostile, fc.integer(), fc.boolean());
const anyValue: fc.Arbitrary<InspectValue> = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'u32'), value: anyScalar }),
  fc.record({
    type: fc.constant('array' as const),
    of: fc.constantFrom('string', 'i32'),
    length: fc.nat(1_000_000),
    first: fc.array(anyScalar, { maxLength: 8 }),
  }),
);

// Goal: no file can move the cursor, recolour or turn the text around, or push a line past the
// terminal's edge. Method: hostile texts in every place of a report.
test('lines are printable and no longer than the terminal is wide', () => {
  const anyTensor = hostile.map((name) => ({
    name,
    type: 'F32',
    shape: [1, 2],
    offset: 1,
    bytes: 8,
  }));
  fc.assert(
    fc.property(
      fc.array(fc.record({ key: hostile, value: anyValue }), { maxLength: 5 }),
      fc.array(anyTensor, { maxLength: 5 }),
      hostile,
      fc.integer({ min: 40, max: 200 }),
      (metadata, tensors, text, width) => {
        const hostileReport = { ...report, metadata, tensors, file: text, notices: [text] };
        for (const line of renderInspect(hostileReport, width)) {
          expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
          const visible = [...line].filter((character) => !/\p{M}/u.test(character));
          expect(visible.length).toBeLessThanOrEqual(width);
        }
      },
    ),
  );
});

test('escapes of a terminal are shown, wide letters count twice', () => {
  const named = (name: string): string => {
    const tensors = [{ name, type: 'F32', shape: [], offset: 0, bytes: 4 }];
    return renderInspect({ ...report, tensors }, 60)[11] ?? '';
  };
  expect(named('a\u001b[31mb\u202ec')).toContain('a\\u{1b}[31mb\\u{202e}c');
  const start = named('').length + 2;
  expect(named('漢'.repeat(60))).toHaveLength(start + Math.floor((60 - start - 1) / 2) + 1);
});
