/**
 * Compare locks: where two releases differ, from what goes in to what comes out.
 *
 *   the lockfile + that of the rebuilt release ──▶ compareLocks ──▶ findings; none where they are one
 */

import { LOCK_FILE, type LockedOutput, type PureLock } from '../../../proto/lockfile.ts';
import { canonicalJson } from './canonical.ts';
import { releaseFaults } from './faults.ts';
import { type Finding, faulty } from './findings.ts';

// In the order in which one follows from the other.
const PLAIN_FIELDS = [
  'schema',
  'quantd',
  'contracts',
  'model',
  'tokenizer',
  'wishes',
  'calibration',
] as const satisfies readonly (keyof PureLock)[];

// A value longer than this says nothing more to a reader.
const VALUE_CHARACTERS_MAX = 120;

export function compareLocks(wanted: PureLock, made: PureLock): Finding[] {
  if (canonicalJson(wanted) === canonicalJson(made)) return [];
  const findings = [
    ...compareFiles(wanted.source.files, made.source.files, 'source'),
    ...PLAIN_FIELDS.flatMap((field) => compareValues(wanted[field], made[field], field)),
    ...compareValues(wanted.imatrix, made.imatrix, 'imatrix', made.imatrix?.file),
    ...compareOutputs(wanted.outputs, made.outputs),
    ...compareFiles(wanted.files, made.files),
  ];
  // What is left is the order of lists, or where the source came from.
  return findings.length > 0 ? findings : compareValues(wanted, made, 'lock');
}

type Digested = PureLock['files'][number];

function compareFiles(
  wanted: readonly Digested[],
  made: readonly Digested[],
  folder?: string,
): Finding[] {
  const have = new Map(made.map((entry) => [entry.file, entry]));
  const known = new Set(wanted.map(({ file }) => file));
  const named = (file: string): string => (folder === undefined ? file : `${folder}/${file}`);
  return [
    ...wanted.flatMap(({ file, sha256 }) => {
      const found = have.get(file);
      if (found?.sha256 === sha256) return [];
      return [
        differs(named(file), found === undefined ? 'it was not made' : other(found.sha256, sha256)),
      ];
    }),
    ...made
      .filter(({ file }) => !known.has(file))
      .map(({ file }) => differs(named(file), 'the lockfile does not have it')),
  ];
}

function compareOutputs(wanted: readonly LockedOutput[], made: readonly LockedOutput[]): Finding[] {
  const have = new Map(made.map((output) => [output.file, output]));
  const inside = wanted.flatMap((output) => {
    const found = have.get(output.file);
    return found === undefined ? [] : compareInside(output, found);
  });
  const told = new Set(inside.map(({ detail }) => detail.file));
  return [...inside, ...compareFiles(wanted, made).filter(({ detail }) => !told.has(detail.file))];
}

/** Header and tensors of one output, whichever differ. */
function compareInside(wanted: LockedOutput, made: LockedOutput): Finding[] {
  const { file } = wanted;
  const have = new Map(made.tensors.map(([name, type, sha256]) => [name, { type, sha256 }]));
  const header = wanted.header === made.header ? [] : [differs(file, 'its header differs')];
  const tensors = wanted.tensors.flatMap(([tensor, type, sha256]) => {
    const found = have.get(tensor);
    if (found?.type === type && found.sha256 === sha256) return [];
    const why =
      found === undefined
        ? 'it was not made'
        : found.type === type
          ? other(found.sha256, sha256)
          : `${found.type}, ${type} in the lockfile`;
    return [faulty(releaseFaults.madeOther, { file, tensor, why })];
  });
  return [...header, ...tensors];
}

/** The first place where two values of the lockfile differ. */
function compareValues(wanted: unknown, made: unknown, key: string, file = LOCK_FILE): Finding[] {
  const place = firstDifference(wanted, made, key);
  if (place === undefined) return [];
  const why = `${shown(place.made)}, ${shown(place.wanted)} in the lockfile`;
  return [faulty(releaseFaults.madeOther, { file, key: place.key, why })];
}

interface Difference {
  readonly key: string;
  readonly wanted: unknown;
  readonly made: unknown;
}

function firstDifference(wanted: unknown, made: unknown, key: string): Difference | undefined {
  if (isObject(wanted) && isObject(made)) {
    for (const name of new Set([...Object.keys(wanted), ...Object.keys(made)])) {
      const found = firstDifference(wanted[name], made[name], `${key}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return textOf(wanted) === textOf(made) ? undefined : { key, wanted, made };
}

/** Lists too: their keys are their places. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string {
  return value === undefined ? 'nothing' : canonicalJson(value);
}

function shown(value: unknown): string {
  const text = textOf(value);
  return text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text;
}

function other(made: string, wanted: string): string {
  return `SHA-256 ${made}, ${wanted} in the lockfile`;
}

function differs(file: string, why: string): Finding {
  return faulty(releaseFaults.madeOther, { file, why });
}
