import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readCheckpoint } from '../../../cluster-tests/damage/checkpoint-directory.ts';
import { fakeGemma4, published } from '../../../cluster-tests/damage/fake-checkpoint.ts';
import { describeModel, forwardOf } from './families.ts';
import type { Forward, Layer, Operation, Register } from './forward.ts';

const read = (name: string) =>
  readCheckpoint(fileURLToPath(new URL(`../../../fixtures/${name}`, import.meta.url)));
const tokenizer = await read('tiny-gemma4-e');
const publishedNames = Object.keys(published) as (keyof typeof published)[];
const checkpointOf = (name: keyof typeof published) => fakeGemma4(published[name], tokenizer);
const forwards = new Map(publishedNames.map((name) => [name, forwardOf(checkpointOf(name))]));
const forwardNamed = (name: keyof typeof published): Forward => {
  const forward = forwards.get(name);
  if (forward === undefined) throw new Error(`no ${name}`);
  return forward;
};
const layerOf = (forward: Forward, n: number): Layer => {
  const layer = forward.layers[n];
  if (layer === undefined) throw new Error(`no layer ${n}`);
  return layer;
};
const entries = ({ layers }: Forward): string[] =>
  layers.flatMap(({ statistics }) => statistics.flatMap(({ names }) => names));
const total = (forward: Forward): number =>
  forward.layers.reduce((sum, { multiplications }) => sum + multiplications, 0);

/** The registers that an operation reads. */
function readBy(operation: Operation): Register[] {
  switch (operation.kind) {
    case 'norm':
    case 'product':
    case 'collect':
      return [operation.from];
    case 'scale':
    case 'multiply':
    case 'rotate':
      return [operation.into];
    case 'attention':
      return [operation.queries, operation.keys, operation.values];
    case 'gate':
      return [operation.gate, operation.up];
    case 'route':
      return [operation.logits];
    case 'experts':
      return [operation.from, operation.routing];
    case 'add':
      return [operation.left, operation.right];
    case 'loss':
      return [operation.from, operation.targets];
  }
}

const namedBy = (operation: Operation): string[] => {
  if (operation.kind === 'experts') return [operation.gateUp, operation.down];
  if (operation.kind === 'route') return operation.scales === undefined ? [] : [operation.scales];
  return 'weight' in operation && operation.weight !== undefined ? [operation.weight] : [];
};

/** The statistics that an operation adds to. */
const collectedBy = (operation: Operation): readonly number[] => {
  if (operation.kind === 'experts') return operation.statistics;
  return operation.kind === 'collect' ? [operation.statistic] : [];
};

/** Carries out a layer in name: every register is filled before it is read, and all have widths. */
function walk({ reads, inputs, leaves, registers, operations }: Layer): void {
  const filled = new Set([...reads, ...inputs].map(({ register }) => register));
  const own = new Set([...filled, ...registers.keys(), ...leaves.map((r) => r.register)]);
  for (const operation of operations) {
    expect([...filled]).toEqual(expect.arrayContaining(readBy(operation)));
    if ('into' in operation) filled.add(operation.into);
  }
  expect([...filled].sort()).toEqual([...own].sort());
}

// Goal: a list can be carried out. Method: walk it, and see that everything was there when read.
test.each(publishedNames)('%s reads nothing that is not there', (name) => {
  const { front, layers, head } = forwardNamed(name);
  const left = front.layer.reads.map(({ register }) => register);
  for (const layer of [front.layer, ...layers, head]) {
    const { reads, leaves, weights, statistics, operations } = layer;
    expect(left).toEqual(expect.arrayContaining(reads.map(({ register }) => register)));
    walk(layer);
    left.push(...leaves.map(({ register }) => register));

    expect(operations.flatMap(collectedBy)).toEqual([...statistics.keys()]);
    const named = operations.flatMap(namedBy);
    expect(new Set(weights.map(({ tensor }) => tensor))).toEqual(new Set(named));
    expect(named).toEqual(expect.arrayContaining(statistics.flatMap(({ names }) => names)));
  }
});

// Goal: every weight of the model is used by one layer, except what is known to be used by none.
test.each(publishedNames)('%s uses every tensor of its model', (name) => {
  const forward = forwardNamed(name);
  const used = new Set(
    [forward.front.layer, ...forward.layers, forward.head]
      .flatMap(({ weights }) => weights)
      .concat(forward.front.lookups.map(({ table }) => table))
      .map(({ tensor }) => tensor),
  );
  const unused = describeModel(checkpointOf(name), 'x').tensors.flatMap((tensor) =>
    used.has(tensor.name) ? [] : [tensor.name],
  );
  const { layers, shared } = { shared: 0, ...published[name] };
  const sharing = Array.from({ length: shared }, (_, n) => layers - shared + n);
  const keys = ['attn_k.weight', 'attn_v.weight', 'attn_k_norm.weight'];
  expect(unused.sort()).toEqual(
    [
      'rope_freqs.weight',
      ...sharing.flatMap((n) => keys.map((tensor) => `blk.${n}.${tensor}`)),
    ].sort(),
  );
});

