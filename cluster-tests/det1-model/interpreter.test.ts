import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { toBinary32 } from '../../daemon/core/importance/fixed-point.ts';
import { readCounts, viewStatistics } from '../../daemon/core/importance/statistics.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { type CheckpointSpec, checkpointSpecs } from '../checkpoints/spec.ts';
import { makeScratch } from '../quantd.ts';
import { type ChunkRun, type LayerRun, runChunk, runStage } from './interpreter.ts';
import { inF32 } from './mutations.ts';
import { groupSums } from './sums.ts';
import { loadModel } from './weights.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const names = ['tiny-gemma4', 'tiny-gemma4-k', 'tiny-gemma4-e'] as const;

/** What golden.json holds of a list of ids: llama.cpp's logits, all in F32. */
interface Golden {
  readonly ids: readonly number[];
  readonly argmax: readonly number[];
  readonly last_logits: readonly number[];
}

async function readGolden(name: string): Promise<Golden> {
  const text = await readFile(join(fixtures, name, 'golden.json'), 'utf8');
  const { prompts } = JSON.parse(text) as {
    readonly prompts: readonly (Golden | { text: string })[];
  };
  const found = prompts.find((prompt) => 'last_logits' in prompt);
  if (found === undefined || !('last_logits' in found)) throw new Error(`${name} has no logits`);
  return found;
}

function rowsOf({ head }: ChunkRun, vocabulary: number): Float32Array[] {
  return Array.from({ length: head.logits.length / vocabulary }, (_, token) =>
    head.logits.subarray(token * vocabulary, (token + 1) * vocabulary),
  );
}

const indexOfLargest = (row: Float32Array): number =>
  row.indexOf(row.reduce((largest, logit) => Math.max(largest, logit)));

// Goal: the lists of operations, by the steps of DET-1.md, are the model. Method: logits that
// llama.cpp computed from the same weights in F32; half-precision tables of its own move them by
// some thousandths.
test.each(names)('%s gives the golden logits', async (name) => {
  const { ids, argmax, last_logits: expected } = await readGolden(name);
  const model = inF32(await loadModel(join(fixtures, name)));
  const rows = rowsOf(runChunk(model, Int32Array.from(ids)), expected.length);
  expect(rows.map(indexOfLargest)).toEqual(argmax);
  const last = rows.at(-1) ?? new Float32Array();
  const differences = expected.map((logit, place) => Math.abs(logit - (last[place] ?? 99)));
  expect(Math.max(...differences)).toBeLessThan(0.005);
});

