import { expect, test, vi } from 'vitest';
import { builtSets, leftOutLines, printLeftOut } from './left-out-sets.ts';

test('a set that was built and does not run has its line', () => {
  expect(leftOutLines(['scalar', 'avx2', 'avx512'], ['avx2', 'scalar'])).toEqual([
    'avx512: left out: CPU',
  ]);
  expect(leftOutLines(['scalar'], ['scalar'])).toEqual([]);
});

// Goal: the line is printed for what the addon really holds. Method: a CPU that runs none of it.
test('the sets of the addon itself are named', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  printLeftOut([]);
  const lines = warn.mock.calls.flat();
  warn.mockRestore();
  expect(lines).toContain('scalar: left out: CPU');
  expect(lines).toHaveLength(builtSets().length);
});
