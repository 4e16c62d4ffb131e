/**
 * Type rules ask: which types llama.cpp gives to the tensors of a model.
 *
 *   TypeRequest ──▶ ask ──▶ a type for each tensor  (read next: type-rules-oracle.mjs)
 */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import {
  type BlockTypeName,
  blockTypeById,
  blockTypes,
} from '../../daemon/core/gguf/block-types.ts';
import type { TypeRequest } from '../../daemon/core/recipe/type-rules.ts';
import { assert } from '../../proto/assert.ts';

const child = fileURLToPath(new URL('./type-rules-oracle.mjs', import.meta.url));
const directory = fileURLToPath(
  new URL('../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64', import.meta.url),
);
/** What the child writes: numbers of types. */
export const answersOf = z.array(z.array(z.number()));

/** The child's answers, and how it ended. */
export function runChild(work: object): SpawnSyncReturns<string> {
  const answerBytesMax = 256 * 1024 * 1024;
  return spawnSync(process.execPath, [child], {
    input: JSON.stringify({ directory, questions: [], files: [], ...work }),
    // What it says on stderr is thousands of lines of progress.
    stdio: ['pipe', 'pipe', 'ignore'],
    encoding: 'utf8',
    maxBuffer: answerBytesMax,
    env: { ...process.env, GGML_NO_BACKTRACE: '1' },
  });
}

const idOf = (type: BlockTypeName | undefined) => (type === undefined ? type : blockTypes[type].id);

/** A request in the oracle's numbers. */
export function questionOf({ shape, tensors, ftype, options }: TypeRequest) {
  return {
    shape,
    ftype: ftype.id,
    tensors: tensors.map((tensor) => ({ ...tensor, sourceType: idOf(tensor.sourceType) })),
    options: {
      ...options,
      outputTensorType: idOf(options.outputTensorType),
      tokenEmbeddingType: idOf(options.tokenEmbeddingType),
      tensorTypes: options.tensorTypes.map(({ pattern, type }) => ({ pattern, type: idOf(type) })),
    },
  };
}

/** The type of each tensor of each request, which must be none that it refuses. */
export function ask(requests: readonly TypeRequest[]): readonly (readonly BlockTypeName[])[] {
  const { stdout, status } = runChild({ questions: requests.map(questionOf) });
  assert(status === 0, `llama.cpp refused a request: ${status}`);
  return answersOf.parse(JSON.parse(stdout)).map((types) =>
    types.map((id) => {
      const name = blockTypeById(id);
      assert(name !== undefined, `llama.cpp answered with type ${id}`);
      return name;
    }),
  );
}
