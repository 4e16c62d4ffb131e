/**
 * Goal: parts and retouched files are what llama.cpp reads and writes. Method: llama.cpp quantizes the
 * same model whole and in our parts, and runs one from our parts and from our retouched file; Hugging
 * Face's reader says what their headers hold.
 */

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GGUFValueType, gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connectQuantd,
  makeScratch,
  mustRunQuantd,
  parseEvents,
  type Run,
  runQuantd,
} from '../quantd.ts';
import { readGguf } from './gguf-file.ts';
import { openOracle, whyNoOracle } from './llama.ts';
import { madeModels, writeMadeGguf } from './made-gguf.ts';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let daemon: Awaited<ReturnType<typeof connectQuantd>>;
/** A model that llama.cpp runs, as the file that its parts are made of. */
let whole: string;
beforeAll(async () => {
  scratch = await makeScratch('split');
  daemon = await connectQuantd(data());
  whole = at('whole.gguf');
  await run('convert', 'fixtures/tiny-gemma4', '--type', 'BF16', '--out', whole);
});
afterAll(async () => {
  await daemon.close();
  await scratch.remove();
});
const at = (...names: string[]): string => join(scratch.path, ...names);
const data = (): string => at('data');
const run = (...words: string[]): Promise<Run> => mustRunQuantd(words, { data: data() });
const isSame = (a: string, b: string): boolean => readFileSync(a).equals(readFileSync(b));
const partsIn = (folder: string): string[] =>
  readdirSync(at(folder))
    .filter((name) => name.endsWith('.gguf'))
    .sort()
    .map((name) => at(folder, name));

/** The files that a run is going to make. */
function plannedFiles(said: Run): readonly { readonly file: string; readonly bytes: number }[] {
  const copy = parseEvents(said).find(({ type }) => type === 'copy');
  if (copy === undefined) throw new Error('nothing is planned');
  return copy['files'] as { file: string; bytes: number }[];
}

async function keysOf(file: string) {
  const { typedMetadata, tensorInfos } = await gguf(file, {
    allowLocalFile: true,
    typedMetadata: true,
  });
  const { version, tensor_count, kv_count, ...keys } = typedMetadata;
  return {
    version,
    keys,
    tensors: tensorInfos.map(({ name }) => name),
    counts: [tensor_count, kv_count],
  };
}

test('the parts of a model, as a reader that is not ours sees them', async () => {
  const words = ['--split-max-size', '2M', '--no-tensor-first-split'];
  const dry = plannedFiles(
    await run('split', whole, '--out', at('dry', 'm'), ...words, '--dry-run', '--json'),
  );
  expect(existsSync(at('dry'))).toBe(false);
  const events = parseEvents(await run('split', whole, '--out', at('sized/'), ...words, '--json'));
  const files = partsIn('sized');
  expect(events.filter(({ type }) => type === 'copied').map(({ path }) => path)).toEqual(files);
  const sizes = files.map((file) => ({ file: basename(file), bytes: readFileSync(file).length }));
  expect(sizes).toEqual(
    dry.map(({ file, bytes }) => ({ file: file.replace('m-', 'whole-'), bytes })),
  );
  const all = await keysOf(whole);
  const parts = await Promise.all(files.map(keysOf));
  expect(parts.flatMap(({ tensors }) => tensors)).toEqual(all.tensors);
  expect(parts[0]?.tensors).toEqual([]);
  parts.forEach(({ keys }, part) => {
    const split = {
      'split.no': { type: GGUFValueType.UINT16, value: part },
      'split.tensors.count': { type: GGUFValueType.INT32, value: all.tensors.length },
      'split.count': { type: GGUFValueType.UINT16, value: files.length },
    };
    // In this order, which is that of llama-gguf-split: the three keys stand last.
    expect(Object.entries(keys)).toEqual(
      Object.entries(part === 0 ? { ...all.keys, ...split } : split),
    );
  });
  await run('merge', files.at(-1) ?? '', '--out', at('merged.gguf'));
  expect(isSame(at('merged.gguf'), whole)).toBe(true);
});

