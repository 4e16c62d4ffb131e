/**
 * Estimate view: what a run will need and how long it will take, as text of 80 columns.
 *
 *   RunEstimate ──▶ renderEstimate ──▶ lines
 */

import type { EstimatedPeer, EstimateFault, Remedy, RunEstimate } from '../proto/estimate.ts';
import { bytesText, secondsText, tableText } from './format.ts';

const WIDTH = 80;
// What is left of a line beside the other columns.
const NAME_MAX = 12;

export function renderEstimate(estimate: RunEstimate): string[] {
  const { peers, weak, faults, outputBytes, sourceBytes, seconds } = estimate;
  const { downloadBytes, fetchBytes } = estimate;
  const downloaded = downloadBytes > 0 ? `, ${bytesText(downloadBytes)} to download` : '';
  const fetched = fetchBytes > 0 ? `, ${bytesText(fetchBytes)} sent on` : '';
  return [
    `bytes    ${bytesText(sourceBytes)} of source${downloaded}${fetched} · ${bytesText(outputBytes)} of outputs`,
    ...renderPeers(peers),
    ...weak.flatMap(({ name, why }) => wrapped(`too weak: ${nameText(name)}: ${why}`, '  ')),
    `time     ${seconds === null ? 'not known' : `about ${secondsText(seconds)}`}`,
    ...renderStages(estimate),
    ...wrapped(`estimated ${estimate.basis.join('; ')}`, '  '),
    ...faults.flatMap(renderFault),
  ];
}

function renderPeers(peers: readonly EstimatedPeer[]): string[] {
  const measures = peers.some(({ layers }) => layers !== undefined);
  const cells = (row: readonly string[], layers: string): string[] => {
    const [name = '', share = '', ...rest] = row;
    return [`  ${name}`, share, ...(measures ? [layers] : []), ...rest];
  };
  const rows = peers.map((peer) => {
    const { layers, diskBytes, diskOffered, ramBytes, ramOffered, seconds } = peer;
    const row = [
      shortened(nameText(peer.name)),
      `${(100 * peer.share).toFixed(0)} %`,
      ofText(diskBytes, diskOffered),
      ofText(ramBytes, ramOffered),
      seconds === null ? '?' : secondsText(seconds),
    ];
    return cells(row, layers === undefined ? '' : `${layers.from}-${layers.to - 1}`);
  });
  const head = cells(['machine', 'share', 'disk of', 'RAM of', 'time'], 'layers');
  const numbers = measures ? [1, 2, 3, 4, 5] : [1, 2, 3, 4];
  return tableText([head, ...rows], numbers);
}

/** What is needed of what is offered. */
function ofText(needed: number, offered: number | null): string {
  return offered === null ? bytesText(needed) : `${bytesText(needed)}/${bytesText(offered)}`;
}

const stageNames = {
  download: 'downloading',
  fingerprint: 'hashing the source',
  fetch: 'sending the weights',
  measure: 'measuring',
  quantize: 'quantizing',
  verify: 'reading back',
} as const;

function renderStages({ stages }: RunEstimate): string[] {
  const rows = stages.map(({ stage, seconds }) => [
    `  ${stageNames[stage]}`,
    seconds === null ? 'not known' : secondsText(seconds),
  ]);
  return tableText(rows, [1]);
}

function renderFault({ code, what, why, hint, remedies }: EstimateFault): string[] {
  const [first, ...more] = remedies.map(remedyText);
  return [
    ...wrapped(`does not fit [${code}]: ${what}`, ''),
    ...wrapped(why, '  '),
    ...wrapped(first === undefined ? hint : `it would with ${first}`, '  '),
    ...more.flatMap((text) => wrapped(`or with ${text}`, '  ')),
  ];
}

/** As the end of a sentence that begins with "with". */
export function remedyText(remedy: Remedy): string {
  switch (remedy.kind) {
    case 'ram':
      return `--ram ${sizeOption(remedy.bytes)} on ${nameText(remedy.name)}`;
    case 'disk':
      return `${bytesText(remedy.bytes)} more on ${nameText(remedy.name)} (its --disk)`;
    case 'room':
      return `${bytesText(remedy.bytes)} more where the outputs go`;
    case 'fewer-types':
      return `fewer types: leave out ${remedy.names.join(', ')}`;
    case 'machine': {
      const { diskBytes, ramBytes } = remedy;
      return `another machine with ${bytesText(diskBytes)} (--disk) and --ram ${sizeOption(ramBytes)}`;
    }
    case 'compute-here':
      return 'this machine computing too: quantd up --threads 4';
  }
}

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** `3GiB`, `310MiB`: as an option takes it; what is told is in whole MiB. */
function sizeOption(bytes: number): string {
  return bytes % GIB === 0 ? `${bytes / GIB}GiB` : `${Math.ceil(bytes / MIB)}MiB`;
}

function nameText(name: string): string {
  return name === 'local' ? 'this machine' : name;
}

function shortened(name: string): string {
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 1)}…`;
}

/** Lines of at most WIDTH, those after the first further in. */
function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    const joined = line.trim() === '' ? `${line}${word}` : `${line} ${word}`;
    if (joined.length <= WIDTH || line.trim() === '') {
      line = joined;
      continue;
    }
    lines.push(line);
    line = `${indent}  ${word}`;
  }
  return [...lines, line];
}