describe('of one model', async () => {
  const ids = Int32Array.from((await readGolden('tiny-gemma4-k')).ids);
  const model = await loadModel(join(fixtures, 'tiny-gemma4-k'));
  const run = runChunk(model, ids);

  test('losses are those of the logits', () => {
    const rows = rowsOf(run, model.forward.vocabulary);
    const losses = run.head.registers.get('loss') ?? new Float32Array();
    expect(losses.length).toBe(3 * ids.length);
    for (const [token, row] of rows.entries()) {
      const [largest, sum, target] = losses.subarray(3 * token, 3 * token + 3);
      expect(largest).toBe(Math.max(...row));
      expect(target).toBe(row[ids[token + 1] ?? 0]);
      const exact = row.reduce((total, z) => total + Math.exp(z - (largest ?? 0)), 0);
      expect((sum ?? 0) / exact).toBeCloseTo(1, 5);
    }
  });

  // Goal: what was computed of a token does not hang on those after it.
  test('a chunk that ends earlier gives the same numbers', () => {
    const short = runChunk(model, ids.slice(0, 10));
    for (const [n, layer] of short.layers.entries()) {
      const hidden = layer.registers.get('hidden') ?? new Float32Array();
      const whole = run.layers[n]?.registers.get('hidden')?.subarray(0, hidden.length);
      expect([...hidden]).toEqual([...(whole ?? [])]);
    }
  });

  test('every token counts once, and with as many experts as it has', () => {
    for (const [n, { statistics, experts }] of run.layers.entries()) {
      const described = model.forward.layers[n]?.statistics ?? [];
      for (const [index, { matrices }] of described.entries()) {
        const counts = statistics[index]?.counts ?? new Float64Array();
        const total = counts.reduce((sum, count) => sum + count, 0);
        expect(total).toBe(matrices === 1 ? ids.length : 2 * ids.length);
      }
      expect(experts.length).toBe(2 * ids.length);
    }
  });

  test('the sums of a group are the sums of its chunks, in any order', () => {
    const other = runChunk(model, ids.slice(3));
    for (const [n, layer] of model.forward.layers.entries()) {
      const chunks = [run, other].map(({ layers }) => layers[n]?.statistics ?? []);
      const bytes = groupSums(layer.statistics, chunks);
      expect(groupSums(layer.statistics, [...chunks].reverse())).toEqual(bytes);
      for (const [index, { sums, counts }] of viewStatistics(layer.statistics, bytes).entries()) {
        const squares = chunks.map((chunk) => chunk[index]?.squares ?? new Float64Array());
        const wrong = toBinary32(sums).findIndex((sum, place) => {
          const exact = (squares[0]?.[place] ?? 0) + (squares[1]?.[place] ?? 0);
          return !(Math.abs(sum - exact) <= 2 ** -24 * exact);
        });
        expect(wrong).toBe(-1);
        const counted = chunks.map((chunk) => chunk[index]?.counts ?? new Float64Array());
        expect(readCounts(counts)).toEqual(
          Array.from(counted[0] ?? [], (count, matrix) => count + (counted[1]?.[matrix] ?? 0)),
        );
      }
    }
  });
});

// Goal: what the family says crosses a cut is all that the layers behind it need. Method: cut a model
// with shared keys and values and per-layer inputs everywhere, hand on nothing else, compare bits.
test('a model that is cut anywhere computes the same', async () => {
  const model = await loadModel(join(fixtures, 'tiny-gemma4-e'));
  const { layers, cuts } = model.forward;
  const ids = Int32Array.from((await readGolden('tiny-gemma4-e')).ids).subarray(0, 10);
  const whole = runChunk(model, ids);
  const sums = (runs: readonly LayerRun[]) => runs.map(({ statistics }) => statistics);
  for (let cut = 0; cut < layers.length; cut++) {
    const before = runStage(model, { first: 0, end: cut }, whole.front.registers);
    for (const { register, width } of cuts[cut] ?? []) {
      expect(before.leaves.get(register)?.length).toBe(ids.length * width);
    }
    const after = runStage(model, { first: cut, end: layers.length }, before.leaves);
    expect(after.leaves.get('hidden')).toEqual(whole.layers.at(-1)?.registers.get('hidden'));
    expect(sums([...before.runs, ...after.runs])).toEqual(sums(whole.layers));
  }
});

// Goal: experts that are stored one by one are the same tensors. What they hold is compared with
// llama.cpp.
test('the form in which experts are stored changes no list', async () => {
  const scratch = await makeScratch('det1-model');
  try {
    const forwardOf = async (spec: CheckpointSpec) => {
      const directory = join(scratch.path, spec.name);
      await writeCheckpoint(directory, spec);
      const { forward, values } = await loadModel(directory);
      return { forward, sizes: [...values].map(([name, { length }]) => [name, length]).sort() };
    };
    const stacked = checkpointSpecs(1).find(({ name }) => name === 'moe');
    if (stacked?.experts === undefined) throw new Error('there is a spec moe');
    const experts = { ...stacked.experts, form: 'single' } as const;
    expect(await forwardOf({ ...stacked, name: 'single', experts })).toEqual(
      await forwardOf(stacked),
    );
  } finally {
    await scratch.remove();
  }
});
