// Simulate: runs of a cluster in a world that a seed makes, faults and all.
//   npm run simulate -- --seed N             one seed, event by event
//   npm run simulate -- --from N --count N   many; only those that fail are told
//   npm run simulate -- --measure …          the same of measurements
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const at = (name) => fileURLToPath(new URL(name, import.meta.url));
// Bundled because Node 20 does not read TypeScript.
const part = process.argv.includes('--measure') ? 'measure-world' : 'simulator';
const outfile = at(`../build/tests/${part}.mjs`);
await build({
  entryPoints: [at(`../cluster-tests/${part}/main.ts`)],
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
