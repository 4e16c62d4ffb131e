import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { expect, test } from 'vitest';

/** Runs a guarded process that throws, from a timer, an error of the given name. */
function thrown(name: string): { status: number | null; stdout: string; stderr: string } {
  const program = `
    import { guardLateStreamErrors } from './late-stream-errors.ts';
    guardLateStreamErrors();
    setTimeout(() => console.log('went on'), 100);
    setTimeout(() => {
      throw Object.assign(new Error('from a listener'), { name: '${name}' });
    }, 1);
  `;
  const { outputFiles } = buildSync({
    stdin: { contents: program, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    platform: 'node',
    format: 'esm',
    write: false,
  });
  const code = outputFiles[0]?.text ?? '';
  const options = ['--input-type=module', '--eval', code];
  return spawnSync(process.execPath, options, { encoding: 'utf8' });
}

test('a stream that was closed by the far end is no reason to die', () => {
  expect(thrown('StreamStateError')).toMatchObject({ status: 0, stdout: 'went on\n' });
});

test('any other error is', () => {
  const { status, stdout, stderr } = thrown('TypeError');
  expect(status).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('from a listener');
});
