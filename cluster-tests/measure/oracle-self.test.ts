import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GgufFile, readGguf } from '../oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { makeScratch, mustRunQuantd } from '../quantd.ts';
import {
  type Checkpoints,
  drawChunks,
  endToEndNames,
  fixtureNames,
  openCheckpoints,
} from './checkpoints.ts';
import { compareStatistics, findFlips, largestDifference, relativeRms } from './compare.ts';
import {
  type ForwardResult,
  listNodes,
  llamaForward,
  nodePatterns,
  type ProductInput,
  type Statistic,
} from './llama-forward.ts';
import { lossOf, perplexity, summarize, textChunks } from './perplexity.ts';
import { measureSpecs, TOKENS } from './specs.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
/** One of each kind: experts, a dense part alone, per-layer embeddings. */
const kinds = ['moe-4-of-16', 'dense-untied', 'per-layer'] as const;

describe.skipIf(whyNoOracle() !== undefined)('what is read out of llama.cpp', () => {
  const oracle = openOracle();
  let checkpoints: Checkpoints;
  beforeAll(async () => {
    checkpoints = await openCheckpoints();
  });
  afterAll(async () => {
    await oracle.close();
    await checkpoints.close();
  });

  // Goal: looking changes nothing, and nothing is left of one chunk in the next. Method: decode
  // with every capture, with none, alone and after another chunk, and on two threads.
  test.each(kinds)('%s: the same numbers however it is asked', async (name) => {
    const gguf = await checkpoints.bf16Gguf(name);
    const [first, second] = drawChunks(320);
    if (first === undefined || second === undefined) throw new Error('two chunks');
    const everything = { hidden: true, inputs: '', statistics: true, routing: true, logits: true };
    const watched = await llamaForward({ gguf, chunks: [first, second], want: everything });
    const plain = await llamaForward({
      gguf,
      chunks: [second],
      want: { logits: true },
      threads: 2,
    });
    expect(digest(plain.logits[0])).toBe(digest(watched.logits[1]));
    expect(digest(watched.logits[0])).not.toBe(digest(watched.logits[1]));
    const again = await llamaForward({ gguf, chunks: [first, second], want: everything });
    expect(digestAll(again)).toEqual(digestAll(watched));
    const [rows = []] = await oracle.allLogits(gguf, [[...second]]);
    expect(digest(joined(rows))).toBe(digest(plain.logits[0]));
  });

  // Goal: the sums are those of llama-imatrix's rules. Method: add up the captured inputs again.
  test.each(kinds)('%s: statistics are sums over the inputs', async (name) => {
    const gguf = await checkpoints.bf16Gguf(name);
    const chunks = drawChunks(320, { count: 3, tokens: 40 });
    const want = { inputs: '^blk\\.', statistics: true, routing: true };
    const { inputs, statistics, routing, layers } = await llamaForward({ gguf, chunks, want });
    const weights = (await readGguf(gguf)).tensors;
    const expected = new Map<string, Statistic>();
    for (const [weight, { columns }] of inputs[0] ?? []) {
      const matrices = weights.find((tensor) => tensor.name === weight)?.shape[2] ?? 1;
      const sums = new Float64Array(matrices * columns);
      const counts = new Float64Array(matrices);
      for (const chunk of inputs)
        addSquares({ columns, matrices, sums, counts }, chunk.get(weight));
      expected.set(weight, { columns, matrices, sums, counts });
    }
    expect([...statistics.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const { meanSquares, counts } of compareStatistics(statistics, expected)) {
      expect(meanSquares).toBeLessThan(1e-13);
      expect(counts).toBe(0);
    }
    for (const [weight, { counts }] of statistics) {
      const slots = inputs[0]?.get(weight)?.slots ?? 1;
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(slots * 3 * 40);
    }
    // The experts of the products are those of the router.
    for (let layer = 0; layer < layers; layer++) {
      const of = inputs[1]?.get(`blk.${layer}.ffn_down_exps.weight`)?.experts;
      expect(routing[1]?.[layer]?.chosen).toEqual(of);
    }
  });

  // Goal: a chunk of too few rows is not collected, and the head only where it is asked for.
  test('statistics leave out what llama-imatrix leaves out', async () => {
    const gguf = await checkpoints.bf16Gguf('moe-2-of-4');
    const few = { gguf, chunks: drawChunks(320, { tokens: 15 }), want: { statistics: true } };
    const names = [...(await llamaForward(few)).statistics.keys()];
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !name.endsWith('_exps.weight'))).toEqual([]);
    const untied = await checkpoints.bf16Gguf('dense-untied');
    const withHead = async (processOutput: boolean) => {
      const want = { statistics: true, processOutput };
      const { statistics } = await llamaForward({ gguf: untied, chunks: drawChunks(320), want });
      return statistics.has('output.weight');
    };
    expect([await withHead(true), await withHead(false)]).toEqual([true, false]);
  });

  // Goal: the hidden states are those between the layers. Method: compute the head from the last
  // one in binary64 and compare with the logits; multiply the first from the embedding's row.
  test.each(kinds)('%s: from the hidden states to the logits', async (name) => {
    const gguf = await checkpoints.f32Gguf(name);
    const chunks = drawChunks(320, { count: 1 });
    const want = { hidden: true, logits: true, nodes: [nodePatterns.finalNorm] };
    const pass = await llamaForward({ gguf, chunks, want });
    const model = await readGguf(gguf);
    const last = pass.hidden[0]?.at(-1) ?? new Float32Array();
    const expected = logitsOf(model, last);
    expect(largestDifference(pass.logits[0] ?? [], expected)).toBeLessThan(1e-4);
    expect(pass.nodes[0]?.map((node) => node.name)).toContain('result_norm');

    const embeddings = weightsOf(model, 'token_embd.weight');
    const hidden = last.length / TOKENS;
    const scaled = [...(chunks[0] ?? [])].flatMap((id) =>
      [...embeddings.subarray(id * hidden, (id + 1) * hidden)].map((x) => x * Math.sqrt(hidden)),
    );
    expect(relativeRms(pass.embedding[0] ?? [], scaled)).toBeLessThan(1e-6);
  });

  // Goal: chosen experts are the largest of the router. Method: sort the logits.
  test('routing is the top of the router logits', async () => {
    const gguf = await checkpoints.bf16Gguf('moe-4-of-16-single');
    const { routing } = await llamaForward({
      gguf,
      chunks: drawChunks(320),
      want: { routing: true },
    });
    expect(routing.flat().length).toBe(4);
    for (const layer of routing.flat()) {
      if (layer === undefined) throw new Error('every layer has experts');
      const { experts, slots, logits } = layer;
      expect([experts, slots]).toEqual([16, 4]);
      const top = Array.from({ length: TOKENS }, (_, token) => {
        const row = [...logits.subarray(token * experts, (token + 1) * experts)];
        const order = row.map((_, expert) => expert).sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0));
        return order.slice(0, slots);
      });
      expect(findFlips(top.flat(), layer)).toEqual([]);
    }
  });

  // Goal: what else crosses a cut can be read: keys and values that later layers use, and the
  // per-layer inputs. Method: their shapes, and the norm that every value and key has.
  test('keys, values and per-layer inputs are nodes', async () => {
    const gguf = await checkpoints.bf16Gguf('per-layer-narrow');
    const nodes = [nodePatterns.keys, nodePatterns.values, nodePatterns.perLayerInputs];
    const pass = await llamaForward({ gguf, chunks: drawChunks(320), want: { nodes } });
    const shapes = new Map(pass.nodes[1]?.map(({ name, shape }) => [name, shape.join()]));
    expect(Object.fromEntries(shapes)).toEqual({
      ...{ 'Kcur_pos-0': '64,2,96,1', 'Vcur_normed-0': '64,2,96,1' },
      ...{ 'Kcur_pos-1': '64,2,96,1', 'Vcur_normed-1': '64,2,96,1' },
      ...{ 'Kcur_pos-2': '128,2,96,1', 'Vcur_normed-2': '128,2,96,1' },
      'inp_per_layer (permuted) (cont)': '32,96,6,1',
    });
    const graph = await listNodes(gguf);
    const readBy = (layer: number) => graph.find(({ name }) => name === `kq-${layer}`)?.sources[0];
    const caches = [0, 1, 2, 3, 4, 5].map((layer) => readBy(layer)?.name.split(' ')[0]);
    expect(caches).toEqual([0, 1, 2, 1, 1, 2].map((layer) => `cache_k_l${layer}`));
    for (const { name, shape, values } of pass.nodes.flat()) {
      if (!name.startsWith('Vcur_normed')) continue;
      const [width = 0] = shape;
      for (let row = 0; row < values.length / width; row++) {
        const squares = Array.from(values.subarray(row * width, (row + 1) * width), (x) => x * x);
        expect(squares.reduce((sum, x) => sum + x, 0) / width).toBeCloseTo(1, 3);
      }
    }
  });

  // Goal: the names above hold for layers without a value projection too. Method: list the graph.
  test('the graph of a layer without values has its keys and values all the same', async () => {
    const names = (await listNodes(await checkpoints.bf16Gguf('moe-2-of-4'))).map(
      ({ name }) => name,
    );
    const wanted = [
      'inp_scaled',
      'Kcur_pos-2',
      'Vcur_normed-2',
      'attn_out-2',
      'l_out-2',
      'result_norm',
    ];
    expect(names).toEqual(expect.arrayContaining(wanted));
  });

  // Goal: the F32 checkpoint is the same model. Method: the F32 GGUFs of both are the same bytes.
  test.each(['moe-wide', 'tiny-gemma4-e'])('%s widened gives the same F32 GGUF', async (name) => {
    const scratch = await makeScratch('widened');
    const out = join(scratch.path, 'model.gguf');
    const from = await checkpoints.f32Checkpoint(name);
    await mustRunQuantd(['convert', from, '--type', 'F32', '--out', out, '--name', name]);
    const same = (await readFile(out)).equals(await readFile(await checkpoints.f32Gguf(name)));
    await scratch.remove();
    expect(same).toBe(true);
  });

  // Goal: the process that decodes is llama.cpp as others ran it. Method: the fixtures' logits
  // that were written down from another program.
  test.each(fixtureNames)('%s has the golden logits', async (name) => {
    const gguf = await checkpoints.f32Gguf(name);
    const golden = JSON.parse(await readFile(join(fixtures, name, 'golden.json'), 'utf8')) as {
      readonly prompts: readonly { readonly ids: number[]; readonly last_logits?: number[] }[];
    };
    const prompts = golden.prompts.filter(({ last_logits }) => last_logits !== undefined);
    expect(prompts.length).toBeGreaterThan(0);
    const chunks = prompts.map(({ ids }) => Int32Array.from(ids));
    const { logits, vocabulary } = await llamaForward({ gguf, chunks, want: { logits: true } });
    prompts.forEach(({ last_logits = [] }, index) => {
      const last = logits[index]?.slice(-vocabulary) ?? [];
      expect(largestDifference(last, last_logits)).toBeLessThan(1e-3);
    });
  });

  // Goal: perplexity is that of the text. Method: a trained model predicts English far better than
  // by chance and better than random weights do; the loss of even logits is the log of their number.
  test('held-out text is less of a surprise to a trained model', async () => {
    const text = await readFile(join(fixtures, 'evaluation.txt'), 'utf8');
    const gguf = await checkpoints.bf16Gguf('tiny-gemma4');
    const chunks = await textChunks(oracle, gguf, text, { count: 4, tokens: 128 });
    expect(chunks.map((chunk) => [chunk.length, chunk[0]])).toEqual(Array(4).fill([128, 2]));
    const trained = await perplexity({ gguf, chunks });
    expect(trained.tokens).toBe(4 * 63);
    expect(trained.perplexity).toBeLessThan(300);
    expect(trained.perplexity).toBeGreaterThan(5);
    expect(trained.error / trained.perplexity).toBeLessThan(0.3);
    const shuffled = chunks.map((chunk) => chunk.toReversed().with(0, 2));
    expect((await perplexity({ gguf, chunks: shuffled })).perplexity).toBeGreaterThan(
      2 * trained.perplexity,
    );
    expect(lossOf(new Float32Array(64).fill(7), 3)).toBeCloseTo(Math.log(64), 12);
    const losses = [1, 1, 1];
    expect(summarize(losses)).toEqual({ perplexity: Math.E, error: 0, tokens: 3, losses });
  });

  // Goal: the two comparisons of speed and numbers have a library of their own. Method: name one.
  test('one CPU library can be chosen', async () => {
    const gguf = await checkpoints.f32Gguf('dense-untied');
    const pass = (cpu: string) =>
      llamaForward({ gguf, chunks: drawChunks(320), want: { logits: true }, cpu });
    const [plain, sse] = [await pass('x64'), await pass('sse42')];
    expect(largestDifference(plain.logits[0] ?? [], sse.logits[0] ?? [])).toBeLessThan(1e-2);
    await expect(pass('none')).rejects.toThrow(/cannot run libggml-cpu-none/);
  });

  // Goal: libllama may abort without taking the tests along. Method: ask for what it refuses, and
  // to decode no tokens at all, which it asserts never happens.
  test('a refusal tells why, and death is an error', async () => {
    const chunks = drawChunks(320);
    const missing = join(fixtures, 'missing.gguf');
    await expect(llamaForward({ gguf: missing, chunks, want: {} })).rejects.toThrow(/refuses/);
    const gguf = await checkpoints.bf16Gguf('dense');
    // Past the vocabulary.
    const wrong = [Int32Array.of(2, 100_000)];
    await expect(llamaForward({ gguf, chunks: wrong, want: {} })).rejects.toThrow(/llama_decode/);
    const empty = { gguf, chunks: [new Int32Array()], want: {} };
    await expect(llamaForward(empty)).rejects.toThrow(/died .*\n[\s\S]*ASSERT/);
  });

  // Goal: these checkpoints try what they promise. Method: count.
  test('there are enough checkpoints, and every window is crossed', () => {
    expect(measureSpecs.length).toBeGreaterThanOrEqual(10);
    expect(endToEndNames.length).toBeGreaterThanOrEqual(13);
    expect(measureSpecs.every(({ window = TOKENS }) => window < TOKENS)).toBe(true);
  });
});

