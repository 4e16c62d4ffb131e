import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeCheckpoint, writeSparseCheckpoint } from './generate.ts';
import { encodeWeights } from './safetensors.ts';
import { type CheckpointSpec, checkpointSpecs, drawSpec } from './spec.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'quantd-generate-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

// Goal: what the tests compare is large enough to mean something. Method: count.
test('there are at least twenty specs with names of their own', () => {
  const names = checkpointSpecs(1).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(20);
});

// Goal: a failure can be repeated from its seed. Method: write twice, compare every file.
test('a spec gives the same files twice, another seed other weights', async () => {
  const spec = pick('moe-single-shards');
  const write = async (name: string, as: CheckpointSpec) => {
    await writeCheckpoint(join(scratch, name), as);
    const files = (await readdir(join(scratch, name))).sort();
    return Promise.all(
      files.map(async (file) => {
        const bytes = await readFile(join(scratch, name, file));
        return {
          file,
          bytes: bytes.length,
          digest: createHash('sha256').update(bytes).digest('hex'),
        };
      }),
    );
  };
  const [first, second, other] = [
    await write('first', spec),
    await write('second', spec),
    await write('other', { ...spec, seed: spec.seed + 1 }),
  ];
  expect(second).toEqual(first);
  const shard = (files: typeof first) => files.find(({ file }) => file.includes('-00001-of-'));
  expect(shard(other)?.bytes).toBe(shard(first)?.bytes);
  expect(shard(other)?.digest).not.toBe(shard(first)?.digest);
});

// Goal: the tensor files are what the format says. Method: walk each header and check that the
// tensors fill the file without gaps and have as many bytes as their shape and type need.
test('every drawn checkpoint has tensor files without gaps', async () => {
  for (let seed = 0; seed < 4; seed++) {
    const directory = join(scratch, `drawn-${seed}`);
    await writeCheckpoint(directory, drawSpec(seed));
    for (const file of (await readdir(directory)).filter((name) => name.endsWith('.safetensors'))) {
      const bytes = await readFile(join(directory, file));
      const headerBytes = Number(bytes.readBigUInt64LE(0));
      const { __metadata__, ...tensors } = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes));
      let end = 0;
      for (const { dtype, shape, data_offsets } of Object.values<HeaderEntry>(tensors)) {
        expect(data_offsets[0]).toBe(end);
        end = data_offsets[1];
        const elements = shape.reduce((product, length) => product * length, 1);
        expect(end - data_offsets[0]).toBe(elements * (dtype === 'F32' ? 4 : 2));
      }
      expect(8 + headerBytes + end).toBe(bytes.length);
    }
  }
});

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

// Goal: a large checkpoint costs no disk. Method: compare length and blocks of its files.
test('a sparse checkpoint has the bytes asked for and takes no room', async () => {
  const directory = join(scratch, 'sparse');
  const wanted = 4e9;
  const bytes = await writeSparseCheckpoint(directory, wanted);
  expect(Math.abs(bytes - wanted) / wanted).toBeLessThan(0.02);
  const shards = (await readdir(directory)).filter((name) => name.endsWith('.safetensors'));
  const stats = await Promise.all(shards.map((file) => stat(join(directory, file))));
  expect(stats.reduce((sum, { size }) => sum + size, 0)).toBeGreaterThanOrEqual(bytes);
  expect(stats.reduce((sum, { blocks }) => sum + blocks * 512, 0)).toBeLessThan(1e6);
});

// Goal: weights are rounded as a checkpoint's are. Method: decode by the formats' definition and
// check that neither neighbour is nearer.
test.each([
  ['BF16', 8, 127],
  ['F16', 5, 15],
] as const)('%s keeps the nearest number', (dtype, exponentBits, bias) => {
  const decode = (code: number): number => {
    const mantissaBits = 15 - exponentBits;
    const exponent = (code & 0x7fff) >> mantissaBits;
    const fraction = (code & ((1 << mantissaBits) - 1)) / 2 ** mantissaBits;
    const size =
      exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
    return code & 0x8000 ? -size : size;
  };
  const anyWeight = fc.float({ min: -1000, max: 1000, noNaN: true });
  fc.assert(
    fc.property(anyWeight, (weight) => {
      const [low = 0, high = 0] = encodeWeights(Float32Array.of(weight), dtype);
      const code = low | (high << 8);
      const distance = Math.abs(decode(code) - weight);
      for (const other of [code - 1, code + 1].filter((near) => (near ^ code) < 0x8000)) {
        const away = Math.abs(decode(other) - weight);
        if (away === distance) expect(code & 1).toBe(0);
        else expect(away).toBeGreaterThan(distance);
      }
    }),
    { numRuns: 2000 },
  );
});

function pick(name: string): CheckpointSpec {
  const spec = checkpointSpecs(1).find((candidate) => candidate.name === name);
  if (spec === undefined) throw new Error(`no spec ${name}`);
  return spec;
}
