/**
 * Goal: the type rules agree with llama.cpp where the golden file says nothing: overrides, --pure,
 * Gemma 4's tensors and row lengths, models nobody has. Method: ask llama.cpp v0.5.0 about random
 * requests (its rules alone) and about small files (the whole quantizer, with importance).
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  type BlockTypeName,
  blockTypeById,
  blockTypes,
} from '../../daemon/core/gguf/block-types.ts';
import type { ModelShape } from '../../daemon/core/models/family.ts';
import { type Ftype, ftypes, parseFtype } from '../../daemon/core/recipe/ftypes.ts';
import { parseTensorTypeOption } from '../../daemon/core/recipe/overrides.ts';
import { requirementsOf } from '../../daemon/core/recipe/requirements.ts';
import {
  assignTypes,
  defaultOptions,
  type RecipeTensor,
  type TypeRequest,
} from '../../daemon/core/recipe/type-rules.ts';
import { FaultError } from '../../proto/fault.ts';
import { whyNoOracle } from './llama.ts';
import { ask, questionOf, runChild } from './type-rules-ask.ts';
import { modelFile } from './type-rules-file.ts';
import {
  anyRequest,
  gemma4Shape,
  gemma4Tensors,
  llamaTensors,
  tensor,
} from './type-rules-models.ts';

/** With SEED the random requests of an earlier run come back. */
const { SEED } = process.env;
const seed = Number(SEED ?? 20_261_122);

/** Our types, or the code of the fault that refuses the request. */
function ours(request: TypeRequest): readonly BlockTypeName[] | string {
  try {
    return assignTypes(request).map(({ type }) => type);
  } catch (error) {
    if (error instanceof FaultError) return error.kind.code;
    throw error;
  }
}

/** Compares all requests that we do not refuse; the library would end on the others. */
function compare(requests: readonly TypeRequest[]): { assignments: number; refused: number } {
  const accepted = requests.filter((request) => typeof ours(request) !== 'string');
  const answers = ask(accepted);
  let assignments = 0;
  const different: string[] = [];
  for (const [index, request] of accepted.entries()) {
    for (const [place, type] of assignTypes(request).entries()) {
      assignments++;
      const wanted = answers[index]?.[place];
      if (type.type !== wanted) {
        const { name, shape } = request.tensors[place] ?? { name: '?', shape: [] };
        const about = JSON.stringify({ shape: request.shape, options: request.options });
        different.push(
          `${request.ftype.name} ${name} [${shape}]: ${wanted}, not ${type.type}: ${about}`,
        );
      }
    }
  }
  expect(different.slice(0, 10)).toEqual([]);
  return { assignments, refused: requests.length - accepted.length };
}

