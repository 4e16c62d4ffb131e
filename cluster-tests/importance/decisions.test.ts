import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FtypeName, parseFtype } from '../../daemon/core/recipe/ftypes.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { seededRandom } from '../checkpoints/random.ts';
import { checkpointSpecs } from '../checkpoints/spec.ts';
import { compareGguf } from '../oracle/compare-gguf.ts';
import { type GgufFile, readGguf } from '../oracle/gguf-file.ts';
import { openOracle, whyNoOracle } from '../oracle/llama.ts';
import { connectQuantd, makeScratch, mustRunQuantd, parseEvents, runQuantd } from '../quantd.ts';
import { drawEntry, type Entry, imatrixGguf, meansOf } from './write-imatrix.ts';

interface Case {
  readonly what: string;
  readonly type: FtypeName;
  /** What becomes of the entries of a sound importance matrix. */
  change(entries: readonly Entry[]): readonly Entry[];
  /** Words that our notices must hold. */
  readonly said?: readonly string[];
  /** The code of our fault, where both must refuse. */
  readonly code?: string;
}

const query = 'blk.0.attn_q.weight';
const embedding = 'token_embd.weight';
const router = 'blk.0.ffn_gate_inp.weight';
const experts = 'blk.1.ffn_down_exps.weight';
const entry = (name: string, columns: number, value = 1): Entry => ({
  name,
  sums: new Float32Array(columns).fill(value),
  counts: Float32Array.of(2),
});
const replaced = (wanted: Entry) => (entries: readonly Entry[]) => [
  ...entries.filter(({ name }) => name !== wanted.name),
  wanted,
];
const without = (part: string) => (entries: readonly Entry[]) =>
  entries.filter(({ name }) => !name.includes(part));

const cases: readonly Case[] = [
  { what: 'all entries', type: 'Q4_K_M', change: (all) => all, said: [embedding] },
  { what: 'no entry of a tensor', type: 'Q4_K_M', change: without('attn_q'), said: [query] },
  { what: 'entries of two tensors alone', type: 'Q3_K_M', change: (all) => all.slice(0, 2) },
  {
    what: 'an unknown tensor',
    type: 'Q4_K_M',
    change: replaced(entry('no.such', 7)),
    said: ['no.such'],
  },
  {
    what: 'NaN for an unknown tensor',
    type: 'Q4_K_M',
    change: replaced(entry('no.such', 7, NaN)),
    code: 'QD-4313',
  },
  { what: 'NaN', type: 'Q4_K_M', change: replaced(entry(query, 256, NaN)), code: 'QD-4313' },
  {
    what: 'an infinity',
    type: 'Q8_0',
    change: replaced(entry(query, 256, Infinity)),
    code: 'QD-4313',
  },
  { what: 'other columns', type: 'Q4_K_M', change: replaced(entry(query, 128)), code: 'QD-4315' },
  {
    what: 'other columns, in a type without weights',
    type: 'Q8_0',
    change: replaced(entry(query, 128)),
    code: 'QD-4315',
  },
  {
    what: 'other columns, in F16',
    type: 'F16',
    change: replaced(entry(query, 128)),
    code: 'QD-4315',
  },
  { what: 'other columns of what is copied', type: 'BF16', change: replaced(entry(query, 128)) },
  { what: 'other columns of what is kept', type: 'Q4_K_M', change: replaced(entry(router, 3)) },
  {
    what: 'one expert of several',
    type: 'Q4_0',
    change: replaced(entry(experts, 64)),
    code: 'QD-4315',
  },
  {
    what: 'other columns of the embeddings',
    type: 'Q4_K_M',
    change: replaced(entry(embedding, 3)),
    said: [embedding],
  },
  {
    what: 'an entry for the embeddings',
    type: 'Q4_K_M',
    change: (all) => [
      ...all,
      drawEntry({ name: embedding, shape: [256] }, seededRandom(5), 'positive'),
    ],
  },
  {
    what: 'a type that needs what is not there',
    type: 'Q2_K_S',
    change: without('attn_q'),
    code: 'QD-4107',
  },
];

