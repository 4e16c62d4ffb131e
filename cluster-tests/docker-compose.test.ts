/** That compose.yaml is one, and agrees with the Dockerfile, as far as can be seen without Docker. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDockerfile } from './docker-image.ts';
import { makeScratch } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(join(root, 'docker/compose.yaml'), 'utf8');

let scratch: Awaited<ReturnType<typeof makeScratch>>;
beforeAll(async () => {
  scratch = await makeScratch('compose');
});
afterAll(() => scratch.remove());

/** Errors against the schema of the specification; warnings are of taste. */
function lint(compose: string): { status: number | null; stdout: string } {
  const file = join(scratch.path, 'compose.yaml');
  writeFileSync(file, compose);
  const linter = join(root, 'node_modules/dclint/bin/dclint.cjs');
  // From the scratch directory, so that no settings are found.
  return spawnSync(process.execPath, [linter, '--quiet', file], {
    cwd: scratch.path,
    encoding: 'utf8',
  });
}

test('compose.yaml keeps to the schema', () => {
  const { status, stdout } = lint(text);
  expect(stdout.trim()).toBe('');
  expect(status).toBe(0);
});

test('the schema sees what is wrong', () => {
  const misspelt = lint(text.replace('cap_drop:', 'cap_dropp:'));
  expect(misspelt.stdout).toContain('must NOT have additional properties');
  expect(lint(text.replace('service_healthy', 'service_heathy')).status).not.toBe(0);
});

test('every port that compose.yaml names is the one of the image', () => {
  const exposed = parseDockerfile(readFileSync(join(root, 'docker/Dockerfile'), 'utf8'))
    .filter(({ name }) => name === 'EXPOSE')
    .map(({ text: port }) => port);
  const named = [...text.matchAll(/0\.0\.0\.0:(\d+)/g)].map(([, port]) => port);
  expect(named.length).toBeGreaterThan(0);
  expect([...new Set(named)]).toEqual(exposed);
});
