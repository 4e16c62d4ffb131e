/** Goal: index and files agree on every tensor, or the first disagreement is named. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codeOf } from '../../../cluster-tests/fault-code.ts';
import type { SourceTensor } from './checkpoint.ts';
import {
  checkShardsPresent,
  chooseTensorFiles,
  mergeShards,
  parseShardIndex,
  type ShardIndex,
} from './shard-index.ts';

const files = ['a.safetensors', 'b.safetensors', 'c.safetensors'];
const tensorIn = (file: string, name: string): SourceTensor => ({
  file,
  name,
  dtype: 'BF16',
  shape: [1],
  offset: 0,
  bytes: 2,
});

/** Every tensor with its file; the twin of what index and shards say. */
const anyPlaces: fc.Arbitrary<[string, string][]> = fc.uniqueArray(
  fc.tuple(
    fc.oneof(fc.stringMatching(/^[a-z.]{1,8}$/), fc.constantFrom('__proto__', 'constructor')),
    fc.constantFrom(...files),
  ),
  { selector: ([name]) => name, minLength: 1, maxLength: 20 },
);

function indexOf(places: readonly (readonly [string, string])[], total?: number): ShardIndex {
  const pairs = places.map(([name, file]) => `${JSON.stringify(name)}:${JSON.stringify(file)}`);
  const text = `{"metadata":{"total_size":${total ?? 2 * places.length}},"weight_map":{${pairs}}}`;
  return parseShardIndex(new TextEncoder().encode(text));
}

function shardsOf(places: readonly (readonly [string, string])[]): SourceTensor[][] {
  return files.map((file) =>
    places.filter(([, own]) => own === file).map(([name]) => tensorIn(file, name)),
  );
}

test('what the files hold is what comes out, in their order', () => {
  fc.assert(
    fc.property(anyPlaces, (places) => {
      const index = indexOf(places);
      expect(index.fileOf).toEqual(new Map(places));
      const { tensors, unusable, notices } = mergeShards(shardsOf(places), index);
      const wanted = shardsOf(places).flat();
      expect([...tensors.values()]).toEqual(wanted);
      expect(unusable.size).toBe(0);
      expect(notices).toEqual([]);
    }),
  );
});

test('one disagreement between index and files is refused by its own code', () => {
  const anyChange = fc.tuple(fc.constantFrom('gone', 'unnamed', 'moved', 'twice'), fc.nat());
  const codes = { gone: 'QD-2218', unnamed: 'QD-2215', moved: 'QD-2217', twice: 'QD-2216' };
  fc.assert(
    fc.property(anyPlaces, anyChange, (places, [change, which]) => {
      const at = which % places.length;
      const [name, file] = places[at] ?? ['', ''];
      const other = files[(files.indexOf(file) + 1) % files.length] ?? '';
      const rest = places.filter((_, place) => place !== at);
      const indexed = change === 'unnamed' ? [...rest, ['other', file] as const] : places;
      const held = {
        gone: rest,
        unnamed: [...places, ['other', file] as const],
        moved: [...rest, [name, other] as const],
        twice: [...places, [name, other] as const],
      }[change];
      fc.pre(!places.some(([taken]) => taken === 'other'));
      expect(codeOf(() => mergeShards(shardsOf(held), indexOf(indexed)))).toBe(codes[change]);
    }),
  );
});

test('a name is let through only when it is one plain file', () => {
  const anyFile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ maxLength: 300 }),
    fc.stringMatching(/^[-./\\a-z:~\0]{0,12}$/),
  );
  fc.assert(
    fc.property(anyFile, (start) => {
      const file = `${start}.safetensors`;
      const plain = /^\w[\w.-]*$/.test(start) && file.length <= 255;
      expect(codeOf(() => indexOf([['t', file]]))).toBe(plain ? 'no fault' : 'QD-2212');
    }),
    { numRuns: 1000 },
  );
});

test.each<[string, string[], string | string[]]>([
  ['one file', ['model.safetensors'], ['model.safetensors']],
  ['one file of another name', ['weights.safetensors'], ['weights.safetensors']],
  ['a single file and others', ['model.safetensors', 'lora.safetensors'], ['model.safetensors']],
  ['two files', ['a.safetensors', 'b.safetensors'], 'QD-2223'],
  ['one part', ['model-00001-of-00002.safetensors'], 'QD-2223'],
  [
    'a single file and a part',
    ['model.safetensors', 'model-00001-of-00002.safetensors'],
    'QD-2223',
  ],
  ['an index and a single file', ['model.safetensors.index.json', 'model.safetensors'], 'sharded'],
  ['nothing', [], 'QD-2221'],
  ['pickles', ['config.json', 'pytorch_model-00001-of-00002.bin'], 'QD-2222'],
  ['a GGUF', ['model.gguf', 'model.pt'], 'QD-2224'],
])('which files are read of %s', (_, names, expected) => {
  let chosen: readonly string[] | string = '';
  const code = codeOf(() => {
    const { sharded, files } = chooseTensorFiles(names);
    chosen = sharded ? 'sharded' : files;
  });
  expect(code === 'no fault' ? chosen : code).toEqual(expected);
});

test('files beside the index: missing and numbered ones are refused, others mentioned', () => {
  const index = indexOf([['t', 'model-00001-of-00001.safetensors']]);
  const own = 'model-00001-of-00001.safetensors';
  expect(codeOf(() => checkShardsPresent(index, []))).toBe('QD-2213');
  const stale = 'model-00002-of-00002.safetensors';
  expect(codeOf(() => checkShardsPresent(index, [own, stale]))).toBe('QD-2214');
  expect(checkShardsPresent(index, [own, 'consolidated.safetensors'])).toHaveLength(1);
  const [notice] = checkShardsPresent(index, [own, 'a\u001b[2J.safetensors']);
  expect(notice).not.toMatch(/\p{Cc}/u);
});

test('a total that differs is mentioned, not refused', () => {
  const places: [string, string][] = [['t', 'a.safetensors']];
  expect(mergeShards(shardsOf(places), indexOf(places, 3)).notices).toHaveLength(1);
});