describe('26B-A4B', () => {
  const forward = forwardNamed('26B-A4B');

  test('has 295 entries of an importance matrix', () => {
    expect(entries(forward).length).toBe(295);
    expect(new Set(entries(forward)).size).toBe(295);
    expect(forward.head.statistics).toEqual([
      { names: ['token_embd.weight'], matrices: 1, columns: 2816 },
    ]);
  });

  test('collects each input of a sliding layer once, under all names', () => {
    expect(layerOf(forward, 4).statistics).toEqual(
      [
        { names: ['attn_q.weight', 'attn_k.weight', 'attn_v.weight'], columns: 2816 },
        { names: ['attn_output.weight'], columns: 4096 },
        { names: ['ffn_gate.weight', 'ffn_up.weight'], columns: 2816 },
        { names: ['ffn_down.weight'], columns: 2112 },
        { names: ['ffn_gate_inp.weight'], columns: 2816 },
        { names: ['ffn_gate_up_exps.weight'], columns: 2816, matrices: 128 },
        { names: ['ffn_down_exps.weight'], columns: 704, matrices: 128 },
      ].map(({ names, columns, matrices = 1 }) => {
        return { names: names.map((tensor) => `blk.4.${tensor}`), matrices, columns };
      }),
    );
  });

  test('takes V from the weights of K in full layers', () => {
    const full = layerOf(forward, 5);
    expect(full.statistics[0]?.names).toEqual(['blk.5.attn_q.weight', 'blk.5.attn_k.weight']);
    expect(full.statistics[1]?.columns).toBe(8192);
    const norms = full.operations.filter((operation) => operation.kind === 'norm');
    const values = norms.find(({ into }) => into === 'values');
    expect(values).toMatchObject({ from: 'keys', width: 512 });
    expect(values?.weight).toBeUndefined();
    // Before the keys are normed themselves.
    expect(norms.findIndex(({ into }) => into === 'keys')).toBeGreaterThan(
      norms.findIndex(({ into }) => into === 'values'),
    );
    const attention = full.operations.find((operation) => operation.kind === 'attention');
    expect(attention).toMatchObject({ heads: 16, keyHeads: 2, width: 512, window: 0, scale: 1 });
    const sliding = layerOf(forward, 4).operations.find(({ kind }) => kind === 'attention');
    expect(sliding).toMatchObject({ heads: 16, keyHeads: 8, width: 256, window: 1024 });
  });

  test('has its registers, its cuts and its cost', () => {
    expect(Object.fromEntries(layerOf(forward, 0).registers)).toEqual({
      ...{ normed: 2816, queries: 4096, keys: 2048, values: 2048, branch: 2816 },
      ...{ gate: 2112, up: 2112, router: 128, routing: 16, mixture: 2816 },
    });
    expect(forward.cuts).toEqual(
      Array.from({ length: 31 }, () => [{ register: 'hidden', width: 2816 }]),
    );
    // All that is active of the model but its head: 3.08 billion, less norms and scales.
    const experts = 8 * 3 * 704 * 2816;
    const dense = 3 * 2112 * 2816 + 128 * 2816;
    expect(layerOf(forward, 0).multiplications).toBe(34_603_008 + dense + experts);
    expect(layerOf(forward, 5).multiplications).toBe(49_020_928 + dense + experts);
    expect(total(forward)).toBe(25 * 34_603_008 + 5 * 49_020_928 + 30 * (dense + experts));
    expect(forward.head.multiplications).toBe(262_144 * 2816);
    expect(forward.front.layer.multiplications).toBe(0);
  });

  test('keeps the router in F32 and rotates a quarter of the pairs of full layers', () => {
    const router = layerOf(forward, 0).weights.find(({ tensor }) => /gate_inp\.w/.test(tensor));
    expect(router).toEqual({
      tensor: 'blk.0.ffn_gate_inp.weight',
      type: 'BF16',
      isKeptF32: true,
      shape: [2816, 128],
    });
    const [sliding, full] = forward.tables;
    expect(sliding).toEqual({ width: 256, base: 1e4 });
    expect(full).toMatchObject({ width: 512, base: 1e6 });
    expect(full?.factors?.filter((factor) => factor === 1).length).toBe(64);
    expect(full?.factors?.length).toBe(256);
  });
});

