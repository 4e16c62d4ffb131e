/**
 * Goal: a release as the program makes it is verified and made again by the program, and a changed bit
 * of it, or of what it was made from, is named.
 */

import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Connection } from '../cli/daemon.ts';
import type { RunEvent } from '../proto/api.ts';
import { lockFile } from '../proto/lockfile.ts';
import type { RunRequest } from '../proto/requests.ts';
import { connectQuantd, makeScratch, mustRunQuantd, parseEvents, runQuantd } from './quantd.ts';

const SOURCE = fileURLToPath(new URL('../fixtures/tiny-gemma4-k', import.meta.url));

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let data: string;
let daemon: Connection;
let folder: string;
beforeAll(async () => {
  scratch = await makeScratch('verify');
  const text = join(scratch.path, 'text.txt');
  writeFileSync(text, 'Words of all kinds, one after the other. '.repeat(200));
  data = join(scratch.path, 'data');
  daemon = await connectQuantd(data);
  const words = ['--type', 'Q4_K_M,Q2_K', '--calibration', text, '--ctx', '64', '--chunks', '3'];
  const out = ['--out', scratch.path, '--name', 'Tiny', '--json'];
  await mustRunQuantd(['release', SOURCE, ...words, ...out], { data });
  folder = join(scratch.path, 'Tiny-GGUF');
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});

async function eventsOf(request: RunRequest): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of daemon.client.run(request)) events.push(event);
  return events;
}

interface Told {
  readonly last: RunEvent | undefined;
  readonly findings: Extract<RunEvent, { type: 'finding' }>[];
  readonly verified: Extract<RunEvent, { type: 'verified' }> | undefined;
}

async function verify(
  release: string,
  options: { source?: string; spot?: number } = {},
): Promise<Told> {
  const spot = options.spot ?? 16;
  const events = await eventsOf({ kind: 'verify', release, seed: 1, ...options, spot });
  return {
    last: events.at(-1),
    findings: events.filter((event) => event.type === 'finding'),
    verified: events.find((event) => event.type === 'verified'),
  };
}

/** A copy of the release in which one file is another. */
function copyWith(name: string, edit: (path: string) => void): string {
  const copy = join(scratch.path, name);
  cpSync(folder, copy, { recursive: true });
  edit(copy);
  return copy;
}

function flip(path: string, byte: number): void {
  const bytes = readFileSync(path);
  bytes[byte] = (bytes[byte] ?? 0) ^ 4;
  writeFileSync(path, bytes);
}

test('what was made is verified, and all of its blocks are made again from the source', async () => {
  const { last, findings, verified } = await verify(folder, { source: SOURCE, spot: 1_000_000 });
  expect(findings).toEqual([]);
  expect(last?.type).toBe('done');
  expect(verified).toMatchObject({ types: 'source', faults: 0, warnings: 0 });
  expect(verified?.attestedUnits).toBeGreaterThanOrEqual(100);
  // Two outputs of 68 tensors, some of which have several experts.
  expect(verified?.spot?.groups).toBeGreaterThanOrEqual(136);
});

test('the command tells of it, and of the seed that it drew', async () => {
  const run = await mustRunQuantd(['verify', folder, '--source', SOURCE], { data });
  expect(run.stdout).toMatch(/16 row groups .* made again · --seed \d+/);
  expect(run.stdout).toContain('verified: every byte is what it should be');
});

describe('a change', () => {
  test('of a tensor is told as file, tensor and range, with exit code 6', async () => {
    const copy = copyWith('tensor', (path) => {
      const file = join(path, 'Tiny-Q2_K.gguf');
      flip(file, readFileSync(file).length - 5000);
    });
    const run = await runQuantd(['verify', copy, '--json'], { data });
    expect(run.code).toBe(6);
    const found = parseEvents(run).filter(({ type }) => type === 'finding');
    expect(found).toMatchObject([{ code: 'QD-6513', file: 'Tiny-Q2_K.gguf', severity: 'fault' }]);
    expect(found[0]?.['tensor']).toMatch(/weight$/);
    expect(found[0]?.['why']).toMatch(/^bytes \d+ to \d+$/);
    expect(parseEvents(run).at(-1)).toMatchObject({ code: 'QD-6501', exit: 6 });
  });

  test('of several files is told of each', async () => {
    const files = ['README.md', 'attestations.ndjson', 'calibration/text.txt', 'Tiny-imatrix.gguf'];
    const copy = copyWith('several', (path) => {
      for (const file of files) flip(join(path, file), readFileSync(join(path, file)).length >> 1);
    });
    const { findings, last } = await verify(copy);
    expect(new Set(findings.map(({ file }) => file))).toEqual(new Set(files));
    // The line of an attestation that was changed is signed by nobody, besides.
    expect(last).toMatchObject({ type: 'fault', code: 'QD-6501', why: '5 faults' });
  });

  test('of the blocks by whoever made the release shows against the source', async () => {
    // Another checkpoint of the same shapes stands for blocks that were made of something else.
    const other = join(scratch.path, 'other-source');
    cpSync(SOURCE, other, { recursive: true });
    const shard = join(other, 'model-00001-of-00002.safetensors');
    flip(shard, readFileSync(shard).length - 1000);
    const { findings } = await verify(folder, { source: other, spot: 1_000_000 });
    expect(findings.length).toBeGreaterThan(0);
    // What was signed for is not what this source gives, either.
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['QD-6525', 'QD-6527']));
  });
});