describe.skipIf(whyNoOracle() !== undefined)('the type rules and llama.cpp', () => {
  test('agree on random requests', () => {
    const requests = fc.sample(anyRequest, { numRuns: 1000, seed });
    const { assignments, refused } = compare(requests);
    console.log(`seed ${seed}: ${assignments} assignments, ${refused} requests refused`);
    expect(assignments).toBeGreaterThan(200_000);
    expect(refused).toBeLessThan(requests.length / 2);
  });

  test('agree on Gemma 4 with every ftype and override', () => {
    const overrides: readonly TypeRequest['options'][] = [
      defaultOptions,
      { ...defaultOptions, pure: true },
      { ...defaultOptions, outputTensorType: 'Q8_0' },
      { ...defaultOptions, tokenEmbeddingType: 'Q5_1' },
      { ...defaultOptions, outputTensorType: 'Q8_0', tokenEmbeddingType: 'Q4_0' },
      { ...defaultOptions, leaveOutputTensor: true },
      {
        ...defaultOptions,
        tensorTypes: [
          { pattern: 'blk\\.[0-4]\\.ffn_down', type: 'Q8_0' },
          { pattern: 'ffn_down', type: 'Q6_K' },
        ],
      },
    ];
    const requests = [30, 16].flatMap((layers) =>
      [128, 0].flatMap((experts) =>
        ftypes.flatMap((ftype) =>
          overrides.map((options) => ({
            shape: gemma4Shape(layers, experts),
            tensors: gemma4Tensors(layers, experts > 0),
            ftype,
            options,
            hasImportance: false,
          })),
        ),
      ),
    );
    const { assignments, refused } = compare(requests);
    console.log(`${assignments} assignments, ${refused} requests refused`);
    // Q1_0's blocks of 128 divide neither 2112 nor 704, except where ffn_down is overridden.
    expect(refused).toBe(24);
  });

  test('refuse the same requests', () => {
    const base = { ftype: parseFtype('Q4_K_M'), options: defaultOptions, hasImportance: false };
    const shape = gemma4Shape(4, 128);
    const refused: readonly TypeRequest[] = [
      {
        ...base,
        shape,
        tensors: [tensor('blk.0.attn_q.weight', 96, 4)],
        options: { ...defaultOptions, tensorTypes: [{ pattern: 'attn', type: 'NVFP4' }] },
      },
      {
        ...base,
        shape,
        tensors: [tensor('blk.0.attn_q.weight', 64, 4)],
        ftype: parseFtype('Q1_0'),
      },
      { ...base, shape, tensors: [tensor('blk.4.ffn_down.weight', 256, 4)] },
      { ...base, shape, tensors: [tensor('ffn_up.weight', 256, 4)], ftype: parseFtype('Q6_K') },
    ];
    for (const request of refused) {
      expect(ours(request)).toMatch(/^QD-410[56]$/);
      expect(runChild({ questions: [questionOf(request)] }).status).not.toBe(0);
    }
    const { tensors, ...rest } = {
      ...base,
      shape,
      tensors: [tensor('blk.3.ffn_up.weight', 256, 4)],
    };
    expect(runChild({ questions: [questionOf({ ...rest, tensors })] }).status).toBe(0);
  });

  test('fall back alike from every block type', () => {
    const types = ggmlTypes.filter((type) => blockTypes[type].quantized);
    const requests = [48, 64, 96, 100].flatMap((columns) =>
      types.map((type) => ({
        shape: gemma4Shape(2, 0),
        tensors: [tensor('blk.0.attn_q.weight', columns, 4)],
        ftype: parseFtype('Q4_K_M'),
        options: { ...defaultOptions, tensorTypes: [{ pattern: 'attn', type }] },
        hasImportance: false,
      })),
    );
    compare(requests);
    const refused = requests.filter((request) => typeof ours(request) === 'string');
    for (const request of refused) {
      expect(runChild({ questions: [questionOf(request)] }).status).not.toBe(0);
    }
    const withoutFallback = refused.map(({ options }) => options.tensorTypes[0]?.type);
    expect(new Set(withoutFallback)).toEqual(new Set(['Q8_K', 'NVFP4', 'Q1_0']));
  });

  test('agree on whole files with importance', async () => {
    const llama = { architecture: 'llama', layers: 16, heads: 8, kvHeads: 8, experts: 0 };
    const request = (shape: ModelShape, ftype: Ftype): TypeRequest => ({
      shape,
      tensors: llamaTensors(shape.layers, shape.experts),
      ftype,
      options: defaultOptions,
      hasImportance: true,
    });
    // The first five ask whether there is importance. For the others it was once compared for every
    // ftype that it makes no difference; that takes long, for the coarse types' tables are large.
    const asking = ['IQ3_XXS', 'IQ4_NL', 'IQ4_XS', 'Q4_0', 'Q5_0'].map(parseFtype);
    const others = ['Q2_K_S', 'Q3_K_M', 'Q4_K_M', 'IQ2_S'].map(parseFtype);
    const refused = await compareFiles([
      ...[...asking, ...others].map((ftype) => request(llama, ftype)),
      ...asking.map((ftype) => request({ ...llama, kvHeads: 2, experts: 8 }, ftype)),
      ...asking.map((ftype) => request({ ...llama, architecture: 'falcon', layers: 32 }, ftype)),
    ]);
    expect(refused).toEqual([]);
  });

  test('agree on whole files without importance, and on which there can be none of', async () => {
    const shape = { architecture: 'llama', layers: 8, heads: 8, kvHeads: 4, experts: 0 };
    const tensors = llamaTensors(shape.layers, 0);
    const refused = await compareFiles(
      ftypes.map((ftype) => ({
        shape,
        tensors,
        ftype,
        options: defaultOptions,
        hasImportance: false,
      })),
    );
    const wanting = ftypes.filter((ftype) => requirementsOf(ftype).needsImportance);
    expect(refused).toEqual(wanting.map(({ name }) => name));
    expect(wanting.length).toBeGreaterThan(0);
  });

  test('read patterns alike', () => {
    const names = [
      'blk.0.attn_q',
      'blk.1.ffn_up',
      'token_embd',
      'blk.0.x-a]b',
      'blk.0.{a}',
      'a[:]',
    ];
    const tensors = names.map((name) => tensor(`${name}.weight`, 256, 2));
    const shape = gemma4Shape(2, 0);
    const accepted = dialect.filter((pattern) => isAccepted(pattern));
    expect(accepted.length).toBeGreaterThan(30);
    compare(
      accepted.map((pattern) => ({
        shape,
        tensors,
        ftype: parseFtype('Q8_0'),
        options: { ...defaultOptions, tensorTypes: [{ pattern, type: 'Q5_0' }] },
        hasImportance: false,
      })),
    );
  });

  test('agree on which models are of 70 billion weights', async () => {
    const base = { ftype: parseFtype('Q4_K_S'), options: defaultOptions, hasImportance: false };
    const architectures = { llama: 80, qwen2: 80, jais2: 68, deci: 80, qwen3: 80 };
    const refused = await compareFiles(
      Object.entries(architectures).flatMap(([architecture, most]) =>
        [most, most - 1].map((layers) => ({
          ...base,
          shape: { architecture, layers, heads: 8, kvHeads: 4, experts: 0 },
          tensors: llamaTensors(layers, 0),
        })),
      ),
    );
    expect(refused).toEqual([]);
  });
});

