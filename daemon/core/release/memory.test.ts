import { expect, test } from 'vitest';
import type { KeyValue } from '../gguf/metadata.ts';
import { bools, i32s, u32 } from '../models/key-values.ts';
import { kvCacheBytes } from './memory.ts';

const llama: KeyValue[] = [
  u32('llama.block_count', 32),
  u32('llama.embedding_length', 4096),
  u32('llama.attention.head_count', 32),
];

test('every head has keys and values of its own where nothing else is said', () => {
  // 32 layers × 4096 positions × 32 heads × (128 + 128) numbers × 2 bytes: 2 GiB, as llama.cpp says
  // of Llama 2 7B.
  expect(kvCacheBytes(llama, 'llama', 4096)).toBe(2 * 1024 ** 3);
});

test('grouped heads have fewer', () => {
  const grouped = [...llama, u32('llama.attention.head_count_kv', 8)];
  // Llama 3 8B: 512 MiB.
  expect(kvCacheBytes(grouped, 'llama', 4096)).toBe(512 * 1024 ** 2);
});

test('sliding layers keep their window, layers that share keep nothing', () => {
  const mixed = [
    u32('gemma4.block_count', 4),
    u32('gemma4.embedding_length', 64),
    u32('gemma4.attention.head_count', 4),
    i32s('gemma4.attention.head_count_kv', [2, 1, 2, 1]),
    u32('gemma4.attention.key_length', 32),
    u32('gemma4.attention.value_length', 32),
    u32('gemma4.attention.key_length_swa', 16),
    u32('gemma4.attention.value_length_swa', 16),
    u32('gemma4.attention.sliding_window', 100),
    bools('gemma4.attention.sliding_window_pattern', [true, false, true, false]),
    u32('gemma4.attention.shared_kv_layers', 1),
  ];
  const sliding = 100 * 2 * 32 * 2;
  const full = 4096 * 1 * 64 * 2;
  expect(kvCacheBytes(mixed, 'gemma4', 4096)).toBe(2 * sliding + full);
});

test('a model without attention has no number', () => {
  expect(kvCacheBytes([u32('mamba.block_count', 4)], 'mamba', 4096)).toBeUndefined();
});