describe('E2B', () => {
  const forward = forwardNamed('E2B');

  test('keeps the K and V of two layers for those that share them', () => {
    const readers = forward.layers.map(({ reads }) => reads.map(({ register }) => register));
    expect(readers.slice(0, 15).every((registers) => registers.join() === 'hidden')).toBe(true);
    expect(readers[15]).toEqual(['hidden', 'keys.13', 'values.13']);
    expect(readers[19]).toEqual(['hidden', 'keys.14', 'values.14']);
    expect(readers[34]).toEqual(['hidden', 'keys.14', 'values.14']);
    expect(layerOf(forward, 13).leaves.map(({ register }) => register)).toEqual(readers[15]);
    expect(layerOf(forward, 12).leaves.map(({ register }) => register)).toEqual(['hidden']);
    // Nothing is collected for weights that nothing is multiplied by.
    expect(layerOf(forward, 15).statistics[0]?.names).toEqual(['blk.15.attn_q.weight']);
    expect(entries(forward).length).toBe(15 * (3 + 1 + 3) + 20 * (1 + 1 + 3) + 35 * 2);
  });

  test('says what crosses each cut', () => {
    const hidden = { register: 'hidden', width: 1536 };
    const sliding = ['keys.13', 'values.13'].map((register) => ({ register, width: 256 }));
    const full = ['keys.14', 'values.14'].map((register) => ({ register, width: 512 }));
    const inputs = (layers: number) => ({ register: 'all_inputs', width: layers * 256 });
    expect(forward.cuts.length).toBe(36);
    expect(forward.cuts[0]).toEqual(forward.front.layer.leaves);
    expect(forward.cuts[13]).toEqual([hidden, inputs(22)]);
    expect(forward.cuts[14]).toEqual([hidden, ...sliding, inputs(21)]);
    expect(forward.cuts[15]).toEqual([hidden, ...sliding, ...full, inputs(20)]);
    expect(forward.cuts[33]).toEqual([hidden, ...sliding, ...full, inputs(2)]);
    expect(forward.cuts[34]).toEqual([hidden, ...full, inputs(1)]);
    expect(forward.cuts[35]).toEqual([hidden]);
    // Whoever takes over at a cut has what its layers read.
    for (const [n, layer] of forward.layers.entries()) {
      expect(forward.cuts[n]).toEqual(expect.arrayContaining([...layer.reads]));
    }
  });

  test('gives every layer its slice of what comes from the token', () => {
    const { lookups, layer, slices } = forward.front;
    expect(lookups.map(({ into, factor }) => [into, factor])).toEqual([
      ['hidden', Math.fround(Math.sqrt(1536))],
      ['token_inputs', 16],
    ]);
    expect(slices).toEqual({ from: 'all_inputs', into: 'per_layer_inputs', width: 256 });
    expect(layer.leaves).toEqual([
      { register: 'hidden', width: 1536 },
      { register: 'all_inputs', width: 35 * 256 },
    ]);
    expect(layer.operations.map(({ kind }) => kind)).toEqual([
      'product',
      'scale',
      'norm',
      'add',
      'scale',
    ]);
    for (const { inputs } of forward.layers) {
      expect(inputs).toEqual([{ register: 'per_layer_inputs', width: 256 }]);
    }
    const names = layerOf(forward, 20).statistics.map((statistic) => statistic.names);
    expect(names.slice(-2)).toEqual([['blk.20.inp_gate.weight'], ['blk.20.proj.weight']]);
    expect(
      layerOf(forward, 20)
        .statistics.slice(-3)
        .map(({ columns }) => columns),
    ).toEqual([12_288, 1536, 256]);
  });
});

// Goal: the head is collected under the name that llama-imatrix has for it.
test('an untied head has the name of its own matrix', async () => {
  const moe = await read('tiny-gemma4-k');
  const first = moe.tensors.values().next().value;
  if (first === undefined) throw new Error('the fixture has no tensors');
  const name = 'lm_head.weight';
  const untied = {
    ...moe,
    config: { ...moe.config, tie_word_embeddings: false },
    tensors: new Map([...moe.tensors, [name, { ...first, name, shape: [512, 256] }] as const]),
  };
  expect(forwardOf(untied).head.statistics[0]?.names).toEqual(['output.weight']);
  expect(forwardOf(moe).head.statistics[0]?.names).toEqual(['token_embd.weight']);
});
