/** Goal: what was measured is read at a glance. Method: events that a person would want to read. */

import { expect, test } from 'vitest';
import {
  renderCalibration,
  renderCoverage,
  renderImatrix,
  renderPerplexity,
} from './measure-view.ts';
import { renderProgress } from './run-view.ts';

const digest = 'ab'.repeat(32);

test('each text with its share of the chunks', () => {
  const file = { name: 'a.txt', sha256: digest, bytes: 268_193, tokens: 70_000, chunks: 136 };
  const lines = renderCalibration({
    type: 'calibration',
    files: [file, { ...file, name: 'longer.txt', bytes: 999, tokens: 1025, chunks: 2 }],
    chunks: 138,
    tokens: 70_656,
    sha256: '0'.repeat(64),
    chunkTokens: 512,
  });
  expect(lines).toEqual([
    'measure  138 chunks of 512 tokens · 70.7 k tokens',
    '  a.txt       262 KiB  70000 tokens  136 chunks',
    '  longer.txt    999 B   1025 tokens    2 chunks',
  ]);
});

const layer = {
  layer: 0,
  experts: 8,
  least: 40,
  median: 900,
  belowFloor: 0,
  below: [],
};

test('experts that all had enough take one line', () => {
  const layers = [layer, { ...layer, layer: 1, least: 30 }];
  expect(renderCoverage({ type: 'coverage', floor: 16, layers })).toEqual([
    'experts  16 in 2 layers · every one had at least 30 tokens',
  ]);
});

test('experts below the floor are named, the worst layers first', () => {
  const bad = { ...layer, least: 0, belowFloor: 2, below: [3, 7] };
  const worse = { ...bad, layer: 4, experts: 128, belowFloor: 20, below: [...Array(20).keys()] };
  expect(renderCoverage({ type: 'coverage', floor: 16, layers: [layer, bad, worse] })).toEqual([
    'experts  144 in 3 layers · 22 had fewer than 16 tokens',
    '  layer 4  least 0  median 900  too few: 0 1 2 3 4 5 6 7 8 9 10 11 and 8 more',
    '  layer 0  least 0  median 900  too few: 3 7',
  ]);
  const many = Array.from({ length: 9 }, (_, number) => ({ ...bad, layer: number }));
  const lines = renderCoverage({ type: 'coverage', floor: 16, layers: many });
  expect(lines.at(-1)).toBe('  and 1 more layer');
});

test('perplexity has its error', () => {
  const line = renderPerplexity({
    type: 'perplexity',
    value: 14.25,
    error: 0.1234,
    tokens: 35_072,
  });
  expect(line).toBe('ppl      14.2500 ± 0.1234 over 35072 tokens');
});

test('the matrix has its place, size and digest', () => {
  const event = { type: 'imatrix', path: '/m.gguf', sha256: digest, entries: 58 } as const;
  expect(renderImatrix({ ...event, chunks: 138, bytes: 2048 })).toEqual([
    'imatrix  /m.gguf · 2.00 KiB · 58 entries · 138 chunks',
    `         SHA-256 ${digest}`,
  ]);
});

test('measuring counts steps, not bytes', () => {
  const counts = { bytesDone: 120, bytesTotal: 480, bytesPerSecond: 12, secondsLeft: 30 };
  const line = renderProgress({ type: 'progress', stage: 'measure', ...counts }, 200);
  expect(line).toContain('measuring');
  expect(line).toContain('25 %  120 of 480 steps  12/s  30 s left');
});
