/**
 * Goal: a recipe means what it says, in whichever way it is written, and what is wrong with one is
 * told by place. The text goes through smol-toml, as in the program.
 */

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { expect, test } from 'vitest';
import { type QuantizeRequest, quantizeRequest } from '../../../proto/requests.ts';
import { type BlockTypeName, blockTypes } from '../gguf/block-types.ts';
import { canonicalRecipe, plainRecipe, recipeDigest } from './canonical.ts';
import { completeRequest } from './complete-request.ts';
import { ftypes } from './ftypes.ts';
import { readRecipe } from './read-recipe.ts';
import { defaultCalibration, type Recipe } from './recipe.ts';
import { placeIn } from './recipe-schema.ts';
import { renderRecipe } from './render-recipe.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

function read(text: string): Recipe {
  const reading = readRecipe(parse(text), placeIn('r.toml', text));
  if (reading.recipe === undefined) throw new Error(reading.faults.map(String).join('\n'));
  return reading.recipe;
}

/** `CODE line key` of everything that is wrong. */
function wrong(text: string): string[] {
  const reading = readRecipe(parse(text), placeIn('r.toml', text));
  if (reading.recipe !== undefined) return [];
  return reading.faults.map(({ kind, detail }) => `${kind.code} ${detail.line} ${detail.key}`);
}

function asked(options: Partial<QuantizeRequest>): QuantizeRequest {
  return quantizeRequest.parse({ kind: 'quantize', source: '/s', out: '/o', ...options });
}

const digestOf = (recipe: Recipe): string => recipeDigest(recipe, sha256);

const anyType = fc.constantFrom(
  ...Object.keys(blockTypes).filter((name): name is BlockTypeName =>
    Object.hasOwn(blockTypes, name),
  ),
);
const anyTensor = fc.record({
  pattern: fc.constantFrom('ffn_(up|gate)', 'attn_[kv]', 'blk\\.[0-9]\\.', '.', '"quoted"'),
  type: anyType,
});
const anyRecipe: fc.Arbitrary<Recipe> = fc.record(
  {
    outputs: fc.uniqueArray(
      fc.record(
        {
          name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,9}$/),
          ftype: fc.constantFrom(...ftypes),
          options: fc.record(
            {
              tensorTypes: fc.array(anyTensor, { maxLength: 3 }),
              leaveOutputTensor: fc.boolean(),
              pure: fc.boolean(),
              outputTensorType: anyType,
              tokenEmbeddingType: anyType,
            },
            { requiredKeys: ['tensorTypes', 'leaveOutputTensor', 'pure'] },
          ),
          note: fc.constant('for phones: "small" # and quick'),
        },
        { requiredKeys: ['name', 'ftype', 'options'] },
      ),
      { minLength: 1, maxLength: 3, selector: ({ name }) => name.toUpperCase() },
    ),
    name: fc.constant('Größe zählt'),
    calibration: fc
      .record(
        {
          default: fc.boolean(),
          chat: fc.boolean(),
          ctx: fc.integer({ min: 16, max: 4096 }),
          chunks: fc.integer({ min: 1, max: 1000 }),
          fromChunk: fc.integer({ min: 0, max: 9 }),
          minExpertTokens: fc.integer({ min: 1, max: 1000 }),
        },
        { requiredKeys: [] },
      )
      .map((said) => ({ ...defaultCalibration, ...said })),
  },
  { requiredKeys: ['outputs'] },
);

