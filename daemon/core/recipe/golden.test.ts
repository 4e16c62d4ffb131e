/**
 * Goal: the rules give what llama.cpp gives. Method: fixtures/type-rules-golden.json, the answers
 * of llama.cpp v0.5.0 for ten model shapes and every ftype, without an importance matrix.
 *
 * What the file leaves out is asked of the library itself in cluster-tests/oracle/type-rules.test.ts.
 */

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parseBlockType, parseFtype } from './ftypes.ts';
import { assignTypes, defaultOptions, type RecipeTensor } from './type-rules.ts';

const golden = z.record(
  z.string(),
  z.object({
    desc: z.object({
      arch: z.string(),
      n_embd: z.number(),
      n_ff: z.number(),
      n_layer: z.number(),
      n_head: z.number(),
      n_head_kv: z.number(),
      n_expert: z.number(),
    }),
    names: z.array(z.string()),
    /** `general.file_type` to the type of each name, separated by spaces. */
    ftypes: z.record(z.string(), z.string()),
  }),
);
type GoldenModel = z.infer<typeof golden>[string];

const models = golden.parse(
  JSON.parse(
    readFileSync(new URL('../../../fixtures/type-rules-golden.json', import.meta.url), 'utf8'),
  ),
);

/** The rules look at the row length and the number of experts; other dimensions are free. */
function tensorOf(name: string, { desc }: GoldenModel): RecipeTensor {
  const columns = name.includes('ffn_down') ? desc.n_ff : desc.n_embd;
  const experts = name.includes('_exps') ? [desc.n_expert] : [];
  return { name, shape: [columns, desc.n_embd, ...experts], sourceType: 'F16' };
}

test('every assignment of the golden file', () => {
  let compared = 0;
  const different: string[] = [];
  for (const [title, model] of Object.entries(models)) {
    const { desc, names, ftypes } = model;
    const shape = {
      architecture: desc.arch,
      layers: desc.n_layer,
      heads: desc.n_head,
      kvHeads: desc.n_head_kv,
      experts: desc.n_expert,
    };
    const tensors = names.map((name) => tensorOf(name, model));
    for (const [id, line] of Object.entries(ftypes)) {
      const ftype = parseFtype(id);
      const request = { shape, tensors, ftype, options: defaultOptions, hasImportance: false };
      const found = assignTypes(request).map(({ type }) => type);
      const wanted = line.split(' ').map(parseBlockType);
      expect(found.length).toBe(wanted.length);
      for (const [index, type] of wanted.entries()) {
        compared++;
        if (found[index] !== type) {
          different.push(`${title} ${ftype.name} ${names[index]}: ${type}, not ${found[index]}`);
        }
      }
    }
  }
  console.log(`compared ${compared} assignments`);
  expect(different).toEqual([]);
  expect(compared).toBe(86_148);
});
