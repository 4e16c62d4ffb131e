/**
 * Goal: whatever happens on the way, a copy ends as its source or not at all. Method: a made-up file
 * on the real disk, cut into parts by the role, with interruptions, other bytes behind its back, and
 * files in its way.
 */

import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { smallGguf } from '../../cluster-tests/damage/any-gguf.ts';
import { codeOfEnd } from '../../cluster-tests/fault-code.ts';
import type { RunEvent } from '../../proto/api.ts';
import {
  type GgufRequest,
  mergeRequest,
  retouchRequest,
  splitRequest,
} from '../../proto/gguf-requests.ts';
import { loadKernels } from '../adapters/kernels.ts';
import { openOutputDirectory } from '../adapters/output-files.ts';
import { openSource, openSourceFile } from '../adapters/source-directory.ts';
import { COPY_BYTES_MAX } from '../core/gguf/copy-plan.ts';
import { layoutGguf } from '../core/gguf/layout.ts';
import type { OutputDirectory, Source } from '../ports.ts';
import { type RewritePorts, rewriteGguf } from './rewrite-gguf.ts';

const addonPath = fileURLToPath(new URL('../../build/kernels/quantd.node', import.meta.url));
const kernels = loadKernels({ addonPath, threads: 2 });
const scratch = mkdtempSync(join(tmpdir(), 'quantd-copy-'));
afterAll(() => {
  kernels.close();
  rmSync(scratch, { recursive: true });
});

const SIZES = [5, 3000, 64, 700, 1];

/** A GGUF of tensors no two of which have the same bytes. */
function make(sizes: readonly number[]): Buffer {
  const { header, tensors, fileBytes } = layoutGguf({
    metadata: [
      { key: 'general.architecture', value: { type: 'string', value: 'made' } },
      { key: 'general.name', value: { type: 'string', value: 'Old' } },
    ],
    tensors: sizes.map((bytes, index) => ({ name: `t${index}`, shape: [bytes], type: 'I8' })),
  });
  const file = Buffer.alloc(fileBytes);
  file.set(header);
  tensors.forEach(({ offset, bytes }, index) => {
    // A period of a prime: no piece of a tensor is like another at the same place of a run.
    const pattern = Buffer.from(
      Array.from({ length: 1009 }, (_, i) => (i * (2 * index + 3)) & 0xff),
    );
    file.fill(pattern, offset, offset + bytes);
  });
  return file;
}

let place: string;
let whole: string;
let bytes: Buffer;
beforeEach(() => {
  place = mkdtempSync(join(scratch, 'case-'));
  whole = join(place, 'whole.gguf');
  bytes = make(SIZES);
  writeFileSync(whole, bytes);
});
const at = (name: string): string => join(place, name);

interface World {
  readonly source?: (source: Source) => Source;
  readonly outputs?: (directory: OutputDirectory) => OutputDirectory;
  readonly drain?: AbortSignal;
}

async function run(request: GgufRequest, world: World = {}): Promise<RunEvent[]> {
  const { source: change = (same) => same, outputs = (same) => same } = world;
  const ports: RewritePorts = {
    openSource: async (path) =>
      change(await openSource(path, { hashFile: (file) => kernels.sha256File(file) })),
    openFile: openSourceFile,
    openOutputs: async (directory) => outputs(await openOutputDirectory(directory, kernels)),
    kernels,
    clock: { now: () => performance.now(), after: () => () => undefined },
    sha256: (data) => createHash('sha256').update(data).digest(),
    splitPath: (path) => ({ directory: dirname(path), file: basename(path) }),
  };
  const events: RunEvent[] = [];
  const drain = world.drain ?? new AbortController().signal;
  await rewriteGguf(request, ports, (event) => events.push(event), drain);
  return events;
}

const split = (more: object = {}): GgufRequest =>
  splitRequest.parse({ kind: 'split', source: whole, out: at('m'), maxTensors: 2, ...more });
const merge = (more: object = {}): GgufRequest =>
  mergeRequest.parse({
    kind: 'merge',
    source: at('m-00001-of-00003.gguf'),
    out: at('w.gguf'),
    ...more,
  });
const retouch = (more: object = {}): GgufRequest =>
  retouchRequest.parse({ kind: 'retouch', source: whole, name: 'New', ...more });

const unitsMade = (events: readonly RunEvent[]): number =>
  events.flatMap((event) => (event.type === 'done' ? [event.unitsMade] : []))[0] ?? -1;
const finals = (): string[] =>
  readdirSync(place)
    .filter((name) => name.endsWith('.gguf'))
    .sort();

