/**
 * Verify view: what a verification found, and what it looked at, as text.
 *
 *   finding, verified, reproduced events ──▶ renderFinding, renderVerdict ──▶ lines
 *
 * Names come from a stranger's files, so nothing that a terminal would obey is printed as it is.
 */

import type { RunEvent } from '../proto/api.ts';
import { renderFault } from './fault-view.ts';
import { bytesText } from './format.ts';
import { printable } from './inspect-view.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

/** @param told hints that have been given already; the finding's own is added */
export function renderFinding(finding: EventOf<'finding'>, told: Set<string>): string[] {
  const hint = told.has(finding.hint) ? '' : finding.hint;
  told.add(hint);
  const [first = '', ...rest] = renderFault({ ...finding, hint }).map(printable);
  return [finding.severity === 'warning' ? first.replace(/^error/, 'warning') : first, ...rest];
}

/** What a verification, or a comparison with a rebuilt release, comes to. */
export function renderVerdict(event: EventOf<'verified'> | EventOf<'reproduced'>): string[] {
  return event.type === 'verified' ? renderVerified(event) : renderReproduced(event);
}

function renderVerified(report: EventOf<'verified'>): string[] {
  const { model, madeBy, signer, files, bytes, tensors, sha256, types, spot, attestedUnits } =
    report;
  const rows = [
    ...(model === undefined ? [] : [`release  ${printable(model)} · made by quantd ${madeBy}`]),
    ...(signer === undefined ? [] : [`signed   by ${signer}, if that is who you trust`]),
    `read     ${files} ${files === 1 ? 'file' : 'files'} · ${bytesText(bytes)} · ${tensors} tensors`,
    ...(attestedUnits === 0
      ? []
      : [`attested ${attestedUnits} units, signed by those who made them`]),
    ...(sha256 === undefined ? [] : [`SHA-256  ${sha256}`]),
    `types    ${typeTexts[types]}`,
    ...(spot === undefined
      ? []
      : [
          `spot     ${spot.groups} row groups (${bytesText(spot.bytes)}) made again · --seed ${spot.seed}`,
        ]),
  ];
  return [...rows, '', verdict(report)];
}

const typeTexts = {
  source: 'planned again from the source',
  lockfile: 'compared with the lockfile (with the recipe: --source SOURCE)',
  nothing: 'not compared: there is no lockfile',
} as const;

function renderReproduced(report: EventOf<'reproduced'>): string[] {
  const { model, isSame, files, bytes, tensors, differences, path } = report;
  const name = printable(model);
  const kept = path === undefined ? [] : [`kept     ${path}`];
  if (!isSame) {
    const count = `${differences} ${differences === 1 ? 'difference' : 'differences'}`;
    return ['', ...kept, `not reproduced: ${name} came out with ${count}`];
  }
  return [
    '',
    ...kept,
    `reproduced: ${name} is the same in all of its ${files} files, ${tensors} tensors and ${bytesText(bytes)}`,
  ];
}

function verdict({ faults, warnings, types, left: away }: EventOf<'verified'>): string {
  const left = warnings === 0 ? '' : `, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`;
  if (faults > 0) return `not verified: ${faults} ${faults === 1 ? 'fault' : 'faults'}${left}`;
  if (types === 'nothing') return `nothing is wrong, as far as it shows without a lockfile${left}`;
  if (away === undefined) return `verified: every byte is what it should be${left}`;
  const outputs = away === 1 ? 'an output that lies' : `${away} outputs that lie`;
  return `verified but for ${outputs} on other machines: every byte here is what it should be`;
}
