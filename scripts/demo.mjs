// Demo: installs, builds, and makes three GGUFs of the embedded model.
import { fileURLToPath } from 'node:url';
import { runOrExit, setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

await setup();
console.log('\n$ quantd quantize fixtures/tiny-gemma4 --type Q4_K_M,Q5_K_M,Q8_0 --out out');
runOrExit(process.execPath, [
  'cli/quantd',
  'quantize',
  'fixtures/tiny-gemma4',
  ...['--type', 'Q4_K_M,Q5_K_M,Q8_0'],
  ...['--out', 'out'],
  ...['--name', 'tiny-gemma4'],
  // In the project's own build directory, so that a demo leaves nothing elsewhere.
  ...['--data', `${root}/build/demo`],
  '--solo',
  '--overwrite',
]);
console.log(`
Next:
  cli/quantd inspect out/tiny-gemma4-Q4_K_M.gguf         what is in a file
  cli/quantd quantize SOURCE --type Q4_K_M --out DIR     your own checkpoint
  cli/quantd up                                          a daemon that stays
  npm test                                               compare with llama.cpp
`);