test('split, merge and once more: the same bytes, and nothing is made twice', async () => {
  // One of them is larger than a run may be, and is copied in two.
  bytes = make([5, COPY_BYTES_MAX + 3, 64, 700, 1]);
  writeFileSync(whole, bytes);
  const events = await run(split());
  expect(finals()).toEqual([
    ...['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00003-of-00003.gguf', 'whole.gguf'],
  ]);
  expect(unitsMade(events)).toBe(6);
  for (const event of events) {
    if (event.type !== 'copied') continue;
    expect(event.sha256).toBe(createHash('sha256').update(readFileSync(event.path)).digest('hex'));
  }
  expect(unitsMade(await run(split()))).toBe(0);
  await run(merge());
  expect(readFileSync(at('w.gguf')).equals(bytes)).toBe(true);
  expect(readdirSync(place).filter((name) => name.endsWith('.part'))).toEqual([]);
});

test('an interrupted copy is gone on with, and what has changed meanwhile is copied again', async () => {
  const out = { out: at('r.gguf') };
  expect(await codeOfEnd(run(retouch(out), interruption(3)))).toBe('QD-1301');
  expect(finals()).toEqual(['whole.gguf']);
  expect(existsSync(at('r.gguf.part'))).toBe(true);
  // The first tensor, which is stored, is another one now: its header is the same.
  bytes.fill(0xee, dataStart, dataStart + 5);
  writeFileSync(whole, bytes);
  const units = unitsMade(await run(retouch(out)));
  expect(units).toBeGreaterThan(0);
  expect(units).toBeLessThan(SIZES.length);
  expect(dataOf(at('r.gguf')).equals(bytes.subarray(dataStart))).toBe(true);
});

const dataBytes = SIZES.reduce((sum, size) => sum + Math.ceil(size / 32) * 32, 0);
const dataStart = make(SIZES).length - dataBytes;
const dataOf = (file: string): Buffer => readFileSync(file).subarray(-dataBytes);

/** The run is asked to end while so many pieces of tensors have been read. */
function interruption(pieces: number): World {
  const drain = new AbortController();
  let reads = 0;
  const source = (real: Source): Source => ({
    ...limited(real),
    read: async (file, offset, into) => {
      await real.read(file, offset, into);
      // The header is read from the beginning.
      if (offset > 0 && ++reads === pieces) drain.abort();
    },
  });
  return { source, drain: drain.signal };
}

function limited(real: Source): Source {
  return {
    ...(real.named === undefined ? {} : { named: real.named }),
    list: () => real.list(),
    read: (...wanted) => real.read(...wanted),
    digest: (file) => real.digest(file),
    isAt: async (path) => (await real.isAt?.(path)) === true,
    checkUnchanged: () => real.checkUnchanged(),
    close: () => real.close(),
  };
}

test('a finished file of another source is not taken for this one', async () => {
  await run(retouch({ out: at('r.gguf') }));
  bytes.fill(0xee, bytes.length - 100, bytes.length - 50);
  writeFileSync(whole, bytes);
  expect(await codeOfEnd(run(retouch({ out: at('r.gguf') })))).toBe('QD-6001');
  await run(retouch({ out: at('r.gguf'), overwrite: true }));
  expect(dataOf(at('r.gguf')).equals(bytes.subarray(dataStart))).toBe(true);
});

test('a byte that the disk loses is copied again; a disk that loses it again is told of', async () => {
  const losing =
    (times: number) =>
    (real: OutputDirectory): OutputDirectory => ({
      freeBytes: () => real.freeBytes(),
      close: () => real.close(),
      open: async (...wanted) => {
        const file = await real.open(...wanted);
        const write = file.write.bind(file);
        file.write = async (offset, data) => {
          const isTarget = data.length === 64 && times-- > 0;
          await write(offset, isTarget ? new Uint8Array(64) : data);
        };
        return file;
      },
    });
  await run(split(), { outputs: losing(1) });
  await run(merge());
  expect(readFileSync(at('w.gguf')).equals(bytes)).toBe(true);
  const never = run(split({ overwrite: true }), { outputs: losing(99) });
  expect(await codeOfEnd(never)).toBe('QD-6004');
});

test('a source that changes while it is copied leaves no file', async () => {
  const source = (real: Source): Source => ({
    ...limited(real),
    read: async (file, offset, into) => {
      await real.read(file, offset, into);
      if (offset > 0) writeFileSync(whole, 'another');
    },
  });
  expect(await codeOfEnd(run(split(), { source }))).toMatch(/^QD-62/);
  expect(finals()).toEqual(['whole.gguf']);
});

test('no output is written over its source, by whatever name it goes', async () => {
  linkSync(whole, at('hard.gguf'));
  symlinkSync(whole, at('soft.gguf'));
  await run(split());
  for (const out of ['whole.gguf', 'hard.gguf', 'soft.gguf']) {
    expect(await codeOfEnd(run(retouch({ out: at(out), overwrite: true })))).toBe('QD-3406');
  }
  const part = at('m-00002-of-00003.gguf');
  expect(await codeOfEnd(run(merge({ out: part, overwrite: true })))).toBe('QD-3406');
  // Not even what the output is called while it grows.
  linkSync(whole, at('x.gguf.part'));
  expect(await codeOfEnd(run(retouch({ out: at('x.gguf') })))).toBe('QD-3406');
  expect(readFileSync(whole).equals(bytes)).toBe(true);
});

