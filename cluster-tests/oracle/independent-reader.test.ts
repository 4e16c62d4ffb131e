import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GGMLQuantizationType, GGUFValueType, gguf } from '@huggingface/gguf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectQuantd, makeScratch, mustRunQuantd, parseEvents, type Run } from '../quantd.ts';
import { openOracle, whyNoOracle } from './llama.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));
const names = ['tiny-gemma4', 'tiny-gemma4-k', 'tiny-gemma4-e'];

/** What both readers say of a file, in one form. */
interface Reading {
  readonly metadata: readonly {
    readonly key: string;
    readonly type: string;
    readonly value: string;
  }[];
  readonly tensors: readonly {
    readonly name: string;
    readonly type: string;
    readonly shape: readonly number[];
    readonly offset: number;
  }[];
}

describe('a reader that is not ours', () => {
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let daemon: Awaited<ReturnType<typeof connectQuantd>>;
  beforeAll(async () => {
    scratch = await makeScratch('reader');
    daemon = await connectQuantd(data());
  });
  afterAll(async () => {
    await daemon.close();
    await scratch.remove();
  });
  const data = (): string => join(scratch.path, 'data');
  const run = (words: readonly string[]): Promise<Run> => mustRunQuantd(words, { data: data() });

  // Goal: our files say what we believe they say. Method: Hugging Face's reader and our `inspect`
  // read the same converted and quantized files.
  test.each(names)('and inspect read the same in files made of %s', async (name) => {
    const converted = join(scratch.path, `${name}.gguf`);
    const outputs = join(scratch.path, name);
    const checkpoint = join(fixtures, name);
    const types = ['Q2_K', 'Q4_K_M', 'Q5_1', 'Q8_0'];
    await run(['convert', checkpoint, '--type', 'BF16', '--out', converted]);
    await run(['quantize', checkpoint, '--type', types.join(), '--out', outputs, '--name', name]);
    const files = [converted, ...types.map((type) => join(outputs, `${name}-${type}.gguf`))];
    for (const file of files) {
      const reading = await readByHuggingFace(file);
      expect(reading.tensors.length).toBeGreaterThan(40);
      expect(await inspect(file), file).toEqual(reading);
    }
  });

  // Goal: `inspect` reads the files of others. Method: llama.cpp writes one, and of the same model
  // and type we write another; both readers agree on it, and it says the same as ours.
  test.skipIf(whyNoOracle() !== undefined)('and inspect read a file of llama.cpp', async () => {
    const oracle = openOracle();
    try {
      const checkpoint = join(fixtures, 'tiny-gemma4');
      const input = join(scratch.path, 'source', 'tiny.gguf');
      const theirs = join(scratch.path, 'theirs.gguf');
      const named = ['--name', 'tiny'];
      await run(['convert', checkpoint, '--type', 'BF16', '--out', input, ...named]);
      await oracle.quantize({ input, output: theirs, ftype: 'Q4_K_M' });
      const words = ['--type', 'Q4_K_M', '--out', join(dirname(input), 'outputs'), ...named];
      await run(['quantize', checkpoint, ...words]);
      const ours = join(dirname(input), 'outputs', 'tiny-Q4_K_M.gguf');
      const reading = await inspect(theirs);
      expect(reading).toEqual(await readByHuggingFace(theirs));
      expect(reading).toEqual(await inspect(ours));
    } finally {
      await oracle.close();
    }
  });

  async function inspect(file: string): Promise<Reading> {
    return readReport(parseEvents(await run(['inspect', '--json', file]))[0]);
  }
});

/** `inspect` shows the first elements of an array only, so both readings stop there. */
const ELEMENTS_SHOWN = 8;

async function readByHuggingFace(file: string): Promise<Reading> {
  const options = { allowLocalFile: true, typedMetadata: true } as const;
  const { typedMetadata, tensorInfos, tensorDataOffset } = await gguf(file, options);
  // These three are fields of the header, which this reader counts as metadata.
  const { version, tensor_count, kv_count, ...entries } = typedMetadata;
  expect([version.value, Number(tensor_count.value)]).toEqual([3, tensorInfos.length]);
  expect(Number(kv_count.value)).toBe(Object.keys(entries).length);
  return {
    metadata: Object.entries(entries).map(([key, { type, subType, value }]) => ({
      key,
      type: Array.isArray(value)
        ? `${typeNames[subType ?? type]}[${value.length}]`
        : `${typeNames[type]}`,
      value: show(Array.isArray(value) ? value.slice(0, ELEMENTS_SHOWN) : [value]),
    })),
    tensors: tensorInfos.map(({ name, shape, dtype, offset }) => ({
      name,
      type: GGMLQuantizationType[dtype],
      shape: shape.map(Number),
      offset: Number(tensorDataOffset + offset),
    })),
  };
}

const typeNames: Readonly<Record<GGUFValueType, string>> = {
  [GGUFValueType.UINT8]: 'u8',
  [GGUFValueType.INT8]: 'i8',
  [GGUFValueType.UINT16]: 'u16',
  [GGUFValueType.INT16]: 'i16',
  [GGUFValueType.UINT32]: 'u32',
  [GGUFValueType.INT32]: 'i32',
  [GGUFValueType.FLOAT32]: 'f32',
  [GGUFValueType.BOOL]: 'bool',
  [GGUFValueType.STRING]: 'string',
  [GGUFValueType.ARRAY]: 'array',
  [GGUFValueType.UINT64]: 'u64',
  [GGUFValueType.INT64]: 'i64',
  [GGUFValueType.FLOAT64]: 'f64',
};

/** The parts of the line that `inspect --json` prints which the test looks at. */
interface Inspected {
  readonly metadata: readonly {
    readonly key: string;
    readonly value:
      | {
          readonly type: 'array';
          readonly of: string;
          readonly length: number;
          readonly first: unknown[];
        }
      | { readonly type: string; readonly of?: undefined; readonly value: unknown };
  }[];
  readonly tensors: Reading['tensors'];
}

function readReport(report: unknown): Reading {
  const { metadata, tensors } = report as Inspected;
  return {
    metadata: metadata.map(({ key, value }) => ({
      key,
      type: value.of === undefined ? value.type : `${value.of}[${value.length}]`,
      value: show(value.of === undefined ? [value.value] : value.first),
    })),
    tensors: tensors.map(({ name, type, shape, offset }) => ({ name, type, shape, offset })),
  };
}

function show(values: readonly unknown[]): string {
  return JSON.stringify(values, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}