/** Adds a chunk's rows to the sums, each to its expert's where it has one. */
function addSquares({ columns, sums, counts }: Statistic, input: ProductInput | undefined): void {
  if (input === undefined) throw new Error('every chunk has the input');
  const { values, experts, slots = 1 } = input;
  const rows = values.length / columns;
  // One row a token serves all its experts, or every expert has one of its own.
  const rowsAToken = experts === undefined ? 1 : rows / (experts.length / slots);
  const uses = experts ?? new Int32Array(rows);
  uses.forEach((expert, use) => {
    const row = Math.floor(use / slots) * rowsAToken + ((use % slots) % rowsAToken);
    counts[expert] = (counts[expert] ?? 0) + 1;
    for (let column = 0; column < columns; column++) {
      const to = expert * columns + column;
      sums[to] = (sums[to] ?? 0) + (values[row * columns + column] ?? 0) ** 2;
    }
  });
}

function digest(values: NodeJS.TypedArray | undefined): string {
  if (values === undefined) throw new Error('nothing was captured');
  return createHash('sha256').update(values).digest('hex');
}

/** Digests of everything that was captured, by what it is. */
function digestAll(pass: ForwardResult): string[] {
  const { embedding, hidden, inputs, statistics, routing, logits } = pass;
  const captured = [
    ...[...embedding, ...hidden.flat(), ...logits],
    ...inputs.flatMap((chunk) => [...chunk.values()].map(({ values }) => values)),
    ...[...statistics.values()].flatMap(({ sums, counts }) => [sums, counts]),
    ...routing.flat().flatMap((layer) => (layer ? [layer.logits, layer.chosen] : [])),
  ];
  return captured.map(digest);
}

