/**
 * The long comparison of the quantizers with llama.cpp: at least 50 million weights per type,
 * without importance and with it.
 *
 *   node cluster-tests/oracle/quantizers-long.mjs [--write] [--isa=scalar] [--types=Q4_K,…]
 *       [--weights=50000000]
 *
 * Prints a table; --write also puts it into docs/quantizers-result.md. Bundles quantizers-long.ts,
 * which is the comparison itself, because Node 20 does not read TypeScript.
 */

import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (name) => fileURLToPath(new URL(name, import.meta.url));
// As deep below the root as the source is, since paths are relative to the file.
const outfile = at('../../build/tests/quantizers-long.mjs');
await build({
  entryPoints: [at('quantizers-long.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
  outfile,
});
await import(pathToFileURL(outfile).href);
