import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gguf as readWithHuggingFace } from '@huggingface/gguf';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blockTypes } from '../../daemon/core/gguf/block-types.ts';
import { type GgufLayout, layoutGguf } from '../../daemon/core/gguf/layout.ts';
import type { KeyValue } from '../../daemon/core/gguf/metadata.ts';
import { parseGguf } from '../../daemon/core/gguf/reader.ts';
import { valueTypeIds } from '../../daemon/core/gguf/value-types.ts';
import { FaultError } from '../../proto/fault.ts';
import { anyRequest, fileOf, type GgufRequest, smallGguf, smallRequest } from './any-gguf.ts';
import { ggufDamage } from './gguf-cases.ts';

const directory = mkdtempSync(join(tmpdir(), 'quantd-gguf-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The same requests in every run, so that a difference can be looked at. */
const requests: readonly GgufRequest[] = fc
  .sample(anyRequest, { numRuns: 150, seed: 7 })
  .map((request) => ({ ...request, metadata: request.metadata.filter(isComparable) }));

/** C sees a text only up to NUL. */
function isComparable({ value }: KeyValue): boolean {
  return !JSON.stringify([value], (_, v) => (typeof v === 'bigint' ? 0 : v)).includes('\\u0000');
}

function write(name: string, bytes: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

/** A number or text as both sides can spell it: floats rounded to f32, no BigInt, no -0. */
const spelled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(spelled);
  if (typeof value === 'number') return String(value === 0 ? 0 : Math.fround(value));
  return typeof value === 'bigint' ? String(value) : value;
};

const laidOut = (): readonly { request: GgufRequest; layout: GgufLayout; path: string }[] =>
  requests.map((request, i) => {
    const layout = layoutGguf(request);
    return { request, layout, path: write(`laid-out-${i}.gguf`, fileOf(layout)) };
  });

// Goal: what we lay out says the same to others. Method: any request, read by @huggingface/gguf.
test('@huggingface/gguf reads what we lay out', async () => {
  for (const { request, layout, path } of laidOut()) {
    const read = await readWithHuggingFace(path, { allowLocalFile: true, typedMetadata: true });
    expect(Number(read.tensorDataOffset)).toBe(layout.dataStart);
    expect(
      read.tensorInfos.map(({ name, shape, dtype, offset }) => ({
        name,
        shape: shape.map(Number),
        type: dtype,
        offset: Number(offset) + layout.dataStart,
      })),
    ).toEqual(
      layout.tensors.map(({ name, shape, type, offset }) => ({
        name,
        shape,
        type: blockTypes[type].id,
        offset,
      })),
    );
    // It keeps metadata in a plain object, where `__proto__` cannot be a key.
    for (const { key, value } of request.metadata) {
      if (key === '__proto__') continue;
      const theirs = read.typedMetadata[key];
      expect(theirs?.type).toBe(valueTypeIds[value.type]);
      expect(spelled(theirs?.value)).toEqual(spelled(value.value));
    }
  }
});

const library = fileURLToPath(
  new URL(
    '../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
    import.meta.url,
  ),
);
const child = fileURLToPath(new URL('./llama-gguf.mjs', import.meta.url));

interface Seen {
  readonly version: number;
  readonly alignment: number;
  readonly dataStart: number;
  readonly metadata: readonly {
    readonly key: string;
    readonly type: string;
    readonly value: unknown;
  }[];
  readonly tensors: readonly {
    readonly name: string;
    readonly type: number;
    readonly offset: number;
    readonly bytes: number;
  }[];
}

/** What llama.cpp's reader sees in each file: undefined where it refuses or aborts. */
function askLlama(paths: readonly string[]): (Seen | undefined)[] {
  const seen: (Seen | undefined)[] = [];
  while (seen.length < paths.length) {
    const { stdout } = spawnSync(process.execPath, [child, library, ...paths.slice(seen.length)], {
      encoding: 'utf8',
      env: { ...process.env, GGML_NO_BACKTRACE: '1' },
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines = stdout.split('\n').filter((line) => line !== '');
    for (const line of lines)
      seen.push((JSON.parse(line) as { gguf: Seen | null }).gguf ?? undefined);
    // It ended early: it aborted on the next file, which is a refusal too.
    if (seen.length < paths.length) seen.push(undefined);
  }
  return seen;
}

function refuses(bytes: Uint8Array): boolean {
  try {
    return parseGguf('x.gguf', bytes.length, bytes).kind !== 'gguf';
  } catch (error) {
    if (error instanceof FaultError) return true;
    throw error;
  }
}

const available = existsSync(library);
if (!available) {
  const why = `llama.cpp's reader is left out: no ${library}`;
  if (process.env['CI'] === 'true') throw new Error(why);
  console.log(why);
}

describe.runIf(available)("llama.cpp's reader", () => {
  beforeAll(() => {
    // A library that cannot be loaded would look like one that refuses everything.
    execFileSync(process.execPath, [child, library]);
  });

  // Goal and method as above, with the reader that our files are for.
  test('reads what we lay out', () => {
    const files = laidOut();
    askLlama(files.map(({ path }) => path)).forEach((seen, i) => {
      const { request, layout } = files[i] ?? {};
      if (seen === undefined || request === undefined || layout === undefined) {
        throw new Error(`file ${i} was refused: ${JSON.stringify(request?.tensors)}`);
      }
      expect(seen.version).toBe(3);
      expect(seen.alignment).toBe(request.alignment);
      // Without tensors it does not look for the data.
      if (seen.tensors.length > 0) expect(seen.dataStart).toBe(layout.dataStart);
      expect(seen.tensors).toEqual(
        layout.tensors.map(({ name, type, offset, bytes }) => ({
          name,
          type: blockTypes[type].id,
          offset: offset - layout.dataStart,
          bytes,
        })),
      );
      const short = (type: string): string => (type === 'string' ? 'str' : type);
      expect(
        seen.metadata.map(({ key, type, value }) => ({ key, type, value: spelled(value) })),
      ).toEqual(
        request.metadata.map(({ key, value }) => ({
          key,
          type: short(value.type),
          value: spelled(value.value),
        })),
      );
    });
  });

  // Goal: what it refuses, we refuse. Method: the damage set; where it takes a file that we do
  // not, the case says why.
  test('refuses no damaged file that we take', () => {
    const files = ggufDamage.map((damage, i) =>
      write(`damaged-${i}.gguf`, damage.damage(smallGguf())),
    );
    const accepted = askLlama(files).map((seen) => seen !== undefined);
    const surprising = ggufDamage
      .filter((damage, i) => accepted[i] !== (damage.llamaAccepts !== undefined))
      .map(({ name, llamaAccepts }) => `${name}: ${llamaAccepts ?? 'accepted'}`);
    expect(surprising).toEqual([]);
  });

  // The same over bytes that no one chose.
  test('refuses no file with flipped bytes that we take', () => {
    const small = smallGguf();
    const headerBytes = layoutGguf(smallRequest()).dataStart - 1;
    const anyFlip = fc.record({
      at: fc.integer({ min: 4, max: headerBytes }),
      to: fc.oneof(fc.constantFrom(0, 1, 2, 4, 8, 9, 0x7f, 0x80, 0xff), fc.nat(255)),
    });
    const flips = fc.sample(fc.array(anyFlip, { minLength: 1, maxLength: 2 }), {
      numRuns: 1_500,
      seed: 11,
    });
    const files = flips.map((list) => {
      const bytes = small.slice();
      for (const { at, to } of list) bytes[at] = to;
      return bytes;
    });
    const seen = askLlama(files.map((bytes, i) => write(`flipped-${i}.gguf`, bytes)));
    const taken = files.filter((bytes) => !refuses(bytes)).length;
    const lax = flips.filter((_, i) => {
      const bytes = files[i];
      return bytes !== undefined && seen[i] === undefined && !refuses(bytes);
    });
    console.log(
      `${files.length} files with flipped bytes: llama.cpp takes ` +
        `${seen.filter((one) => one !== undefined).length}, we take ${taken}`,
    );
    expect(lax).toEqual([]);
    expect(taken).toBeGreaterThan(100);
  });
});
