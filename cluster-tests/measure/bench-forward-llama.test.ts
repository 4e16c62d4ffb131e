import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { whyNoOracle } from '../oracle/llama.ts';

const script = fileURLToPath(new URL('../../scripts/bench-forward-llama.mjs', import.meta.url));

// Goal: the benchmark of llama.cpp's products still runs, and they are the products that it says.
// Method: small shapes, which it compares with binary64 before it times them; no time is looked at.
test.skipIf(whyNoOracle() !== undefined)('products of llama.cpp are measured', async () => {
  const words = ['--smoke', '--cpu', 'x64', '--threads', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...words]);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly shape: string; readonly gflops: number });
  expect(rows.map(({ shape }) => shape)).toEqual(['dense', 'gate-up', 'down']);
  expect(rows.every(({ gflops }) => gflops >= 0)).toBe(true);
});
