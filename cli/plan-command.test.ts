/**
 * Goal: who sits at a terminal is asked before a run that takes long, and nobody else.
 * Method: a daemon that answers as the test says, and streams that are terminals or are not.
 */

import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { RunEvent } from '../proto/api.ts';
import type { RunRequest } from '../proto/requests.ts';
import { isLong, mayBegin } from './plan-command.ts';

const quantize = { kind: 'quantize', source: '/x', types: ['Q8_0'], dryRun: false } as never;

function estimateOf(seconds: number | null): RunEvent {
  return {
    ...{
      type: 'estimate',
      sourceBytes: 1,
      outputBytes: 1,
      downloadBytes: 0,
      fetchBytes: 0,
      peers: [],
      weak: [],
    },
    ...{ stages: [], seconds, faults: [], basis: ['at a guess'] },
  };
}

interface Wish {
  readonly request?: RunRequest;
  readonly events?: readonly RunEvent[];
  readonly answer?: string;
  readonly isTerminal?: boolean;
  readonly json?: boolean;
}

async function ask({ request = quantize, events = [], answer, isTerminal = true, json }: Wish) {
  const stream = (): PassThrough & { isTTY?: boolean } => new PassThrough();
  const [input, out, err] = [stream(), stream(), stream()];
  for (const each of [input, out, err]) each.isTTY = isTerminal;
  const asked: RunRequest[] = [];
  const client = {
    async *run(body: RunRequest) {
      asked.push(body);
      yield* events;
    },
  };
  if (answer === undefined) input.end();
  else input.write(answer);
  const terminal = { in: input, out, err, json: json ?? false } as never;
  const mayGoOn = await mayBegin(client, request, terminal);
  return { mayGoOn, asked, shown: String(out.read() ?? ''), said: String(err.read() ?? '') };
}

test('a long run is asked about, with its estimate, and only a yes begins it', async () => {
  const events = [estimateOf(601)];
  const yes = await ask({ events, answer: 'y\n' });
  expect(yes.mayGoOn).toBe(true);
  expect(yes.asked).toMatchObject([{ kind: 'quantize', dryRun: true }]);
  expect(yes.shown).toContain('about 10 m 01 s');
  expect(yes.said).toContain('go on? [y/N]');
  expect((await ask({ events, answer: 'Yes\n' })).mayGoOn).toBe(true);
  for (const answer of ['n\n', '\n', 'yeah\n', undefined]) {
    const no = await ask({ events, ...(answer === undefined ? {} : { answer }) });
    expect(no.mayGoOn).toBe(false);
  }
});

test('a run of which nobody knows how long it takes counts as long', () => {
  expect([null, 601, 600, 3].map((seconds) => isLong({ seconds }))).toEqual([
    ...[true, true, false, false],
  ]);
});

test('a short run begins without a word, and so does one that is refused', async () => {
  for (const events of [[estimateOf(600)], []]) {
    const short = await ask({ events });
    expect(short).toMatchObject({ mayGoOn: true, shown: '' });
    expect(short.said).not.toContain('go on');
  }
});

test('nobody is asked where there is nobody, or nothing to be made', async () => {
  const events = [estimateOf(1e6)];
  const dry = { ...(quantize as object), dryRun: true } as never;
  const convert = { kind: 'convert', source: '/x', type: 'BF16', out: '/y' } as never;
  const ways: Wish[] = [
    { isTerminal: false },
    { json: true },
    { request: dry },
    { request: convert },
  ];
  for (const way of ways) {
    expect(await ask({ events, ...way })).toMatchObject({ mayGoOn: true, asked: [], said: '' });
  }
});

test('a release is planned as the outputs that it is made of', async () => {
  const release = { kind: 'release', source: '/x', types: ['Q8_0'] } as never;
  const { asked } = await ask({ request: release, events: [estimateOf(1)] });
  expect(asked).toEqual([{ kind: 'quantize', source: '/x', types: ['Q8_0'], dryRun: true }]);
});
