/**
 * Ggml: the row quantizers of llama.cpp as the oracle of ours, in this process.
 *
 *   floats, type id ──▶ ggml_quantize_chunk of the pinned release ──▶ the bytes to be equal to
 *
 * It aborts the process where a codebook has no entry: keep magnitudes below ORACLE_CODEBOOK_MAX. The
 * first call of a codebook type builds its tables, which takes up to 8 s. The signatures hold for the version of the package in package.json. For models: llama.ts.
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

/** Rows back to back, and how much each column counts. */
export interface OracleRows {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly importance?: Float32Array | undefined;
}

/** Fills `into` with the rows' blocks. */
export type QuantizeRows = (type: number, rows: OracleRows, into: Uint8Array) => void;

/** Codebook types of the oracle are only asked of numbers up to this. */
export const ORACLE_CODEBOOK_MAX = 1e10;

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

let loaded: ReturnType<typeof koffi.load> | undefined;

/** Once: the library ends a process that loads it again. */
function load(): ReturnType<typeof koffi.load> {
  loaded ??= koffi.load(library);
  return loaded;
}

/** Bytes of a row of so many elements in a type, by its number; ask whyNoGgml first. */
export function openRowBytes(): (type: number, columns: number) => number {
  const rowSize: unknown = load().func('size_t ggml_row_size(int type, int64_t elements)');
  assert(typeof rowSize === 'function', 'koffi binds');
  return (type, columns) => Number(rowSize(type, columns));
}

/** Loads the oracle; ask whyNoGgml first. */
export function openGgml(): QuantizeRows {
  const ggml = load();
  const initialize: unknown = ggml.func('void ggml_quantize_init(int type)');
  const quantize: unknown = ggml.func(
    'size_t ggml_quantize_chunk(int type, const float *src, void *dst, int64_t start, int64_t nrows, int64_t n_per_row, const float *imatrix)',
  );
  assert(typeof initialize === 'function' && typeof quantize === 'function', 'koffi binds');
  const initialized = new Set<number>();
  return (type, { values, rows, columns, importance }, into) => {
    assert(values.length === rows * columns, 'rows * columns values');
    assert(importance === undefined || importance.length === columns, 'a weight per column');
    if (!initialized.has(type)) initialize(type);
    initialized.add(type);
    const bytes: unknown = quantize(type, values, into, 0, rows, columns, importance ?? null);
    assert(Number(bytes) === into.length, `the oracle wrote ${bytes} of ${into.length} bytes`);
  };
}