function joined(rows: readonly Float32Array[]): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

function weightsOf({ tensors }: GgufFile, name: string): Float32Array {
  const bytes = tensors.find((tensor) => tensor.name === name)?.bytes;
  if (bytes === undefined) throw new Error(`no tensor ${name}`);
  return new Float32Array(Uint8Array.from(bytes).buffer);
}

/** The last norm, the head and the cap of the logits, in binary64. */
function logitsOf(model: GgufFile, hidden: Float32Array): Float64Array {
  const norm = weightsOf(model, 'output_norm.weight');
  const untied = model.tensors.some(({ name }) => name === 'output.weight');
  const head = weightsOf(model, untied ? 'output.weight' : 'token_embd.weight');
  const width = norm.length;
  const [tokens, vocabulary] = [hidden.length / width, head.length / width];
  const logits = new Float64Array(tokens * vocabulary);
  for (let token = 0; token < tokens; token++) {
    const row = hidden.subarray(token * width, (token + 1) * width);
    const squares = row.reduce((sum, x) => sum + x * x, 0);
    const scale = 1 / Math.sqrt(squares / width + 1e-6);
    const normed = Float64Array.from(row, (x, index) => x * scale * (norm[index] ?? 0));
    for (let id = 0; id < vocabulary; id++) {
      let dot = 0;
      for (let k = 0; k < width; k++) dot += (normed[k] ?? 0) * (head[id * width + k] ?? 0);
      logits[token * vocabulary + id] = 30 * Math.tanh(dot / 30);
    }
  }
  return logits;
}
