/**
 * Compare plan: whether a release's outputs are what its recipe makes of the source.
 *
 *   outputs planned from the source + lockfile ──▶ comparePlan ──▶ findings
 */

import type { LockedOutput, PureLock } from '../../../proto/lockfile.ts';
import type { OutputPlan } from '../plan/outputs.ts';
import { hex, type Sha256 } from '../plan/unit-id.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, faulty } from './findings.ts';

type Planned = Pick<OutputPlan, 'file' | 'layout' | 'types'>;

export function comparePlan(
  planned: readonly Planned[],
  outputs: readonly LockedOutput[],
  sha256: Sha256,
): Finding[] {
  const locked = new Map(outputs.map((output) => [output.file, output]));
  const known = new Set(planned.map(({ file }) => file));
  return [
    ...planned.flatMap((output) => compareOutput(output, locked.get(output.file), sha256)),
    ...outputs
      .filter(({ file }) => !known.has(file))
      .map(({ file }) => differs(file, 'the recipe makes no such file')),
  ];
}

function compareOutput(
  { file, layout, types }: Planned,
  locked: LockedOutput | undefined,
  sha256: Sha256,
): Finding[] {
  if (locked === undefined) return [differs(file, 'the lockfile does not have it')];
  const have = new Map(locked.tensors.map(([name, type]) => [name, type]));
  const tensors = layout.tensors.flatMap(({ name }) => {
    const type = types.get(name);
    const found = have.get(name);
    if (found === type) return [];
    return [differs(file, `${type} is wanted, it is ${found ?? 'not there'}`, name)];
  });
  if (tensors.length > 0) return tensors;
  if (locked.bytes !== layout.fileBytes) {
    return [differs(file, `${layout.fileBytes} bytes are wanted, it has ${locked.bytes}`)];
  }
  const header = hex(sha256(layout.header));
  return header === locked.header ? [] : [differs(file, 'its metadata or their order differ')];
}

function differs(file: string, why: string, tensor?: string): Finding {
  const place = tensor === undefined ? { file } : { file, tensor };
  return faulty(releaseFaults.otherPlan, { ...place, why });
}

/** The digests by which units are known, as the lockfile has them. */
export function lockedDigests(
  { source }: Pick<PureLock, 'source'>,
  files: readonly { readonly file: string }[],
): Map<string, string> {
  const known = new Map(source.files.map(({ file, sha256 }) => [file, sha256]));
  // Of a file that it does not know the units have names that nobody has signed for.
  return new Map(files.map(({ file }) => [file, known.get(file) ?? 'unknown']));
}

/** What is seen of a source without hashing it: whether its files are there with their sizes. */
export function compareSource(
  lock: Pick<PureLock, 'source'>,
  files: readonly { readonly file: string; readonly bytes: number }[],
): Finding[] {
  const found = new Map(files.map(({ file, bytes }) => [file, bytes]));
  return lock.source.files.flatMap(({ file, bytes }) => {
    const have = found.get(file);
    if (have === bytes) return [];
    const why = have === undefined ? 'it is not there' : `${have} bytes, not ${bytes}`;
    return [faulty(releaseFaults.otherSource, { file, why })];
  });
}
