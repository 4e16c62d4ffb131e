import { expect, test } from 'vitest';
import type { UnitId } from '../plan/unit-id.ts';
import { type AheadRun, adoptedRuns, settledTensors } from './ahead.ts';

const names = (tensors: readonly { readonly name: string }[]): string[] =>
  tensors.map(({ name }) => name);

test('the tensors of complete layers are settled, but for those that another layer weighs', () => {
  const tensors = [
    { name: 'token_embd.weight' },
    { name: 'blk.0.attn_norm.weight' },
    { name: 'blk.0.attn_q.weight' },
    { name: 'blk.1.attn_norm.weight' },
    { name: 'blk.1.attn_q.weight' },
    // Another layer was cut out in front of it.
    { name: 'blk.2.attn_q.weight', originalName: 'blk.3.attn_q.weight' },
    { name: 'blk.4.odd.weight' },
    { name: 'output.weight' },
  ];
  const statistics = [
    [{ names: ['blk.0.attn_q.weight', 'blk.4.odd.weight'] }],
    [{ names: ['blk.1.attn_q.weight'] }],
    [],
    [{ names: ['blk.3.attn_q.weight'] }],
    [],
    [{ names: ['output.weight'] }],
  ];
  const settled = (...complete: number[]): string[] =>
    names(settledTensors(tensors, statistics, new Set(complete)));
  expect(settled()).toEqual([]);
  expect(settled(0)).toEqual(['blk.0.attn_norm.weight', 'blk.0.attn_q.weight']);
  expect(settled(2, 5)).toEqual([]);
  expect(settled(3)).toEqual(['blk.2.attn_q.weight']);
  expect(settled(4)).toEqual([]);
  expect(settled(0, 4)).toContain('blk.4.odd.weight');
});

test('an output begins with the runs at its places whose units it asks for', () => {
  const made = (unit: string, offset: number, bytes = 10): AheadRun => {
    return { unit: unit as UnitId, offset, bytes, digest: Uint8Array.of(offset) };
  };
  const runs = ['a', 'b', 'c', 'd'].map((unit, task) => {
    return { unit: unit as UnitId, task, offset: 100 + 10 * task, bytes: 10 };
  });
  const found = adoptedRuns({ runs }, [
    made('c', 120),
    // Of other weights, of another length, of another place, and of no output.
    made('z', 100),
    made('b', 110, 8),
    made('d', 140),
    made('e', 150),
  ]);
  expect(found).toEqual([{ run: 2, digest: Uint8Array.of(120) }]);
  expect(adoptedRuns({ runs }, [])).toEqual([]);
});
