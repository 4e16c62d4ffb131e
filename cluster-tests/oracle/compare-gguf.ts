/**
 * Compare GGUF: where two files differ, as a few lines to read; none where they do not.
 *
 *   two GGUFs ──▶ compareGguf ──▶ a line for each difference
 */

import type { GgufEntry, GgufFile, GgufTensor } from './gguf-file.ts';

/** The first differences are the telling ones. */
const DIFFERENCES_MAX = 12;

export interface Sides {
  readonly ours: GgufFile;
  readonly theirs: GgufFile;
}

/** Metadata with its order, tensors with theirs, every byte of them, and the bytes between. */
export function compareGguf({ ours, theirs }: Sides): string[] {
  if (ours.bytes.equals(theirs.bytes)) return [];
  const differences = [
    ...compareMetadata({ ours, theirs }),
    ...compareOrder({ ours, theirs }),
    ...compareTensors({ ours, theirs }),
  ];
  if (differences.length === 0) differences.push('the bytes between the tensors differ');
  return differences.slice(0, DIFFERENCES_MAX);
}

function compareMetadata({ ours, theirs }: Sides): string[] {
  const differences: string[] = [];
  const left = new Map(ours.metadata.map((entry) => [entry.key, entry]));
  const right = new Map(theirs.metadata.map((entry) => [entry.key, entry]));
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const [mine, other] = [show(left.get(key)), show(right.get(key))];
    if (mine !== other) differences.push(`key ${key}: ours ${cut(mine)}, theirs ${cut(other)}`);
  }
  const [mine, other] = [[...left.keys()].join(' '), [...right.keys()].join(' ')];
  if (differences.length === 0 && mine !== other) {
    differences.push(`order of keys: ours ${mine}; theirs ${other}`);
  }
  return differences;
}

function show(entry: GgufEntry | undefined): string {
  if (entry === undefined) return 'absent';
  const value = JSON.stringify(entry.value, (_, part: unknown) =>
    typeof part === 'bigint' ? `${part}n` : part,
  );
  return `${entry.type.join(':')} ${value}`;
}

function cut(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function compareOrder({ ours, theirs }: Sides): string[] {
  const names = ({ tensors }: GgufFile): string[] => tensors.map(({ name }) => name);
  const [mine, other] = [names(ours), names(theirs)];
  const at = mine.findIndex((name, index) => name !== other[index]);
  if (at < 0 && mine.length === other.length) return [];
  return [
    `order of tensors, from ${at}: ours ${mine.slice(at, at + 3)}, theirs ${other.slice(at, at + 3)}; ${mine.length} and ${other.length} of them`,
  ];
}

function compareTensors({ ours, theirs }: Sides): string[] {
  const right = new Map(theirs.tensors.map((tensor) => [tensor.name, tensor]));
  return ours.tensors.flatMap((mine) => {
    const other = right.get(mine.name);
    return other === undefined ? [] : compareTensor(mine, other);
  });
}

function compareTensor(mine: GgufTensor, other: GgufTensor): string[] {
  const { name, type, shape } = mine;
  if (type !== other.type) return [`${name}: our type ${type}, theirs ${other.type}`];
  if (shape.join() !== other.shape.join()) {
    return [`${name}: our shape ${shape}, theirs ${other.shape}`];
  }
  if (mine.bytes.equals(other.bytes)) return [];
  const differing = mine.bytes.reduce(
    (count, byte, index) => count + (byte === other.bytes[index] ? 0 : 1),
    0,
  );
  const at = mine.bytes.findIndex((byte, index) => byte !== other.bytes[index]);
  return [`${name} (type ${type}): ${differing} of ${mine.bytes.length} bytes, from ${at} on`];
}