/** The same values with the keys of every table in another order. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, entry]) => [key, turned(entry)]));
}

test('what is written is read again, so that different recipes have different digests', () => {
  fc.assert(
    fc.property(anyRecipe, (recipe) => {
      expect(read(stringify(plainRecipe(recipe)))).toEqual(recipe);
      expect(read(renderRecipe(plainRecipe(recipe)))).toEqual(recipe);
      const again = readRecipe(JSON.parse(canonicalRecipe(recipe)), placeIn(undefined));
      expect(again.recipe).toEqual(recipe);
    }),
    { numRuns: 60 },
  );
});

test('neither comments nor the order of keys count', () => {
  fc.assert(
    fc.property(anyRecipe, (recipe) => {
      const text = stringify(turned(plainRecipe(recipe)) as object)
        .split('\n')
        .map((line) => `${line} # a comment`)
        .join('\n\n');
      expect(digestOf(read(text))).toBe(digestOf(recipe));
    }),
    { numRuns: 60 },
  );
});

test('a recipe and the options that say the same have the same digest', () => {
  fc.assert(
    fc.property(anyRecipe, (recipe) => {
      const [first] = recipe.outputs;
      const { calibration } = recipe;
      if (first === undefined) return;
      const { ftype, options } = first;
      const request = asked({
        types: [ftype.name.toLowerCase()],
        tensorTypes: options.tensorTypes.map(({ pattern, type }) => `${pattern}=${type}`),
        outputTensorType: options.outputTensorType?.toLowerCase(),
        tokenEmbeddingType: options.tokenEmbeddingType,
        leaveOutputTensor: options.leaveOutputTensor,
        pure: options.pure,
        calibration: calibration && { ...calibration, files: [], ppl: true, replicas: 2 },
      });
      const output = { name: ftype.name, ftype, options };
      const same = { outputs: [output], ...(calibration && { calibration }) };
      expect(digestOf(completeRequest(request, undefined).recipe)).toBe(digestOf(same));
    }),
    { numRuns: 60 },
  );
});

test('mixes are as if their tensors stood behind those of the output, in the order of use', () => {
  const mixed = read(`
    recipe = 1
    [mix.attention]
    tensors = [{ pattern = "ATTN_q", type = "q6_k" }]
    [mix.ends]
    tensors = [{ pattern = "blk\\\\.0\\\\.", type = "Q8_0" }]
    [[output]]
    ftype = "Q4_K"
    use = ["ends", "attention"]
    tensors = [{ pattern = "ffn", type = "Q5_K" }]`);
  const written = read(`
    recipe = 1
    [[output]]
    name = "Q4_K_M"
    ftype = "15"
    rules = "llama.cpp"
    pure = false
    [[output.tensors]]
    pattern = 'ffn'
    type = "Q5_K"
    [[output.tensors]]
    pattern = 'blk\\.0\\.'
    type = "Q8_0"
    [[output.tensors]]
    pattern = 'attn_q'
    type = "Q6_K"`);
  expect(canonicalRecipe(mixed)).toBe(
    '{"output":[{"ftype":"Q4_K_M","name":"Q4_K_M","tensors":[{"pattern":"ffn","type":"Q5_K"},' +
      '{"pattern":"blk\\\\.0\\\\.","type":"Q8_0"},{"pattern":"attn_q","type":"Q6_K"}]}],"recipe":1}',
  );
  expect(digestOf(written)).toBe(digestOf(mixed));
  // As sha256sum says of that text.
  expect(digestOf(mixed)).toBe('8cc7ef25334c4b813ff6150b3dc307462670a1c3a359b538932b359bb56f2027');
});

test('everything that is wrong is told, with its place', () => {
  const text = `recipe = 1
titel = "x"
[calibration]
ctx = 1
chunk = 3
[mix."a b"]
tensors = []
[mix.b]
tensors = [{ pattern = "x" }]
[[output]]
ftype = "Q8_0"
output_tensor = "F16"
tensors = [
  { pattern = """
  x""", type = "F16" }, # [[ not a table
  { pattern = 'y', typ = "F16" },
]
[[output]]
name = "a/b"
note = "a\\u202eb"
pure = "yes"`;
  expect(wrong(text).sort()).toEqual(
    [
      'QD-5403 2 titel',
      'QD-5404 4 calibration.ctx',
      'QD-5403 5 calibration.chunk',
      'QD-5404 6 mix."a b"',
      'QD-5405 9 mix.b.tensors[0].type',
      'QD-5403 12 output[0].output_tensor',
      'QD-5403 16 output[0].tensors[1].typ',
      'QD-5405 16 output[0].tensors[1].type',
      'QD-5404 19 output[1].name',
      'QD-5404 20 output[1].note',
      'QD-5404 21 output[1].pure',
      'QD-5405 18 output[1].ftype',
    ].sort(),
  );
});

test('names, types and patterns are told with their place too', () => {
  const text = `recipe = 1
mix.one.tensors = [{pattern = "(", type = "F16"},
                   {pattern = "a", type = "Q9"}]
output = [
  { ftype = "Q4KM" }, { ftype = "F16", use = ["one",
   "tow"] },
  { ftype = "Q8_0", name = "imatrix", output-tensor = "no" },
  { ftype = "Q8_0", name = "a-00001-of-00002" },
  { ftype = "Q5_K_M" },
  { ftype = "q8_0", name = "q5_k_m" } ]`;
  expect(wrong(text)).toEqual([
    'QD-4104 2 mix.one.tensors[0].pattern',
    'QD-4102 3 mix.one.tensors[1].type',
    'QD-4101 5 output[0].ftype',
    'QD-5407 6 output[1].use[1]',
    'QD-4102 7 output[2].output-tensor',
    'QD-5409 7 output[2].name',
    'QD-5409 8 output[3].name',
    'QD-5410 10 output[5]',
  ]);
});

test('of two outputs with one name the later is told, however its type is spelled', () => {
  const outputs = ['Q8_0', 'Q4_K_M', 'q4_k', '15'].map((ftype) => `[[output]]\nftype = "${ftype}"`);
  expect(wrong(`recipe = 1\n${outputs.join('\n')}`)).toEqual([
    'QD-5410 6 output[2]',
    'QD-5410 8 output[3]',
  ]);
});

test.each([
  ['', 'QD-5405 undefined recipe,QD-5405 undefined output'],
  ['recipe = 2\nwhatever = 3', 'QD-5406 1 recipe'],
  ['recipe = "1"', 'QD-5406 1 recipe'],
  ['recipe = 1\noutput = []', 'QD-5404 2 output'],
  ['recipe = 1\noutput = 3', 'QD-5404 2 output'],
  ['recipe = 1\n[output]\nftype = "F16"', 'QD-5404 2 output'],
  ['recipe = 1\n[[output]]\nftype = 1979-05-27', 'QD-5404 3 output[0].ftype'],
  ['recipe = 1\n[[output]]\nftype = "F16"\nrules = "mine"', 'QD-5404 4 output[0].rules'],
])('%j', (text, told) => {
  expect(wrong(text).join()).toBe(told);
});

test('mistyped keys are answered with those that are near', () => {
  const text = 'recipe = 1\n[[output]]\nftype = "F16"\npuer = true';
  const reading = readRecipe(parse(text), placeIn('r.toml', text));
  expect(reading.recipe === undefined && reading.faults[0]?.message).toMatch(
    /QD-5403 .*\(r\.toml, line 4, key output\[0\]\.puer\): "puer"; did you mean pure or rules\?/,
  );
});

test('more patterns than an output may have, counted with its mixes', () => {
  const tensors = Array.from({ length: 200 }, () => '{pattern = "a", type = "F16"}').join();
  const text = `recipe = 1\n[mix.a]\ntensors = [${tensors}]\n[[output]]\nftype = "F16"\nuse = ["a"`;
  expect(wrong(`${text}]`)).toEqual([]);
  expect(wrong(`${text}, "a"]`)).toEqual(['QD-5408 4 output[0]']);
});

const measuring = 'recipe = 1\n[calibration]\nchunks = 50\n[[output]]\nftype = "IQ2_XS"';
const text = { files: [{ path: '/t', given: 't' }] };
const codeOf = (options: object, file?: string): string => {
  const request = quantizeRequest.parse({ kind: 'quantize', source: '/s', out: '/o', ...options });
  try {
    const { recipe } = completeRequest(request, file === undefined ? undefined : read(file));
    return canonicalRecipe(recipe).replace(/,?"output.*/, '');
  } catch (error) {
    return String(error).replace(
      /^FaultError: (QD-\d+).*?(key [\w-]+)?\).*$|^.*?(QD-\d+).*/,
      '$1$3 $2',
    );
  }
};

