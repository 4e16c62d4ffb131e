/**
 * Cut parts: a whole GGUF as several files, and several files as a whole one.
 *
 *   GgufFile + limit ──▶ planSplit ──▶ CopiedFile[]        parts ──▶ planMerge ──▶ CopiedFile
 *
 * Tensors keep their order. The first part carries the metadata of the model; every part ends with
 * three keys, in the order in which llama-gguf-split writes them. Format: docs/gguf.md.
 */

import { FaultError } from '../../../proto/fault.ts';
import { type CopiedFile, carriedMetadata, type FoundTensor, planCopy } from './copy-plan.ts';
import type { PlacedTensor } from './layout.ts';
import { padded } from './limits.ts';
import type { KeyValue } from './metadata.ts';
import type { GgufPart } from './reader.ts';
import { rewriteFaults } from './rewrite-faults.ts';
import { checkParts } from './split.ts';

/** What a part may hold at most; one tensor that is larger has a part of its own. */
export interface PartLimit {
  readonly of: 'tensors' | 'bytes';
  readonly most: number;
}

/** As llama-gguf-split cuts where nothing is asked for. */
export const PART_TENSORS_DEFAULT = 128;

// As many as are looked for beside a named part when it is read again.
export const PARTS_MAX = 10_000;

const splitKeyNames: readonly string[] = ['split.no', 'split.tensors.count', 'split.count'];

/**
 * The parts of a whole GGUF.
 * @param stem what each file's name begins with
 * @param emptyFirst the first part holds the metadata alone
 * @throws FaultError QD-3402 for a part, QD-3404 for more than PARTS_MAX
 */
export function planSplit(
  { file, gguf }: GgufPart,
  stem: string,
  limit: PartLimit,
  emptyFirst: boolean,
): CopiedFile[] {
  if (gguf.split !== undefined) {
    const why = `part ${gguf.split.part + 1} of ${gguf.split.parts}`;
    throw new FaultError(rewriteFaults.alreadySplit, { file, why });
  }
  const cut = cutTensors(gguf.tensors, limit, gguf.alignment);
  const parts = emptyFirst && gguf.tensors.length > 0 ? [[], ...cut] : cut;
  if (parts.length > PARTS_MAX) {
    const why = `${parts.length} of at most ${PARTS_MAX}`;
    throw new FaultError(rewriteFaults.tooManyParts, { file, why });
  }
  const whole = withoutSplitKeys(carriedMetadata(gguf));
  return parts.map((tensors, part) => {
    const keys = splitKeys(part, parts.length, gguf.tensors.length);
    const metadata = part === 0 ? [...whole, ...keys] : keys;
    const found = tensors.map((tensor): FoundTensor => ({ file, tensor }));
    return planCopy(partName(stem, part, parts.length), metadata, found);
  });
}

/**
 * Runs of tensors, each as long as the limit allows; at least one, which may be empty.
 * Bytes are counted with the padding that follows each tensor, and without the header.
 */
export function cutTensors(
  tensors: readonly PlacedTensor[],
  { of, most }: PartLimit,
  alignment: number,
): PlacedTensor[][] {
  const parts: PlacedTensor[][] = [];
  let part: PlacedTensor[] = [];
  let size = 0;
  for (const tensor of tensors) {
    const more = of === 'tensors' ? 1 : padded(tensor.bytes, alignment);
    if (part.length > 0 && size + more > most) {
      parts.push(part);
      part = [];
      size = 0;
    }
    part.push(tensor);
    size += more;
  }
  return [...parts, part];
}

function withoutSplitKeys(metadata: readonly KeyValue[]): KeyValue[] {
  return metadata.filter(({ key }) => !splitKeyNames.includes(key));
}

/** The three keys that end the metadata of a part (from 0) of `parts`, as llama-gguf-split writes them. */
export function splitKeys(part: number, parts: number, tensors: number): KeyValue[] {
  return [
    { key: 'split.no', value: { type: 'u16', value: part } },
    { key: 'split.tensors.count', value: { type: 'i32', value: tensors } },
    { key: 'split.count', value: { type: 'u16', value: parts } },
  ];
}

/** `<stem>-00001-of-00003.gguf`, for part 0 of 3. */
export function partName(stem: string, part: number, parts: number): string {
  const numbered = (number: number): string => String(number).padStart(5, '0');
  return `${stem}-${numbered(part + 1)}-of-${numbered(parts)}.gguf`;
}

export interface Merge {
  readonly whole: CopiedFile;
  /** What the user should know, one sentence each. */
  readonly notices: readonly string[];
}

/**
 * The whole of which these are the parts, in any order: the first part's keys without the three
 * that make it one, then the tensors of part after part.
 * @param file the whole's name
 * @throws FaultError QD-3403 for a whole file, QD-3120 when they are not all the parts of one
 */
export function planMerge(files: readonly GgufPart[], file: string): Merge {
  const [only] = files;
  if (files.length === 1 && only?.gguf.split === undefined) {
    throw new FaultError(rewriteFaults.notSplit, only === undefined ? {} : { file: only.file });
  }
  checkParts(files.map((part) => ({ file: part.file, ...part.gguf })));
  const parts = files.toSorted((a, b) => (a.gguf.split?.part ?? 0) - (b.gguf.split?.part ?? 0));
  const [first, ...others] = parts;
  const metadata = first === undefined ? [] : withoutSplitKeys(carriedMetadata(first.gguf));
  const tensors = parts.flatMap((part) =>
    part.gguf.tensors.map((tensor): FoundTensor => ({ file: part.file, tensor })),
  );
  return { whole: planCopy(file, metadata, tensors), notices: others.flatMap(leftOutOf) };
}

/** Keys of a later part, which says nothing of the model as far as llama.cpp is concerned. */
function leftOutOf({ file, gguf }: GgufPart): string[] {
  const own = withoutSplitKeys(gguf.metadata).filter(({ key }) => key !== 'general.alignment');
  if (own.length === 0) return [];
  const first = own.slice(0, 3).map(({ key }) => key);
  const more = own.length > first.length ? ` and ${own.length - first.length} more` : '';
  return [`keys of ${file}, which is not the first part, are left out: ${first.join(', ')}${more}`];
}
