/** Goal: what a user types wrong, or has in the way, ends in a code, a reason and a hint. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectQuantd, makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('command-line');
});
afterAll(() => scratch.remove());

const SOURCE = 'fixtures/tiny-gemma4-k';
const at = (...parts: string[]): string => join(scratch.path, ...parts);

interface Refusal {
  readonly words: () => string[];
  readonly exit: number;
  readonly said: RegExp;
}

const refusals: Record<string, Refusal> = {
  'an unknown command': { words: () => ['quantise'], exit: 2, said: /Did you mean quantize/ },
  'a missing option': { words: () => ['quantize', SOURCE], exit: 2, said: /--out/ },
  'an unknown option': {
    words: () => ['quantize', SOURCE, '--type', 'Q8_0', '--out', 'x', '--tipe', 'F16'],
    exit: 2,
    said: /Did you mean --type/,
  },
  'an unknown type': {
    words: () => ['quantize', SOURCE, '--type', 'Q4KM', '--out', at('a')],
    exit: 2,
    said: /QD-4101.*[\s\S]*Q4_K_M/,
  },
  'a type twice': {
    words: () => ['quantize', SOURCE, '--type', 'Q4_K,Q4_K_M', '--out', at('a')],
    exit: 2,
    said: /QD-1101/,
  },
  'a type of a later version': {
    words: () => ['quantize', SOURCE, '--type', 'IQ2_XS', '--out', at('a')],
    exit: 2,
    said: /QD-41\d\d/,
  },
  'a quantized conversion': {
    words: () => ['convert', SOURCE, '--type', 'Q8_0', '--out', at('a.gguf')],
    exit: 2,
    said: /QD-1102/,
  },
  'a source that is not there': {
    words: () => ['quantize', at('nothing'), '--type', 'Q8_0', '--out', at('a')],
    exit: 4,
    said: /QD-6201/,
  },
  'a bad pattern': {
    words: () => [
      'quantize',
      SOURCE,
      '--type',
      'Q8_0',
      '--out',
      at('a'),
      '--tensor-type',
      '([=Q8_0',
    ],
    exit: 2,
    said: /QD-41\d\d/,
  },
  'a name that is a path': {
    words: () => ['quantize', SOURCE, '--type', 'Q8_0', '--out', at('a'), '--name', '../x'],
    exit: 2,
    said: /QD-1201/,
  },
  'too many threads': {
    words: () => ['quantize', SOURCE, '--type', 'Q8_0', '--out', at('a'), '--threads', '0'],
    exit: 2,
    said: /QD-1001/,
  },
  'too small a buffer': {
    words: () => [
      ...['quantize', SOURCE, '--type', 'Q8_0', '--out', at('a')],
      ...['--max-buffer-size', '63MiB'],
    ],
    exit: 2,
    said: /QD-1001[\s\S]*--max-buffer-size\) is below 64MiB/,
  },
  'two bounds of memory': {
    words: () => [
      ...['quantize', SOURCE, '--type', 'Q8_0', '--out', at('a')],
      ...['--max-buffer-size', '64MiB', '--ram', '64MiB'],
    ],
    exit: 2,
    said: /--max-buffer-size.* cannot be used with .*--ram/,
  },
  'a file to inspect that is not there': {
    words: () => ['inspect', at('nothing.gguf')],
    exit: 4,
    said: /error\[QD-\d{4}\]/,
  },
};

test.each(Object.entries(refusals))('%s', async (_, { words, exit, said }) => {
  const run = await runQuantd(words());
  expect(run.stderr + run.stdout).toMatch(said);
  expect(run.code).toBe(exit);
  expect(existsSync(at('a')) ? readdirSync(at('a')).filter((f) => f !== '.quantd') : []).toEqual(
    [],
  );
});

test('--max-buffer-size is a bound that a run can keep to', async () => {
  const words = ['quantize', SOURCE, '--type', 'Q8_0', '--out', at('bounded'), '--json'];
  const run = await mustRunQuantd([...words, '--max-buffer-size', '64MiB']);
  expect(parseEvents(run).at(-1)).toMatchObject({ type: 'done', outputs: 1 });
});

test('an output of another plan, a stranger’s file and a locked directory are left alone', async () => {
  const out = at('taken');
  const quantize = (...more: string[]): string[] => [
    ...['quantize', SOURCE, '--type', 'Q8_0', '--out', out, '--name', 'k', '--json', ...more],
  ];
  await mustRunQuantd(quantize());
  const other = await runQuantd(quantize('--pure', '--tensor-type', 'attn_q=Q4_0'));
  expect(parseEvents(other).at(-1)).toMatchObject({ code: 'QD-6001', exit: 2 });

  writeFileSync(join(out, 'k-F16.gguf'), 'mine');
  const foreign = await runQuantd(quantize('--type', 'F16'));
  expect(parseEvents(foreign).at(-1)).toMatchObject({ code: 'QD-6002', file: 'k-F16.gguf' });

  writeFileSync(join(out, '.quantd', 'lock'), lockOfThisProcess());
  const locked = await runQuantd(quantize());
  expect(parseEvents(locked).at(-1)).toMatchObject({ code: 'QD-6103', exit: 3 });
  // A lock whose owner is gone is taken over.
  writeFileSync(join(out, '.quantd', 'lock'), '999999999 1');
  await mustRunQuantd(quantize());
});

function lockOfThisProcess(): string {
  const stat = execFileSync('cat', [`/proc/${process.pid}/stat`], { encoding: 'utf8' });
  return `${process.pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
}

describe('a disk without room', () => {
  const canMount = process.platform === 'linux' && process.getuid?.() === 0;
  const reason = 'left out: mounting a small disk needs root on Linux';
  if (!canMount) console.log(reason);
  test.skipIf(!canMount && process.env['CI'] !== 'true')(
    'is said before anything is made',
    async () => {
      const disk = at('disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
      try {
        const run = await runQuantd(['quantize', SOURCE, '--type', 'F32', '--out', disk, '--json']);
        expect(parseEvents(run).at(-1)).toMatchObject({ code: 'QD-6003', exit: 3 });
        expect(readdirSync(disk).filter((file) => file.endsWith('.gguf'))).toEqual([]);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
  );
});

test('a daemon serves several commands, keeps its directory to itself and is seen by status', async () => {
  const data = at('data');
  const none = await runQuantd(['status', '--json'], { data });
  expect(none.code).toBe(3);
  expect(parseEvents(none)[0]).toMatchObject({ type: 'status', running: false });

  const daemon = await connectQuantd(data);
  try {
    const status = parseEvents(await mustRunQuantd(['status', '--json'], { data }))[0];
    expect(status).toMatchObject({ running: true, dataDirectory: data, runs: [] });
    const second = await runQuantd(['up'], { data });
    expect(second.code).toBe(3);
    const runs = ['Q8_0', 'Q4_0'].map((type) =>
      mustRunQuantd(['quantize', SOURCE, '--type', type, '--out', at(`daemon-${type}`)], { data }),
    );
    for (const run of await Promise.all(runs)) expect(run.stderr).not.toContain('started one');
    const busy = await daemon.client.status();
    expect(busy.runs).toEqual([]);
  } finally {
    await daemon.close();
  }
});

test('the daemon opens no network port', async () => {
  const data = at('data-ports');
  const daemon = await connectQuantd(data);
  try {
    const { pid } = await daemon.client.status();
    const sockets = execFileSync(
      'bash',
      ['-c', `ls -l /proc/${pid}/fd | grep -o 'socket:\\[[0-9]*\\]'`],
      {
        encoding: 'utf8',
      },
    );
    const inodes = new Set([...sockets.matchAll(/\d+/g)].map((match) => match[0]));
    const listening = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
      execFileSync('cat', [`/proc/${pid}/net/${table}`], { encoding: 'utf8' })
        .split('\n')
        .slice(1)
        .filter((line) => inodes.has(line.trim().split(/\s+/)[9] ?? '')),
    );
    expect(inodes.size).toBeGreaterThan(0);
    expect(listening).toEqual([]);
  } finally {
    await daemon.close();
  }
});

test('a request that is no request is refused, and so is one of a stranger on the socket', async () => {
  const data = at('data-request');
  const daemon = await connectQuantd(data);
  try {
    const broken = { kind: 'quantize', source: '/x', types: [], out: '' };
    const events = daemon.client.run(broken as never);
    await expect(events.next()).rejects.toMatchObject({ fault: { code: 'QD-7001' } });
  } finally {
    await daemon.close();
  }
});

test('a data directory whose path no socket can have is refused with a reason', async () => {
  const data = at('d'.repeat(120));
  const run = await runQuantd(['quantize', SOURCE, '--type', 'Q8_0', '--out', at('b')], { data });
  expect(run.code).toBe(2);
  expect(run.stderr).toMatch(/QD-1001[\s\S]*too long/);
});

test('a socket that someone else left is no daemon', async () => {
  const data = at('data-stale');
  mkdirSync(data);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(data, 'api.sock'), resolve));
  await new Promise((resolve) => server.close(resolve));
  await mustRunQuantd(['inspect', `${SOURCE}/model-00001-of-00002.safetensors`], { data });
});
