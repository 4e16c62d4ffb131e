// Simulate: runs of a cluster in a world that a seed makes, faults and all.
//   npm run simulate -- --seed N             one seed, event by event
//   npm run simulate -- --from N --count N   many; only those that fail are told
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (name) => fileURLToPath(new URL(name, import.meta.url));
// Bundled because Node 20 does not read TypeScript.
const outfile = at('../build/tests/simulator.mjs');
await build({
  entryPoints: [at('../cluster-tests/simulator/main.ts')],
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  sourcemap: 'inline',
  logLevel: 'warning',
  outfile,
});
process.setSourceMapsEnabled(true);
await import(pathToFileURL(outfile).href);