test.each<[string, object, string | undefined, RegExp]>([
  ['nothing', {}, undefined, /QD-5412/],
  ['an option for no type', { pure: true }, measuring, /QD-5411/],
  ['no text', {}, measuring, /QD-5414/],
  ['a text', { calibration: text }, measuring, /"chunks":50/],
  ['the default text', { calibration: { default: true } }, measuring, /"chunks":50,"default":true/],
  ['the same number', { calibration: { ...text, chunks: 50 } }, measuring, /"chunks":50/],
  ['another number', { calibration: { ...text, chunks: 51 } }, measuring, /QD-5413 key chunks/],
  ['a number it leaves out', { calibration: { ...text, ctx: 64 } }, measuring, /QD-5413 key ctx/],
  ['a matrix instead', { imatrix: { path: '/i', given: 'i' } }, measuring, /^\{$/],
  [
    'measuring beside a recipe',
    { calibration: { ...text, ctx: 64 } },
    'recipe = 1\n[[output]]\nftype = "F16"',
    /"ctx":64/,
  ],
  [
    'a text of its own',
    { calibration: text },
    measuring.replace('chunks = 50', 'default = true'),
    /QD-5413 key default/,
  ],
  [
    'a text that comes along',
    {},
    measuring.replace('chunks = 50', 'default = true'),
    /"default":true/,
  ],
])('beside a recipe: %s', (_, options, file, told) => {
  expect(codeOf(options, file)).toMatch(told);
});
