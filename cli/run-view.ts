/**
 * Run view: a run's events as text.
 *
 *   RunEvent ──▶ renderPlan, renderProgress, renderOutputs ──▶ lines
 */

import type { RunEvent } from '../proto/api.ts';
import { bytesText, countText, secondsText, tableText } from './format.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** Which version of a repository a run is made from. */
export function renderRepository({ repository, commit }: EventOf<'repository'>): string {
  return `source   ${repository} at commit ${commit}`;
}

export function renderPlan(plan: EventOf<'plan'>): string[] {
  const rows = plan.outputs.map((output) => [
    `  ${output.file}`,
    bytesText(output.bytes),
    `${output.bitsPerWeight.toFixed(2)} bpw`,
    output.bytesDone > 0 ? `${bytesText(output.bytesDone)} already made` : '',
    output.fallbacks > 0 ? `${output.fallbacks} tensors in a fallback type` : '',
  ]);
  return [
    `model    ${plan.model} · ${plan.architecture} · ${plan.tensors} tensors · ${countText(plan.elements)} weights`,
    `plan     ${bytesText(plan.sourceBytes)} of source in ${plan.tasks} reads · ${plan.units} units · ${hereText(plan)}`,
    ...tableText(rows, [1, 2]),
  ];
}

/** Which machine is to make how much. */
export function renderPlacement({ peers }: EventOf<'placement'>): string[] {
  const total = peers.reduce((sum, { sourceBytes }) => sum + sourceBytes, 0);
  const rows = peers.map(({ name, tasks, sourceBytes }) => [
    `  ${name}`,
    bytesText(sourceBytes),
    total > 0 ? `${((100 * sourceBytes) / total).toFixed(0)} %` : '',
    `${tasks} reads`,
  ]);
  return ['shares', ...tableText(rows, [1, 2, 3])];
}

/** Which machines run which layers; replicas of a stage stand in one line. */
export function renderLayers({ stages }: EventOf<'layers'>): string[] {
  const rows = stages.map(({ from, to, names }) => [
    to - from === 1 ? `  layer ${from}` : `  layers ${from} to ${to - 1}`,
    names.join(', '),
  ]);
  return ['stages', ...tableText(rows, [])];
}

/** On whose disk each output grows. */
export function renderAssembly({ outputs }: EventOf<'assembly'>): string[] {
  return [
    'disks',
    ...tableText(
      outputs.map(({ file, machine }) => [`  ${file}`, machine]),
      [],
    ),
  ];
}

/** Which machine did how much, where several did something. */
export function renderWork({ peers }: EventOf<'done'>): string[] {
  if (peers.length < 2) return [];
  const rows = peers.map(({ name, tasks, units, sourceBytes, resultBytes }) => [
    name,
    String(tasks),
    String(units),
    bytesText(sourceBytes),
    bytesText(resultBytes),
  ]);
  return [
    ...tableText([['machine', 'reads', 'units', 'source', 'made'], ...rows], [1, 2, 3, 4]),
    '',
  ];
}

function hereText({ threads, isa }: EventOf<'plan'>): string {
  if (threads === 0) return 'made by workers';
  return `${threads} ${threads === 1 ? 'thread' : 'threads'} · ${isa}`;
}

const stages = {
  fetch: 'fetching the source',
  fingerprint: 'hashing the source',
  measure: 'measuring',
  quantize: 'quantizing',
  copy: 'copying',
  verify: 'reading back',
  collect: 'collecting outputs',
  publish: 'sending',
  digest: 'digesting tensors',
  spot: 'making again',
} as const;

const BAR_WIDTH = 24;

export function renderProgress(progress: EventOf<'progress'>, width: number): string {
  const { bytesDone, bytesTotal, bytesPerSecond, secondsLeft } = progress;
  const share = bytesTotal > 0 ? Math.min(1, bytesDone / bytesTotal) : 1;
  const filled = Math.round(share * BAR_WIDTH);
  const parts = [
    stages[progress.stage].padEnd(19),
    `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`,
    `${(share * 100).toFixed(0).padStart(3)} %`,
    progress.stage === 'measure' ? stepsText(progress) : `${bytesText(bytesPerSecond)}/s`,
    secondsLeft === undefined ? '' : `${secondsText(secondsLeft)} left`,
  ];
  return parts.join('  ').trimEnd().slice(0, width);
}

/** Of a stage that counts chunks that have passed a layer. */
function stepsText({ bytesDone, bytesTotal, bytesPerSecond }: EventOf<'progress'>): string {
  return `${bytesDone} of ${bytesTotal} steps  ${bytesPerSecond}/s`;
}

export function renderOutputs(outputs: readonly EventOf<'output'>[]): string[] {
  const rows = outputs.map((output) => [
    output.machine === undefined ? output.path : `${output.machine}: ${output.path}`,
    bytesText(output.bytes),
    output.bitsPerWeight.toFixed(2),
    output.sha256,
  ]);
  return tableText([['file', 'size', 'bits per weight', 'SHA-256'], ...rows], [1, 2]);
}

/** Of a run that made no output of blocks. */
export function renderSeconds({ seconds }: EventOf<'done'>): string {
  return `done in ${secondsText(seconds)}`;
}

/** One line: what was done, how long it took, and that the source was read once. */
export function renderDone(done: EventOf<'done'>): string {
  const rate = done.seconds > 0 ? done.sourceBytesRead / done.seconds : 0;
  return [
    `done in ${secondsText(done.seconds)}`,
    `${done.unitsMade} units made`,
    `${bytesText(done.sourceBytesRead)} of ${bytesText(done.sourceBytes)} source read (${bytesText(rate)}/s)`,
  ].join(' · ');
}

/** The folder that can be uploaded, and how to check it. */
export function renderRelease({ path, files, peer }: EventOf<'release'>): string[] {
  return [
    '',
    `release  ${path} · ${files} files · signed by ${peer}`,
    `check    quantd verify ${path}`,
  ];
}