test('a link out of the folder is not followed, one inside is', async () => {
  const copy = copyWith('links', (path) => {
    copyFileSync(join(path, 'README.md'), join(scratch.path, 'outside.md'));
    symlinkSync('../outside.md', join(path, 'extra.md'));
    symlinkSync('README.md', join(path, 'more.md'));
  });
  const { findings, last } = await verify(copy);
  expect(last?.type).toBe('done');
  expect(findings).toMatchObject([
    { code: 'QD-6520', file: 'extra.md', why: 'a link that leads out of the folder' },
    { code: 'QD-6520', file: 'more.md' },
  ]);
  const replaced = copyWith('replaced', (path) => {
    // The same bytes, but not in the folder.
    rmSync(join(path, 'README.md'));
    symlinkSync('../outside.md', join(path, 'README.md'));
  });
  const wrong = await verify(replaced);
  expect(wrong.findings).toMatchObject([{ code: 'QD-6553', file: 'README.md' }]);
});

describe('made again', () => {
  const lockOf = (path: string): string => join(path, 'quantd.lock.json');

  async function reproduce(
    release: string,
    options: { source?: string; out?: string; keep?: boolean; calibration?: string[] } = {},
  ): Promise<RunEvent[]> {
    const { source = SOURCE, keep = false, calibration = [], ...place } = options;
    return await eventsOf({ kind: 'reproduce', release, source, keep, calibration, ...place });
  }

  test('it is the same, and nothing is left of it', async () => {
    const before = readdirSync(scratch.path);
    const events = await reproduce(lockOf(folder));
    expect(events.at(-1)).toMatchObject({ type: 'done' });
    const reproduced = events.find(({ type }) => type === 'reproduced');
    expect(reproduced).toMatchObject({ isSame: true, files: 7, differences: 0 });
    expect(readdirSync(scratch.path)).toEqual(before);
  });

  test('by another instruction set, alone and with texts of other names, it is the same', async () => {
    const text = join(scratch.path, 'renamed.txt');
    copyFileSync(join(folder, 'calibration', 'text.txt'), text);
    const out = join(scratch.path, 'kept');
    const words = ['--source', SOURCE, '--calibration', text, '--out', out, '--keep', '--solo'];
    const { isas } = await daemon.client.status();
    const environment = { QUANTD_ISA: isas.includes('avx2') ? 'avx2' : 'scalar' };
    const run = await mustRunQuantd(['reproduce', lockOf(folder), ...words], { environment });
    expect(run.stdout).toContain('reproduced: Tiny is the same in all of its 7 files');
    for (const file of ['Tiny-Q2_K.gguf', 'Tiny-imatrix.gguf', 'README.md', 'SHA256SUMS']) {
      const made = readFileSync(join(out, 'Tiny-GGUF', file));
      expect(made.equals(readFileSync(join(folder, file))), file).toBe(true);
    }
  });

  test('of an input with another bit it is refused before anything is computed', async () => {
    const source = join(scratch.path, 'flipped-source');
    cpSync(SOURCE, source, { recursive: true });
    flip(join(source, 'tokenizer.json'), 50);
    const text = copyWith('flipped-text', (path) => flip(join(path, 'calibration/text.txt'), 99));
    const lock = copyWith('flipped-lock', (path) => flip(lockOf(path), 99));
    const cases = [
      { events: await reproduce(folder, { source }), code: 'QD-6531', file: 'tokenizer.json' },
      { events: await reproduce(text), code: 'QD-6531', file: 'calibration/text.txt' },
      { events: await reproduce(lock), code: 'QD-6505', file: 'quantd.lock.json.sig' },
    ];
    for (const { events, code, file } of cases) {
      expect(events.at(-1)).toMatchObject({ type: 'fault', code, file, exit: 6 });
      expect(events.some(({ type }) => type === 'plan' || type === 'calibration')).toBe(false);
    }
    expect(cases[0]?.events.at(-1)).toMatchObject({
      why: expect.stringMatching(/^SHA-256 [0-9a-f]{64}, [0-9a-f]{64} in the lockfile$/),
    });
  });

  test('where the lockfile says otherwise, output and tensor are named', async () => {
    const copy = copyWith('other-lock', (path) => {
      rmSync(join(path, 'quantd.lock.json.sig'));
      const text = readFileSync(lockOf(path), 'utf8');
      const lock = lockFile.parse(JSON.parse(text)).lock;
      // A type that the other output has not got, so that the digest stands there once.
      const tensor = lock.outputs[1]?.tensors.find(([, type]) => type === 'Q2_K');
      writeFileSync(lockOf(path), text.replace(tensor?.[2] ?? '', '0'.repeat(64)));
    });
    const run = await runQuantd(['reproduce', lockOf(copy), '--source', SOURCE, '--json'], {
      data,
    });
    expect(run.code).toBe(6);
    expect(parseEvents(run).at(-1)).toMatchObject({
      ...{ code: 'QD-6540', file: 'Tiny-Q2_K.gguf', tensor: expect.stringMatching(/weight$/) },
    });
  });

  test('it never takes the place of a folder that is there', async () => {
    const events = await reproduce(lockOf(folder), { out: scratch.path });
    expect(events.at(-1)).toMatchObject({ code: 'QD-6556', exit: 2 });
    expect((await verify(folder)).last?.type).toBe('done');
  });
});
