/**
 * Reproduce page: REPRODUCE.md of a release, the single steps with everything that goes in.
 *
 *   lock + run ──▶ reproducePageOf ──▶ Markdown
 *
 * Unlike the card it also tells how long it took and on what, so it is no pure file.
 */

import type { LockedRun, PureLock } from '../../../proto/lockfile.ts';
import { SUMS_FILE } from './checksums.ts';
import { pureFiles } from './read-lock.ts';
import { shellWord, wishWords } from './shell.ts';
import { encodeSums } from './write-sums.ts';

export function reproducePageOf(lock: PureLock, run: LockedRun): string {
  return `${[
    `# Rebuild ${lock.model.name}-GGUF`,
    'A release is a function of checkpoint, recipe, calibration and program: the same bytes on any machine.',
    commandSection(lock),
    inputSection(lock),
    costSection(lock, run),
    expectedSection(lock),
  ].join('\n\n')}\n`;
}

/** The words of the command that made it, with SOURCE as a variable of the shell. */
function releaseWords(lock: PureLock): string[] {
  const { wishes, calibration, imatrix } = lock;
  const texts = calibration?.texts.map(({ file }) => file) ?? [];
  const given = calibration === undefined && imatrix !== undefined ? imatrix.file : undefined;
  const { options } = calibration ?? {};
  const numbers: [string, number | undefined][] = [
    ['--ctx', options?.ctx],
    ['--chunks', options?.chunks],
    ['--from-chunk', options?.fromChunk === 0 ? undefined : options?.fromChunk],
    ['--min-expert-tokens', options?.minExpertTokens],
  ];
  const flags: [string, boolean | undefined][] = [
    ['--chat', options?.chat],
    ['--parse-special', options?.parseSpecial],
    ['--process-output', options?.processOutput],
    ['--ppl', options?.ppl],
  ];
  return [
    ...['quantd', 'release', sourceWord(lock)],
    ...wishWords(wishes).map(shellWord),
    ...(texts.length > 0 ? ['--calibration', shellWord(texts.join(','))] : []),
    ...numbers.flatMap(([option, value]) => (value === undefined ? [] : [option, String(value)])),
    ...flags.flatMap(([option, isSet]) => (isSet === true ? [option] : [])),
    ...(given === undefined ? [] : ['--imatrix', shellWord(given)]),
    ...['--out', 'rebuilt'],
  ];
}

function commandSection(lock: PureLock): string {
  const folder = `rebuilt/${lock.model.name}-GGUF`;
  return [
    '## Commands',
    '',
    `With quantd ${lock.quantd}, in this folder. The first one compares by itself; the others are its single steps.`,
    '',
    '```sh',
    `quantd reproduce quantd.lock.json --source ${sourceWord(lock)}`,
    releaseWords(lock).join(' '),
    `cd ${folder} && sha256sum -c ../../${SUMS_FILE}`,
    '```',
  ].join('\n');
}

function sourceWord({ source: { repository, commit } }: PureLock): string {
  return repository === undefined ? '"$SOURCE"' : `${repository}@${commit ?? 'main'}`;
}

function inputSection({ source, calibration, imatrix }: PureLock): string {
  const rows = source.files.map(({ file, bytes, sha256 }) => digestRow(file, bytes, sha256));
  const texts = calibration?.texts ?? [];
  const given = calibration === undefined && imatrix !== undefined ? [imatrix] : [];
  return [
    '## Inputs',
    '',
    '| file | bytes | SHA-256 |',
    '|---|---|---|',
    ...rows,
    ...[...texts, ...given].map(({ file, bytes, sha256 }) => digestRow(file, bytes, sha256)),
  ].join('\n');
}

function digestRow(file: string, bytes: number, sha256: string): string {
  return `| \`${file}\` | ${bytes} | \`${sha256}\` |`;
}

function costSection(lock: PureLock, run: LockedRun): string {
  const outputs = lock.outputs.reduce((sum, { bytes }) => sum + bytes, 0);
  const peers = run.peers.map(
    ({ name, tasks, sourceBytes, resultBytes }) =>
      `| ${name.replaceAll('|', ' ')} | ${tasks} | ${sourceBytes} | ${resultBytes} |`,
  );
  return [
    '## What it took',
    '',
    `${run.seconds.toFixed(1)} s with ${run.threads} threads (${run.isa}) where it was begun; ` +
      `${run.sourceBytes} bytes of source, ${outputs} bytes of outputs, ${run.diskBytes} bytes on disk in the end.`,
    '',
    '| machine | tasks | source bytes | bytes made |',
    '|---|---|---|---|',
    ...peers,
  ].join('\n');
}

function expectedSection(lock: PureLock): string {
  return ['## Expected', '', '```', encodeSums(pureFiles(lock)).trimEnd(), '```'].join('\n');
}