test('what is in the way is left alone, and a disk without room is told of first', async () => {
  writeFileSync(at('m-00002-of-00003.gguf'), 'mine');
  expect(await codeOfEnd(run(split()))).toBe('QD-6002');
  expect(finals()).toEqual(['m-00002-of-00003.gguf', 'whole.gguf']);
  await run(split({ overwrite: true }));
  expect(await codeOfEnd(run(split({ noTensorFirstSplit: true, maxTensors: 3 })))).toBe('QD-6001');
  const full = (real: OutputDirectory): OutputDirectory => ({
    freeBytes: () => Promise.resolve(2000),
    open: (...wanted) => real.open(...wanted),
    close: () => real.close(),
  });
  expect(await codeOfEnd(run(merge(), { outputs: full }))).toBe('QD-6003');
  expect(existsSync(at('w.gguf.part'))).toBe(false);
});

test('in its place a file is replaced when the new one is whole, and never by a part', async () => {
  expect(await codeOfEnd(run(retouch(), { drain: AbortSignal.abort() }))).toBe('QD-1301');
  expect(await codeOfEnd(run(retouch(), interruption(1)))).toBe('QD-1301');
  expect(readFileSync(whole).equals(bytes)).toBe(true);
  // The beginning of another run's file is not thrown away unasked.
  expect(await codeOfEnd(run(retouch({ name: 'Other' })))).toBe('QD-6001');
  chmodSync(whole, 0o640);
  rmSync(`${whole}.part`);
  await run(retouch());
  expect(statSync(whole).mode & 0o777).toBe(0o640);
  expect(readFileSync(whole).includes('New')).toBe(true);
  expect(existsSync(`${whole}.part`)).toBe(false);
  const again = await run(retouch());
  expect(again.map(({ type }) => type)).toEqual(['notice', 'copy', 'done']);
  await run(retouch({ name: 'Old' }));
  expect(readFileSync(whole).equals(bytes)).toBe(true);
});

test('whatever step is the last before a crash, the old file or the new one is there', async () => {
  const old = Buffer.from(smallGguf());
  writeFileSync(at('small.gguf'), old);
  const wish = { source: at('small.gguf'), out: undefined };
  await run(retouch({ ...wish, out: at('wanted.gguf') }));
  const wanted = readFileSync(at('wanted.gguf'));
  const crash = new Error('crash');
  let steps = 0;
  const crashing =
    (last: number) =>
    (real: OutputDirectory): OutputDirectory => ({
      freeBytes: () => real.freeBytes(),
      close: () => real.close(),
      open: async (...place) => {
        const file = await real.open(...place);
        for (const step of ['restart', 'write', 'commit', 'hash', 'seal'] as const) {
          const doIt: (...given: never[]) => Promise<unknown> = file[step].bind(file);
          Object.assign(file, {
            [step]: async (...given: never[]) => {
              if (steps++ === last) throw crash;
              return await doIt(...given);
            },
          });
        }
        return file;
      },
    });
  for (let last = 0; ; last++) {
    steps = 0;
    writeFileSync(at('small.gguf'), old);
    const ended = await run(retouch(wish), { outputs: crashing(last) }).catch((error) => error);
    const left = readFileSync(at('small.gguf'));
    if (ended !== crash) {
      expect(left.equals(wanted)).toBe(true);
      expect(last).toBeGreaterThan(5);
      return;
    }
    expect(left.equals(old)).toBe(true);
    await run(retouch(wish));
    expect(readFileSync(at('small.gguf')).equals(wanted)).toBe(true);
  }
});

test('of a part that is retouched elsewhere it is said that the others are not with it', async () => {
  await run(split());
  const source = at('m-00001-of-00003.gguf');
  const events = await run(retouch({ source, out: at('elsewhere.gguf') }));
  expect(events[0]).toMatchObject({
    type: 'notice',
    text: expect.stringContaining('2 other parts'),
  });
  expect((await run(retouch({ source })))[0]).toMatchObject({ type: 'copy' });
});

test('a link that is retouched in its place becomes a file, and what it leads to stays', async () => {
  symlinkSync('whole.gguf', at('link.gguf'));
  await run(retouch({ source: at('link.gguf') }));
  expect(readFileSync(whole).equals(bytes)).toBe(true);
  expect(readFileSync(at('link.gguf')).includes('New')).toBe(true);
});

test.each<readonly [string, () => GgufRequest, string]>([
  ['a directory', () => split({ source: place }), 'QD-3401'],
  ['a file that is no GGUF', () => split({ source: fileURLToPath(import.meta.url) }), 'QD-3101'],
  ['two limits', () => split({ maxBytes: 7 }), 'QD-3416'],
  ['a chat template that is none', () => retouch({ chatTemplate: whole }), 'QD-3414'],
  ['a chat template that is not there', () => retouch({ chatTemplate: at('no') }), 'QD-6201'],
])('%s is refused', async (_, request, code) => {
  expect(await codeOfEnd(run(request()))).toBe(code);
});
