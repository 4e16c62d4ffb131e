/**
 * Ggml: the row quantizers of llama.cpp as the oracle of ours, in this process.
 *
 *   floats, type id ──▶ ggml_quantize_chunk of the pinned release ──▶ the bytes to be equal to
 *
 * The types of this version never abort on finite input, so no child process is needed. The
 * signatures hold for the version of the package in package.json. For models: llama.ts.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { assert } from '../../proto/assert.ts';

const library = fileURLToPath(
  new URL(
    '../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
    import.meta.url,
  ),
);

/** Fills `into` with the rows' blocks; both are back to back. */
export type QuantizeRows = (
  type: number,
  values: Float32Array,
  rows: number,
  columns: number,
  into: Uint8Array,
) => void;

/** Why there is no oracle here; undefined when there is. Under CI its absence is a failure. */
export function whyNoGgml(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return mustHave(`no llama.cpp package for ${process.platform}-${process.arch}`);
  }
  return existsSync(library) ? undefined : mustHave('@node-llama-cpp/linux-x64 is not installed');
}

function mustHave(why: string): string {
  assert(process.env['CI'] === undefined, `CI needs the oracle: ${why}`);
  return why;
}

/** Loads the oracle; ask whyNoGgml first. */
export function openGgml(): QuantizeRows {
  const ggml = koffi.load(library);
  const initialize: unknown = ggml.func('void ggml_quantize_init(int type)');
  const quantize: unknown = ggml.func(
    'size_t ggml_quantize_chunk(int type, const float *src, void *dst, int64_t start, int64_t nrows, int64_t n_per_row, const float *imatrix)',
  );
  assert(typeof initialize === 'function' && typeof quantize === 'function', 'koffi binds');
  const initialized = new Set<number>();
  return (type, values, rows, columns, into) => {
    assert(values.length === rows * columns, 'rows * columns values');
    if (!initialized.has(type)) initialize(type);
    initialized.add(type);
    const bytes: unknown = quantize(type, values, into, 0, rows, columns, null);
    assert(Number(bytes) === into.length, `the oracle wrote ${bytes} of ${into.length} bytes`);
  };
}
