/**
 * GGUF entries: the index of an importance matrix that is a GGUF.
 *
 *   GgufFile (gguf/reader.ts) ──▶ indexGguf ──▶ ImportanceIndex
 *
 * Of each tensor NAME there are `NAME.in_sum2`, the sums of squares, and `NAME.counts`, the tokens
 * seen by each slice. Newer files hold more of each; other endings are passed over.
 */

import { FaultError } from '../../../proto/fault.ts';
import type { PlacedTensor } from '../gguf/layout.ts';
import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';
import type { GgufFile } from '../gguf/reader.ts';
import {
  checkEntryName,
  ENTRY_VALUES_MAX,
  type ImportanceEntry,
  type ImportanceIndex,
  type NumberRange,
} from './entries.ts';
import { importanceFaults } from './faults.ts';

const SUMS = '.in_sum2';
const COUNTS = '.counts';

/**
 * @param file its name, for faults
 * @throws FaultError QD-43xx when it is no importance matrix, or a wrong one
 */
export function indexGguf(file: string, gguf: GgufFile): ImportanceIndex {
  const metadata = new Map(gguf.metadata.map(({ key, value }: KeyValue) => [key, value]));
  const type = metadata.get('general.type');
  if (type?.type !== 'string' || type.value !== 'imatrix') {
    throw new FaultError(importanceFaults.notImportance, { file, key: 'general.type' });
  }
  const datasets = datasetsOf(file, metadata.get('imatrix.datasets'));
  const chunks = countOf(file, 'imatrix.chunk_count', metadata);
  const chunkSize = countOf(file, 'imatrix.chunk_size', metadata);
  return { entries: entriesOf(file, gguf.tensors), datasets, chunks, chunkSize };
}

function datasetsOf(file: string, value: MetadataValue | undefined): readonly string[] {
  if (value?.type === 'array' && value.of === 'string') return value.value;
  throw badKey(file, 'imatrix.datasets', value, 'an array of texts');
}

function countOf(file: string, key: string, metadata: ReadonlyMap<string, MetadataValue>): number {
  const value = metadata.get(key);
  if (value?.type === 'u32') return value.value;
  throw badKey(file, key, value, 'a u32');
}

function badKey(
  file: string,
  key: string,
  value: MetadataValue | undefined,
  wanted: string,
): FaultError {
  const why = value === undefined ? 'it is missing' : `it is of type ${value.type}, not ${wanted}`;
  return new FaultError(importanceFaults.badMetadata, { file, key, why });
}

function entriesOf(file: string, tensors: readonly PlacedTensor[]): ImportanceEntry[] {
  const sums = endingIn(tensors, SUMS);
  const counts = endingIn(tensors, COUNTS);
  const alone = [...counts.keys()].find((name) => !sums.has(name));
  if (alone !== undefined) {
    throw new FaultError(importanceFaults.unpaired, { file, tensor: alone, why: 'only counts' });
  }
  if (sums.size === 0) throw new FaultError(importanceFaults.noEntries, { file });
  const seen = new Set<string>();
  return [...sums].map(([name, sum]) => {
    checkEntryName(file, name, seen);
    const count = counts.get(name);
    if (count === undefined) {
      throw new FaultError(importanceFaults.unpaired, { file, tensor: name, why: 'only sums' });
    }
    const entry: ImportanceEntry = {
      name,
      sums: rangeOf(file, name, sum),
      divisor: { kind: 'counts', range: rangeOf(file, name, count) },
    };
    checkSizes(file, entry);
    return entry;
  });
}

function endingIn(
  tensors: readonly PlacedTensor[],
  ending: string,
): ReadonlyMap<string, PlacedTensor> {
  return new Map(
    tensors
      .filter(({ name }) => name.endsWith(ending))
      .map((tensor) => [tensor.name.slice(0, -ending.length), tensor]),
  );
}

function rangeOf(file: string, tensor: string, { type, offset, bytes }: PlacedTensor): NumberRange {
  if (type !== 'F32') {
    throw new FaultError(importanceFaults.badEntryType, { file, tensor, why: `it is ${type}` });
  }
  const count = bytes / 4;
  if (count > ENTRY_VALUES_MAX) {
    const why = `${count} values, where ${ENTRY_VALUES_MAX} are allowed`;
    throw new FaultError(importanceFaults.badEntrySize, { file, tensor, why });
  }
  return { offset, count };
}

function checkSizes(file: string, { name, sums, divisor }: ImportanceEntry): void {
  if (divisor.kind !== 'counts' || sums.count % divisor.range.count === 0) return;
  const why = `${sums.count} sums for ${divisor.range.count} counts`;
  throw new FaultError(importanceFaults.badEntrySize, { file, tensor: name, why });
}
