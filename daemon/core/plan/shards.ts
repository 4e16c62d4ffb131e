/**
 * Shards: which files one output is, where it keeps the split of its source.
 *
 *   tensors + metadata ──▶ cutShards ──▶ Shard[] ──▶ outputs.ts
 *
 * A shard is a GGUF by itself: the first carries all metadata, each says with three keys which one
 * it is, and its file's name says it too: `<stem>-00001-of-00003.gguf`.
 */

import { assert } from '../../../proto/assert.ts';
import { splitKeys as partKeys, partName } from '../gguf/cut-parts.ts';
import type { KeyValue } from '../gguf/metadata.ts';
import type { ModelTensor } from '../models/family.ts';

export interface Shard {
  readonly file: string;
  readonly tensors: readonly ModelTensor[];
  readonly metadata: readonly KeyValue[];
  /** Of a list that runs parallel to all tensors, what belongs to those of this shard. */
  pick<T>(all: readonly T[]): readonly T[];
}

/**
 * @param stem begins each file's name
 * @param shards files to cut into, as many as the source has; undefined for one without a number
 */
export function cutShards(
  stem: string,
  tensors: readonly ModelTensor[],
  metadata: readonly KeyValue[],
  shards: number | undefined,
): readonly Shard[] {
  if (shards === undefined) {
    return [{ file: `${stem}.gguf`, tensors, metadata, pick: (all) => all }];
  }
  return Array.from({ length: shards }, (_, shard): Shard => {
    const isHere = tensors.map(({ source }) => {
      assert(source.kind === 'gguf', 'only a GGUF is split');
      return source.shard === shard;
    });
    const pick = <T>(all: readonly T[]): readonly T[] => all.filter((_, index) => isHere[index]);
    // A GGUF of one part is no split one, and has only the name of such.
    const keys = shards === 1 ? [] : splitKeys(shard, shards, tensors.length);
    return {
      file: partName(stem, shard, shards),
      tensors: pick(tensors),
      metadata: shard === 0 ? [...metadata, ...keys] : keys,
      pick,
    };
  });
}

/**
 * Parts of so many tensors each, as llama-gguf-split cuts the whole: the bytes of `quantd split`.
 * @param counts tensors of each part, in order
 */
export function cutBy(
  stem: string,
  tensors: readonly ModelTensor[],
  metadata: readonly KeyValue[],
  counts: readonly number[],
): readonly Shard[] {
  let end = 0;
  return counts.map((count, part): Shard => {
    const start = end;
    end += count;
    const to = end;
    const pick = <T>(all: readonly T[]): readonly T[] => all.slice(start, to);
    const keys = partKeys(part, counts.length, tensors.length);
    return {
      file: partName(stem, part, counts.length),
      tensors: pick(tensors),
      metadata: part === 0 ? [...metadata, ...keys] : keys,
      pick,
    };
  });
}

function splitKeys(shard: number, shards: number, tensors: number): KeyValue[] {
  return [
    { key: 'split.no', value: { type: 'u16', value: shard } },
    { key: 'split.count', value: { type: 'u16', value: shards } },
    { key: 'split.tensors.count', value: { type: 'i32', value: tensors } },
  ];
}
