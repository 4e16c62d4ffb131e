/**
 * Measure view: what a run tells of its importance matrix, as text.
 *
 *   RunEvent ──▶ renderCalibration, renderMeasured, renderAhead, renderCoverage, … ──▶ lines
 */

import type { LayerCoverage, RunEvent } from '../proto/api.ts';
import { bytesText, countText, tableText } from './format.ts';
import { printable } from './inspect-view.ts';

type EventOf<T extends RunEvent['type']> = Extract<RunEvent, { type: T }>;

// More layers than this say no more about a text than the worst of them do.
const LAYERS_SHOWN_MAX = 8;
const EXPERTS_SHOWN_MAX = 12;

/** Of one text its name alone, of several each with its share. */
export function renderCalibration(event: EventOf<'calibration'>): string[] {
  const { files, chunks, chunkTokens, tokens } = event;
  const rows = files.map((file) => [
    `  ${printable(file.name)}`,
    bytesText(file.bytes),
    `${file.tokens} tokens`,
    `${file.chunks} chunks`,
  ]);
  return [
    `measure  ${chunks} chunks of ${chunkTokens} tokens · ${countText(tokens)} tokens`,
    ...tableText(rows, [1, 2, 3]),
  ];
}

/** What each machine had to do with it, and what passed between them. */
export function renderMeasured({ peers, stateBytes, sumsBytes }: EventOf<'measured'>): string[] {
  if (peers.length === 0) return [];
  const rows = peers.map(({ name, steps, sourceBytes, sumsBytes: sums }) => [
    name,
    String(steps),
    bytesText(sourceBytes),
    bytesText(sums),
  ]);
  return [
    ...tableText([['machine', 'steps', 'weights', 'sums'], ...rows], [1, 2, 3]),
    `between machines ${bytesText(stateBytes)} of states and ${bytesText(sumsBytes)} of sums`,
  ];
}

/** What was quantized before all was measured. */
export function renderAhead({ units, runs }: EventOf<'ahead'>): string[] {
  return [`ahead    ${units} units were made while others measured · ${runs} runs are of use`];
}

/** The layers whose experts have got the fewest tokens. */
export function renderCoverage({ floor, layers }: EventOf<'coverage'>): string[] {
  const below = layers.reduce((sum, { belowFloor }) => sum + belowFloor, 0);
  const experts = layers.reduce((sum, layer) => sum + layer.experts, 0);
  const reached = `experts  ${experts} in ${layers.length} layers`;
  if (below === 0) {
    const least = Math.min(...layers.map(({ least }) => least));
    return [`${reached} · every one had at least ${least} tokens`];
  }
  const worst = layers
    .filter(({ belowFloor }) => belowFloor > 0)
    .toSorted((a, b) => b.belowFloor - a.belowFloor || a.layer - b.layer);
  const shown = worst.slice(0, LAYERS_SHOWN_MAX);
  const more = worst.length - shown.length;
  return [
    `${reached} · ${below} had fewer than ${floor} tokens`,
    ...tableText(shown.map(coverageRow), [1, 2]),
    ...(more > 0 ? [`  and ${more} more ${more === 1 ? 'layer' : 'layers'}`] : []),
  ];
}

function coverageRow({ layer, least, median, below, belowFloor }: LayerCoverage): string[] {
  const shown = below.slice(0, EXPERTS_SHOWN_MAX);
  const more = belowFloor - shown.length;
  const names = `${shown.join(' ')}${more > 0 ? ` and ${more} more` : ''}`;
  return [`  layer ${layer}`, `least ${least}`, `median ${median}`, `too few: ${names}`];
}

export function renderPerplexity({ value, error, tokens }: EventOf<'perplexity'>): string {
  return `ppl      ${value.toFixed(4)} ± ${error.toFixed(4)} over ${tokens} tokens`;
}

export function renderImatrix(event: EventOf<'imatrix'>): string[] {
  const { path, sha256, entries, chunks, bytes } = event;
  return [
    `imatrix  ${printable(path)} · ${bytesText(bytes)} · ${entries} entries · ${chunks} chunks`,
    `         SHA-256 ${sha256}`,
  ];
}