// Goal: what an importance matrix lacks or has wrong is decided as llama.cpp decides it, and said.
// Method: each case through both; both refuse, or both make the same tensors.
describe.skipIf(whyNoOracle() !== undefined)('what is wrong is decided as by llama.cpp', () => {
  const oracle = openOracle();
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  let converted: string;
  let source: string;
  let sound: readonly Entry[];
  beforeAll(async () => {
    scratch = await makeScratch('importance-decisions');
    daemon = await connectQuantd(join(scratch.path, 'data'));
    const spec = checkpointSpecs(1).find(({ name }) => name === 'moe');
    if (spec === undefined) throw new Error('no spec moe');
    source = join(scratch.path, 'source');
    converted = join(scratch.path, 'converted', 'model.gguf');
    await writeCheckpoint(source, spec);
    await mustRunQuantd(['convert', source, '--type', 'BF16', '--out', converted], options());
    sound = drawEntries(await readGguf(converted));
  });
  afterAll(async () => {
    await oracle.close();
    await daemon.close();
    await scratch.remove();
  });
  const options = (): { data: string; directory: string } => ({
    data: join(scratch.path, 'data'),
    directory: scratch.path,
  });

  async function quantize(
    name: string,
    type: string,
    entries: readonly Entry[],
    words: readonly string[] = [],
  ): Promise<{ readonly out: string; readonly events: Record<string, unknown>[] }> {
    const directory = join(scratch.path, name.replaceAll(/\W+/g, '-'));
    await mkdir(directory, { recursive: true });
    const file = join(directory, 'imatrix.gguf');
    await writeFile(file, imatrixGguf({ entries, datasets: ['text'], chunks: 3 }));
    const out = join(directory, 'out');
    const ask = ['quantize', source, '--type', type, '--out', out, '--imatrix', file, '--json'];
    return { out, events: parseEvents(await runQuantd([...ask, ...words], options())) };
  }

  test.each(cases)('$what as $type', async ({ what, type, change, said = [], code }) => {
    const entries = change(sound);
    const { out, events } = await quantize(what, type, entries);
    const theirs = `${converted}.${type}`;
    const ask = {
      input: converted,
      output: theirs,
      ftype: parseFtype(type).id,
      importance: weightsOf(entries),
    };
    const refusal = await oracle.quantize(ask).then(
      () => undefined,
      (error: unknown) => String(error),
    );
    const fault = events.find((event) => event['type'] === 'fault');
    expect(fault?.['code'], `llama.cpp: ${refusal}`).toBe(code);
    expect(refusal === undefined, refusal).toBe(code === undefined);
    if (code !== undefined) {
      expect(existsSync(out)).toBe(false);
      return;
    }
    const notices = events
      .flatMap(({ type, text }) => (type === 'notice' ? [text] : []))
      .join('\n');
    for (const word of said) expect(notices).toContain(word);
    expect(events.findIndex((event) => event['type'] === 'notice')).toBeLessThan(
      events.findIndex((event) => event['type'] === 'plan'),
    );
    const [file] = await readdir(out).then((files) => files.filter((one) => one.endsWith('.gguf')));
    const differences = compareGguf({
      ours: await readGguf(join(out, String(file))),
      theirs: await readGguf(theirs),
    });
    expect(differences.filter((line) => !line.startsWith('key quantize.imatrix.'))).toEqual([]);
  });

  test('filters leave what they say, and the file counts what is left', async () => {
    const left = sound.filter(({ name }) => name.includes('attn_') || name.includes('blk.1'));
    const filters = ['--include-weights', 'attn_', '--include-weights', 'blk.1'];
    const { out } = await quantize('filtered', 'Q4_K_S', sound, filters);
    const theirs = `${converted}.filtered`;
    await oracle.quantize({
      input: converted,
      output: theirs,
      ftype: 'Q4_K_S',
      importance: weightsOf(left),
      overrides: [
        { key: 'quantize.imatrix.file', type: 'str', value: 'imatrix.gguf' },
        { key: 'quantize.imatrix.dataset', type: 'str', value: 'text' },
        { key: 'quantize.imatrix.entries_count', type: 'int', value: left.length },
        { key: 'quantize.imatrix.chunks_count', type: 'int', value: 3 },
      ],
    });
    const ours = await readGguf(join(out, 'gemma4-Q4_K_S.gguf'));
    expect(compareGguf({ ours, theirs: await readGguf(theirs) })).toEqual([]);
  });

  test('a dry run tells sizes and what would be missing, and makes nothing', async () => {
    const few = sound.filter(({ name }) => !name.includes('attn_q'));
    const refused = await quantize('refused', 'Q2_K_S', few);
    expect(refused.events.at(-1)).toMatchObject({ type: 'fault', code: 'QD-4107' });
    const { out, events } = await quantize('dry', 'Q2_K_S,Q4_K_M', few, ['--dry-run']);
    expect(existsSync(out)).toBe(false);
    const plan = events.find(({ type }) => type === 'plan');
    expect(events.at(-1)).toMatchObject({ type: 'done', outputs: 0, sourceBytesRead: 0 });
    const text = JSON.stringify(events.filter(({ type }) => type === 'notice'));
    expect(text).toContain(`Q2_K for ${query}`);
    const made = await quantize('made', 'Q2_K_S,Q4_K_M', sound);
    expect(made.events.find(({ type }) => type === 'plan')?.['outputs']).toEqual(plan?.['outputs']);
  });

  test('an output is not continued with other weights', async () => {
    await quantize('continued', 'Q4_K_M', sound);
    const again = await quantize('continued', 'Q4_K_M', sound);
    expect(again.events.at(-1)).toMatchObject({ type: 'done', unitsMade: 0 });
    const other = sound.map((one) => ({ ...one, sums: one.sums.map((sum) => 2 * sum + 1) }));
    const changed = await quantize('continued', 'Q4_K_M', other);
    expect(changed.events.at(-1)).toMatchObject({ type: 'fault', code: 'QD-6001' });
  });

  test.each([
    [['--include-weights', 'a', '--exclude-weights', 'b'], 'QD-4316'],
    [['--exclude-weights', 'weight'], 'QD-4318'],
    [['--compat', 'ollama'], 'QD-4319'],
    [['--override-kv', 'a.b=7'], 'QD-4341'],
    [['--override-kv', 'general.alignment=int:64'], 'QD-4342'],
  ])('%j: %s', async (words, code) => {
    const { events } = await quantize('words', 'Q4_K_M', sound, words);
    expect(events.at(-1)).toMatchObject({ type: 'fault', code });
  });

  test('filters want an importance matrix: QD-4317', async () => {
    const ask = ['quantize', source, '--type', 'Q4_0', '--out', join(scratch.path, 'alone')];
    const run = await runQuantd([...ask, '--include-weights', 'a', '--json'], options());
    expect(parseEvents(run).at(-1)).toMatchObject({ type: 'fault', code: 'QD-4317' });
  });
});

function drawEntries({ tensors }: GgufFile): Entry[] {
  const random = seededRandom(7);
  return tensors
    .filter(
      ({ name, shape }) => shape.length > 1 && name !== embedding && !name.includes('gate_inp'),
    )
    .map((tensor) => drawEntry(tensor, random, 'unreached'));
}

function weightsOf(entries: readonly Entry[]): { name: string; weights: Float32Array }[] {
  return entries.map(({ name, sums, counts }) => ({ name, weights: meansOf(sums, counts) }));
}
