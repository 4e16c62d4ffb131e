/** Goal: an estimate is read at a glance and fits a terminal. Method: one that has everything. */

import { expect, test } from 'vitest';
import type { RunEstimate } from '../proto/estimate.ts';
import { remedyText, renderEstimate } from './estimate-view.ts';

const GIB = 1024 ** 3;

const estimate: RunEstimate = {
  sourceBytes: 47 * GIB,
  outputBytes: 93.4 * GIB,
  downloadBytes: 0,
  fetchBytes: 30 * GIB,
  peers: [
    {
      ...{ name: 'local', isLocal: true, share: 0.36, layers: { from: 0, to: 12 }, fetchBytes: 0 },
      ...{ diskBytes: 93.4 * GIB, diskOffered: 90 * GIB, ramBytes: 0.3 * GIB, ramOffered: GIB },
      seconds: 7200,
    },
    {
      ...{ name: 'tower-in-the-cellar', isLocal: false, share: 0.64, fetchBytes: 30 * GIB },
      ...{ diskBytes: 30 * GIB, diskOffered: 999 * GIB, ramBytes: 2 * GIB, ramOffered: GIB },
      ...{ layers: { from: 12, to: 30 }, seconds: 7100 },
    },
  ],
  weak: [{ name: 'pi', why: 'it offers 64.0 MiB of RAM, a layer to be measured needs 310 MiB' }],
  stages: [
    { stage: 'fingerprint', seconds: 62 },
    { stage: 'fetch', seconds: 292 },
    { stage: 'measure', seconds: 7000 },
    { stage: 'quantize', seconds: 200 },
    { stage: 'verify', seconds: 91 },
  ],
  seconds: 7645,
  faults: [
    {
      ...{ code: 'QD-6404', what: 'a machine offers less memory than its part of the run needs' },
      why: 'tower-in-the-cellar offers 1.00 GiB, its part (layers 12 to 29) needs 2.00 GiB',
      hint: 'start its daemon with more of it: quantd join --ram 2GiB',
      remedies: [
        { kind: 'ram', name: 'tower-in-the-cellar', bytes: 2 * GIB },
        { kind: 'fewer-types', names: ['F32'] },
      ],
    },
  ],
  basis: [
    'at the speeds that the machines measured when they started',
    'over a network of 1 Gbit/s',
  ],
};

test('machines, times and what does not fit, within 80 columns', () => {
  const lines = renderEstimate(estimate);
  expect(lines).toEqual([
    'bytes    47.0 GiB of source, 30.0 GiB sent on · 93.4 GiB of outputs',
    '  machine       share  layers            disk of             RAM of      time',
    '  this machine   36 %    0-11  93.4 GiB/90.0 GiB   307 MiB/1.00 GiB  2 h 00 m',
    '  tower-in-th…   64 %   12-29   30.0 GiB/999 GiB  2.00 GiB/1.00 GiB  1 h 58 m',
    '  too weak: pi: it offers 64.0 MiB of RAM, a layer to be measured needs 310 MiB',
    'time     about 2 h 07 m',
    '  hashing the source   1 m 02 s',
    '  sending the weights  4 m 52 s',
    '  measuring            1 h 56 m',
    '  quantizing           3 m 20 s',
    '  reading back         1 m 31 s',
    '  estimated at the speeds that the machines measured when they started; over a',
    '    network of 1 Gbit/s',
    'does not fit [QD-6404]: a machine offers less memory than its part of the run',
    '  needs',
    '  tower-in-the-cellar offers 1.00 GiB, its part (layers 12 to 29) needs 2.00 GiB',
    '  it would with --ram 2GiB on tower-in-the-cellar',
    '  or with fewer types: leave out F32',
  ]);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});

test('where no remedy is known the hint says what can be done', () => {
  const faults = estimate.faults.map((fault) => ({ ...fault, remedies: [] }));
  expect(renderEstimate({ ...estimate, faults }).at(-1)).toBe(
    '  start its daemon with more of it: quantd join --ram 2GiB',
  );
});

test('what is not known is said so', () => {
  const unknown = estimate.stages.map((time) =>
    time.stage === 'measure' ? { ...time, seconds: null } : time,
  );
  const lines = renderEstimate({
    ...{ ...estimate, stages: unknown, seconds: null, downloadBytes: 40 * GIB },
  });
  expect(lines[0]).toBe(
    'bytes    47.0 GiB of source, 40.0 GiB to download, 30.0 GiB sent on · 93.4 GiB of outputs',
  );
  expect(lines).toContain('time     not known');
  expect(lines).toContain('  measuring            not known');
});

test('each remedy is a thing that a person can do', () => {
  expect(
    [
      { kind: 'ram', name: 'nas', bytes: 310 * 2 ** 20 } as const,
      { kind: 'disk', name: 'nas', bytes: 600 * GIB } as const,
      { kind: 'room', bytes: 12 * GIB } as const,
      { kind: 'fewer-types', names: ['Q8_0', 'Q6_K'] } as const,
      { kind: 'machine', diskBytes: 20 * GIB, ramBytes: GIB } as const,
      { kind: 'compute-here' } as const,
    ].map(remedyText),
  ).toEqual([
    '--ram 310MiB on nas',
    '600 GiB more on nas (its --disk)',
    '12.0 GiB more where the outputs go',
    'fewer types: leave out Q8_0, Q6_K',
    'another machine with 20.0 GiB (--disk) and --ram 1GiB',
    'this machine computing too: quantd up --threads 4',
  ]);
});
