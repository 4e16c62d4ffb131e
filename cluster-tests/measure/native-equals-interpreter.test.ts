import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Layer, StateRegister } from '../../daemon/core/models/forward.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { type ChunkRun, type LayerRun, runChunk } from '../det1-model/interpreter.ts';
import { inF32 } from '../det1-model/mutations.ts';
import { groupSums } from '../det1-model/sums.ts';
import { loadModel } from '../det1-model/weights.ts';
import { makeScratch } from '../quantd.ts';
import { drawChunks, widenCheckpoint } from './checkpoints.ts';
import { type NativeModel, openKernels, openNative, type WaveRun } from './native-model.ts';
import { observeNative, runNative } from './native-run.ts';
import { measureSpecs } from './specs.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('native');
});
afterAll(() => scratch.remove());

async function directoryOf(name: string): Promise<string> {
  const spec = measureSpecs.find((candidate) => candidate.name === name);
  if (spec === undefined) return join(fixtures, name);
  const directory = join(scratch.path, name);
  await writeCheckpoint(directory, spec);
  return directory;
}

/** Longer than every window of these checkpoints, and no multiple of a vector's length. */
const POSITIONS = 21;

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A digest of everything that a layer leaves, and of its sums. */
type Digests = Readonly<Record<string, string>>;

function digestsOf(layer: Layer, { registers, sums }: WaveRun): Digests {
  const left = layer.leaves.map(({ register }: StateRegister): [string, string] => [
    register,
    digestOf(bytesOf(registers.get(register) ?? new Float32Array())),
  ]);
  return { ...Object.fromEntries(left), sums: digestOf(sums) };
}

/** The same of the interpreter's runs of the chunks. */
function expectedDigests(layer: Layer, runs: readonly LayerRun[]): Digests {
  const registers = layer.leaves.map(({ register }): [string, Float32Array] => [
    register,
    joined(runs.map((run) => run.registers.get(register) ?? new Float32Array())),
  ]);
  const chunks = runs.map(({ statistics }) => statistics);
  const sums = groupSums(layer.statistics, chunks);
  return digestsOf(layer, { registers: new Map(registers), sums });
}

function joined(parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

interface Case {
  readonly name: string;
  readonly mode: 'as it is' | 'in F32';
}

const cases: readonly Case[] = [
  { name: 'tiny-gemma4-k', mode: 'as it is' },
  { name: 'tiny-gemma4-e', mode: 'as it is' },
  { name: 'moe-odd', mode: 'as it is' },
  { name: 'moe-odd', mode: 'in F32' },
  { name: 'per-layer-narrow', mode: 'as it is' },
];

// Goal: the kernels give the bits of DET-1.md whoever they are, and however the work is cut. Method:
// what every layer leaves, the group's sums and the losses of the head, compared with what the
// interpreter computes chunk by chunk; every instruction set, teams and waves of two sizes.
test.each(cases)('$name, $mode: bits are those of the interpreter', async ({ name, mode }) => {
  const directory = await directoryOf(name);
  const source = await loadModel(directory);
  const model = mode === 'in F32' ? inF32(source) : source;
  const others = mode === 'in F32' ? [`${directory}-f32`] : [];
  for (const other of others) await widenCheckpoint(directory, other);
  const { vocabulary, front, layers, head } = model.forward;
  const chunks = drawChunks(vocabulary, { count: 2, tokens: POSITIONS });
  const runs = chunks.map((ids) => runChunk(model, ids));
  const all = [front.layer, ...layers, head];
  const partOf = (run: ChunkRun): readonly LayerRun[] => [run.front, ...run.layers, run.head];
  const expected = all.map((layer, n) => {
    const ofLayer = runs.map((run) => partOf(run)[n]);
    return expectedDigests(
      layer,
      ofLayer.filter((run) => run !== undefined),
    );
  });
  expect(new Set(expected.map(({ hidden, loss }) => hidden ?? loss)).size).toBe(all.length);

  const best = openKernels();
  const { isas } = best;
  best.close();
  for (const isa of isas) {
    for (const threads of [1, 2]) {
      const kernels = openKernels({ isa, threads });
      const opened = await openNative(kernels, directory, others);
      const native: NativeModel = { ...opened, forward: model.forward };
      for (const waveChunks of [2, 1]) {
        const run = await runNative(native, chunks, waveChunks);
        const ours = [run.front, ...run.layers, run.head];
        const found = all.map((layer, n) =>
          digestsOf(layer, ours[n] ?? { registers: new Map(), sums: new Uint8Array() }),
        );
        expect(found, `${isa}, ${threads} threads, ${waveChunks} chunks`).toEqual(expected);
      }
      kernels.close();
    }
  }
  console.log(`${name}, ${mode}: ${isas.join(', ')}; 1 and 2 threads; waves of 2 and of 1`);
});

// Goal: what is observed is what is computed, so that a comparison of it with llama.cpp is one of the
// kernels. Method: inputs of products, routing and router logits against the interpreter's, as bits.
test.each(['tiny-gemma4-k', 'per-layer-narrow'])('%s: what is in between', async (name) => {
  const directory = await directoryOf(name);
  const model = await loadModel(directory);
  const chunks = drawChunks(model.forward.vocabulary, { count: 2, tokens: POSITIONS });
  const [ids = new Int32Array(), other = new Int32Array()] = chunks;
  const runs = [runChunk(model, ids), runChunk(model, other)];
  const kernels = openKernels();
  const observed = await observeNative(await openNative(kernels, directory), chunks);
  kernels.close();
  for (const [n, ours] of observed.layers.entries()) {
    const theirs = runs.map((run) => run.layers[n]);
    expect(ours.experts).toEqual(theirs.flatMap((run) => run?.experts ?? []));
    expect([...ours.inputs.keys()]).toEqual([...(theirs[0]?.inputs.keys() ?? [])]);
    for (const [input, numbers] of ours.inputs) {
      const parts = theirs.map((run) => run?.inputs.get(input) ?? new Float32Array());
      expect(digestOf(bytesOf(numbers)), input).toBe(digestOf(bytesOf(joined(parts))));
    }
    const router = theirs.map((run) => run?.registers.get('router'));
    if (router[0] !== undefined) {
      const parts = router.map((part) => part ?? new Float32Array());
      expect(ours.registers.get('router')).toEqual(joined(parts));
    }
  }
  const logits = joined(runs.map(({ head }) => head.logits));
  const apart = observed.head.logits.map((z, place) => Math.abs(z - (logits[place] ?? 99)));
  expect(Math.max(...apart)).toBeLessThan(1e-5);
});
