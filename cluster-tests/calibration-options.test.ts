/** Goal: what a user types wrong about calibration ends in a reason, before anything is measured. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectQuantd, makeScratch, runQuantd } from './quantd.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('calibration-options');
});
afterAll(() => scratch.remove());

const SOURCE = 'fixtures/tiny-gemma4-k';
const at = (...parts: string[]): string => join(scratch.path, ...parts);
const quantize = (...more: string[]): string[] => [
  ...['quantize', SOURCE, '--type', 'Q8_0', '--out', at('out'), ...more],
];
const imatrix = (...more: string[]): string[] => [
  ...['imatrix', SOURCE, '--out', at('m.gguf'), ...more],
];

interface Refusal {
  readonly words: () => string[];
  readonly said: RegExp;
}

const refusals: Record<string, Refusal> = {
  'a matrix given and one to measure': {
    words: () => quantize('--imatrix', 'm.gguf', '--calibration', 't.txt'),
    said: /--imatrix.* cannot be used with .*--calibration/,
  },
  'the default text beside another': {
    words: () => imatrix('--calibration', 't.txt,default'),
    said: /--calibration default cannot be mixed/,
  },
  'a way to measure, and nothing to measure': {
    words: () => quantize('--chat'),
    said: /--chat needs --calibration/,
  },
  'a way to measure where matrices are merged': {
    words: () => imatrix('--in-file', 'a.gguf', '--chunks', '4'),
    said: /--chunks needs --calibration/,
  },
  'too short a chunk': {
    words: () => imatrix('--ctx', '8'),
    said: /--ctx <n>.*'8' is invalid.*from 16 to 1048576/,
  },
  'no number of chunks': {
    words: () => imatrix('--chunks', 'many'),
    said: /--chunks <n>.*whole number of at least 1/,
  },
  'no chunks': { words: () => imatrix('--chunks', '0'), said: /of at least 1/ },
  'a part of a chunk': { words: () => imatrix('--from-chunk', '1.5'), said: /of at least 0/ },
  'both names of one option': {
    words: () => imatrix('--chunk', '1', '--from-chunk', '1'),
    said: /--chunk.* cannot be used with .*--from-chunk/,
  },
  'a form that there is not': {
    words: () => imatrix('--format', 'json'),
    said: /Allowed choices are gguf, dat/,
  },
  'no file to make': { words: () => ['imatrix', SOURCE], said: /--out <file>/ },
};

test.each(Object.entries(refusals))('%s', async (_, { words, said }) => {
  const run = await runQuantd(words());
  expect(run.stderr).toMatch(said);
  expect(run.code).toBe(2);
  expect([existsSync(at('m.gguf')), existsSync(at('out'))]).toEqual([false, false]);
});

test('a client that does not ask as the command line does gets a code', async () => {
  const connection = await connectQuantd(at('data'));
  const text = { path: at('t.txt'), given: 't.txt' };
  const calibration = {
    ...{ files: [text], default: false, chat: false, parseSpecial: false, ctx: 512, fromChunk: 0 },
    ...{ processOutput: false, ppl: false, replicas: 1 },
  };
  const request = {
    ...{ kind: 'imatrix' as const, source: SOURCE, out: at('m.gguf'), format: 'gguf' as const },
    ...{ inFiles: [], showStatistics: false, overwrite: false },
  };
  const codeOf = async (asked: Parameters<typeof connection.client.run>[0]): Promise<unknown> => {
    for await (const event of connection.client.run(asked)) {
      if (event.type === 'fault') return event.code;
    }
    return undefined;
  };
  try {
    expect(await codeOf(request)).toBe('QD-8414');
    const both = { ...calibration, default: true };
    expect(await codeOf({ ...request, calibration: both })).toBe('QD-8412');
    const neither = { ...calibration, files: [] };
    expect(await codeOf({ ...request, calibration: neither })).toBe('QD-8412');
  } finally {
    await connection.close();
  }
});