describe.skipIf(whyNoOracle() !== undefined)('llama.cpp', () => {
  const oracle = openOracle();
  afterAll(() => oracle.close());
  const ids = [2, 17, 40, 5, 99, 7];

  test('computes the same from parts as from the whole', async () => {
    await run('split', whole, '--out', at('counted', 'm'), '--split-max-tensors', '37');
    const files = partsIn('counted');
    expect(files).toHaveLength(3);
    const [first = ''] = files;
    expect(await oracle.logits(first, [ids])).toEqual(await oracle.logits(whole, [ids]));
  });

  test('quantizes our parts to parts that we merge to what it makes of the whole', async () => {
    const name = 'eight experts';
    const model = madeModels.find((candidate) => candidate.name === name);
    if (model === undefined) throw new Error(`no model ${name}`);
    const folder = name.replaceAll(' ', '-');
    const made = at(`${folder}-made.gguf`);
    await writeMadeGguf(made, model, 'F16');
    // As it orders tensors; with --keep-split it keeps the order that it finds.
    const input = at(`${folder}.gguf`);
    await oracle.quantize({ input: made, output: input, ftype: 'F16' });
    await run('split', input, '--out', at(folder, 'in'), '--split-max-tensors', '24');
    const [first = '', ...others] = partsIn(folder);
    expect(others.length).toBeGreaterThan(1);
    await oracle.quantize({
      input: first,
      output: at(folder, 'out'),
      ftype: 'Q8_0',
      keepSplit: true,
    });
    const theirs = partsIn(folder).filter((file) => basename(file).startsWith('out'));
    const theirWhole = at(`${folder}-Q8_0.gguf`);
    await oracle.quantize({ input: first, output: theirWhole, ftype: 'Q8_0' });
    await run('merge', theirs[0] ?? '', '--out', at(`${folder}-ours.gguf`));
    expect(isSame(at(`${folder}-ours.gguf`), theirWhole)).toBe(true);
    // And the other way: their whole, cut by us, has in each part what theirs has.
    await run('split', theirWhole, '--out', at(folder, 'cut'), '--split-max-tensors', '24');
    const ours = partsIn(folder).filter((file) => basename(file).startsWith('cut'));
    expect(ours).toHaveLength(theirs.length);
    for (const [part, file] of ours.entries()) {
      const [mine, other] = [await readGguf(file), await readGguf(theirs[part] ?? '')];
      // The three keys of a part stand in another order in what llama-quantize writes.
      const sorted = (entries: typeof mine.metadata): string[] =>
        entries.map(({ key, type, value }) => `${key} ${type} ${String(value)}`).sort();
      expect(sorted(mine.metadata)).toEqual(sorted(other.metadata));
      expect(mine.tensors.map(({ name: tensor, offset }) => [tensor, offset])).toEqual(
        other.tensors.map(({ name: tensor, offset }) => [tensor, offset]),
      );
      expect(
        mine.bytes.subarray(mine.dataStart).equals(other.bytes.subarray(other.dataStart)),
      ).toBe(true);
    }
  });

  test('reads what was retouched, and computes the same', async () => {
    const template = "{% for m in messages %}{{ m['content'] }}ß{% endfor %}\n";
    writeFileSync(at('template.jinja'), template);
    const out = at('retouched.gguf');
    const words = ['--set', 'general.tags=str[]:["a","ä"]', '--set', 'general.license=str:mit'];
    const more = ['--name', 'Another Name', '--chat-template', at('template.jinja')];
    await run('retouch', whole, '--out', out, ...words, ...more);
    const said = new Map(await oracle.metadata(out));
    expect(said.get('general.name')).toBe('Another Name');
    expect(said.get('general.license')).toBe('mit');
    expect(said.get('tokenizer.chat_template')).toBe(template);
    const { keys } = await keysOf(out);
    expect(keys['general.tags']).toMatchObject({ value: ['a', 'ä'] });
    expect(await oracle.logits(out, [ids])).toEqual(await oracle.logits(whole, [ids]));
    // A part is retouched in its place: the others stay as they are, and belong to it.
    const [first = ''] = partsIn('counted');
    await run('retouch', first, '--in-place', '--name', 'Another Name');
    expect(new Map(await oracle.metadata(first)).get('general.name')).toBe('Another Name');
    await run('merge', first, '--out', at('again.gguf'));
    await run('retouch', at('again.gguf'), '--in-place', '--remove', 'general.name');
    expect((await keysOf(at('again.gguf'))).keys['general.name']).toBeUndefined();
  });
});

test.each<readonly [string, () => string[], string]>([
  [
    'a limit in kilobytes',
    () => ['split', whole, '--out', at('x'), '--split-max-size', '9K'],
    '500M',
  ],
  ['no place to go', () => ['retouch', whole, '--name', 'a'], '--in-place'],
  ['nothing to do', () => ['retouch', whole, '--in-place'], 'QD-3412'],
])('%s is refused', async (_, words, said) => {
  const { code, stdout, stderr } = await runQuantd(words(), { data: data() });
  expect(stdout + stderr).toContain(said);
  expect(code).toBe(2);
});