const ggmlTypes = Object.keys(blockTypes).filter((name): name is BlockTypeName =>
  Object.hasOwn(blockTypes, name),
);

// Every corner of the grammar in which C++ and JavaScript are known to differ, and some plain ones.
const dialect: readonly string[] = [
  ...['a{', 'a}', ']', 'a{,2}', '\\_', '\\e', '\\ca', '\\x61', '\\u0061', '\\0', '[a-]', '[\\d-x]'],
  ...[
    '[z-a]',
    '(',
    ')',
    '*a',
    'a**',
    'a+?',
    '(?:a)',
    '\\1',
    '(a)\\1',
    '[a-\\d]',
    'x{2}',
    '^*',
    '$+',
  ],
  ...[
    '(?=a)*',
    '\\b+',
    'a||b',
    '()',
    '|a',
    '[\\b]',
    '\\-',
    '[^\\s]',
    '\\p{l}',
    '\\k',
    'a{1',
    'a{1,',
  ],
  ...['a{2,1}', '[]', '[^]', '[]a]', '(?<n>a)', '(?<=k)e', '[[:digit:]]', '[[:alpha:]_]k', '(?!x)'],
  ...[
    '(?=)',
    't{1}?',
    't{1}*',
    '\\8',
    '[a',
    '\\',
    '[\\]',
    't.{0,}w',
    '\\/',
    '(?i)a',
    '[-a]',
    '[a-c-e]',
  ],
  ...[
    '[--/]',
    '{',
    '}',
    'a{1}{2}',
    '\\b',
    '\\w\\W',
    '[\\w.]',
    '\\t\\v\\f',
    '\\z',
    '[\\z]',
    '[\\.]',
  ],
  ...[
    '(a|b)*?t',
    '(?:)',
    'x*',
    '((((t))))',
    '$t',
    't$$',
    '^^b',
    '\\x6',
    '\\u61',
    '\\c',
    '\\01',
    '[\\0]',
  ],
  ...[
    '[\\1]',
    '[[a]',
    '[a[]',
    '[[]',
    '[a]]',
    '[.]',
    '[=]',
    '[:]',
    '[:a:]',
    '[[.a.]]',
    '[^^]',
    '\\u{61}',
  ],
  ...['blk\\.[0-9]+\\.ffn_(up|gate)', 'attn_[qkv]', '^token_embd\\.weight$', 'blk\\.(0|1)\\.'],
];

function isAccepted(pattern: string): boolean {
  try {
    parseTensorTypeOption(`${pattern}=q5_0`);
    return true;
  } catch (error) {
    if (error instanceof FaultError) return false;
    throw error;
  }
}

/**
 * Lets llama.cpp quantize a small file for each request and reads the types it wrote.
 * @returns the ftypes that it refused
 */
async function compareFiles(requests: readonly TypeRequest[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'type-rules-'));
  try {
    const files = requests.map((request, index) => {
      const input = join(folder, `${index}.in.gguf`);
      writeFileSync(input, modelFile(request.shape, request.tensors));
      const { ftype, options } = questionOf(request);
      const importance = request.hasImportance ? importanceOf(request.tensors) : undefined;
      return {
        input,
        output: join(folder, `${index}.gguf`),
        ftype,
        options: { ...options, importance },
      };
    });
    const { stdout, status } = runChild({ files });
    expect(status).toBe(0);
    const codes = z.array(z.number()).parse(JSON.parse(stdout));
    const refused: string[] = [];
    let compared = 0;
    for (const [index, { output }] of files.entries()) {
      const request = requests[index];
      if (request === undefined) throw new Error('there is a request for every file');
      if (codes[index] === 0) compared += await compareFile(request, output);
      else refused.push(request.ftype.name);
    }
    console.log(`${files.length - refused.length} files, ${compared} assignments`);
    return refused;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compareFile(request: TypeRequest, output: string): Promise<number> {
  const { tensorInfos } = await gguf(output, { allowLocalFile: true });
  const assignments = assignTypes(request);
  const title = `${request.ftype.name} of ${JSON.stringify(request.shape)}`;
  expect(tensorInfos.map(({ name }) => name)).toEqual(request.tensors.map(({ name }) => name));
  expect(
    tensorInfos.map(({ name, dtype }) => `${name} ${blockTypeById(dtype)}`),
    title,
  ).toEqual(tensorInfos.map(({ name }, index) => `${name} ${assignments[index]?.type}`));
  return tensorInfos.length;
}

function importanceOf(tensors: readonly RecipeTensor[]) {
  return tensors.map(({ name, shape: [columns = 1, , experts = 1] }) => ({
    name,
    count: columns * experts,
  }));
}
