/**
 * Split: a GGUF that was cut into several files, of which each is a GGUF by itself.
 *
 * Only the first part carries the model's metadata; every part says with three keys which one it
 * is and how many tensors there are in all. Format: docs/gguf.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import { ggufFaults } from './faults.ts';
import type { KeyValue, MetadataValue } from './metadata.ts';

export interface SplitPart {
  /** Which part this is, from 0. */
  readonly part: number;
  readonly parts: number;
  /** Tensors of all parts together. */
  readonly tensors: number;
}

/** What is needed of a part to check it against the others. */
export interface PartFile {
  readonly file: string;
  readonly split: SplitPart | undefined;
  readonly tensors: readonly { readonly name: string }[];
}

/**
 * Which part of a split file this is; undefined for a whole one.
 * @param tensors number of tensors in this file
 * @throws FaultError QD-3120 when the keys contradict each other
 */
export function readSplit(
  file: string,
  metadata: ReadonlyMap<string, MetadataValue>,
  tensors: number,
): SplitPart | undefined {
  const parts = integerOf(file, metadata, 'split.count');
  // A merge by an older llama.cpp leaves the count in place as 0.
  if (parts === undefined || parts === 0) return undefined;
  const part = integerOf(file, metadata, 'split.no');
  const total = integerOf(file, metadata, 'split.tensors.count');
  if (part === undefined || total === undefined) {
    const why = 'split.count stands without split.no or split.tensors.count';
    throw new FaultError(ggufFaults.badSplit, { file, why });
  }
  if (part < 0 || part >= parts) {
    throw new FaultError(ggufFaults.badSplit, { file, why: `part ${part} (from 0) of ${parts}` });
  }
  if (total < tensors) {
    const why = `${tensors} tensors in this part, ${total} in all`;
    throw new FaultError(ggufFaults.badSplit, { file, why });
  }
  return { part, parts, tensors: total };
}

function integerOf(
  file: string,
  metadata: ReadonlyMap<string, MetadataValue>,
  key: string,
): number | undefined {
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  // Writers have used u16 and i32; any small integer says the same.
  if (value.type === 'u16' || value.type === 'i32' || value.type === 'u32') return value.value;
  throw new FaultError(ggufFaults.badSplit, { file, key, why: `it is of type ${value.type}` });
}

/**
 * Checks that files are all the parts of one split GGUF, in any order.
 * @throws FaultError QD-3120 for a part that is missing, doubled or of another model
 */
export function checkParts(files: readonly PartFile[]): void {
  const seen = new Map<number, string>();
  const names = new Map<string, string>();
  let first: SplitPart | undefined;
  for (const { file, split, tensors } of files) {
    if (split === undefined) {
      throw new FaultError(ggufFaults.badSplit, { file, why: 'it is a whole GGUF' });
    }
    first ??= split;
    checkSibling(file, split, first);
    const twin = seen.get(split.part);
    if (twin !== undefined) {
      throw new FaultError(ggufFaults.badSplit, { file, why: `it is the same part as ${twin}` });
    }
    seen.set(split.part, file);
    for (const { name } of tensors) {
      const other = names.get(name);
      if (other !== undefined) {
        throw new FaultError(ggufFaults.badSplit, { file, tensor: name, why: `also in ${other}` });
      }
      names.set(name, file);
    }
  }
  checkComplete(first, seen, names.size);
}

function checkSibling(file: string, split: SplitPart, first: SplitPart): void {
  if (split.parts === first.parts && split.tensors === first.tensors) return;
  const why =
    `it speaks of ${split.parts} parts and ${split.tensors} tensors, ` +
    `another of ${first.parts} and ${first.tensors}`;
  throw new FaultError(ggufFaults.badSplit, { file, why });
}

function checkComplete(
  first: SplitPart | undefined,
  seen: ReadonlyMap<number, string>,
  tensors: number,
): void {
  if (first === undefined) throw new FaultError(ggufFaults.badSplit, { why: 'there are no parts' });
  for (let part = 0; part < first.parts; part++) {
    if (seen.has(part)) continue;
    const why = `part ${part + 1} of ${first.parts} is missing`;
    throw new FaultError(ggufFaults.badSplit, { why });
  }
  if (tensors !== first.tensors) {
    const why = `the parts hold ${tensors} tensors instead of ${first.tensors}`;
    throw new FaultError(ggufFaults.badSplit, { why });
  }
}

/** The metadata by key. Keys come from strangers, so this is a Map and never a plain object. */
export function byKey(metadata: readonly KeyValue[]): ReadonlyMap<string, MetadataValue> {
  return new Map(metadata.map(({ key, value }) => [key, value]));
}
