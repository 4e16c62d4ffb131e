/**
 * Goal: a release is one function. Method: the folder that three daemons made of the trained model is
 * made again from its lockfile by one daemon on AVX2 and by five; and what the pages of the folder tell
 * a reader to type is typed.
 */

import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lockFile } from '../proto/lockfile.ts';
import { connectedNames, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { openOracle, whyNoOracle } from './oracle/llama.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'fixtures', 'tiny-gemma4');
const words = ['--type', 'Q2_K,Q4_K_M', '--name', 'Tiny', '--calibration', 'default'];
const chunks = ['--chunks', '6', '--ctx', '64'];

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let coordinator: Awaited<ReturnType<typeof startDaemon>>;
let folder: string;
const data = (name: string): string => join(scratch.path, name);
const lockPath = (): string => join(folder, 'quantd.lock.json');

async function joinAs(name: string): Promise<void> {
  await startDaemon(['join', coordinator.token, '--name', name, '--threads', '1'], {
    data: data(name),
  });
}

beforeAll(async () => {
  scratch = await makeScratch('release-cluster');
  const up = ['up', '--name', 'nas', '--listen', '127.0.0.1:0', '--threads', '0'];
  coordinator = await startDaemon(up, { data: data('nas') });
  await Promise.all(['a', 'b'].map(joinAs));
  await untilCluster(coordinator, (view) => connectedNames(view).length === 2, 'three');
  const out = ['--out', scratch.path];
  await mustRunQuantd(['release', source, ...words, ...chunks, ...out], { data: data('nas') });
  folder = join(scratch.path, 'Tiny-GGUF');
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

test('both workers had a part in it, and signed what they made', async () => {
  const { run } = lockFile.parse(JSON.parse(await readFile(lockPath(), 'utf8')));
  expect(run.peers.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b']));
  const lines = (await readFile(join(folder, 'attestations.ndjson'), 'utf8')).trim().split('\n');
  const peers = lines.map((line) => (JSON.parse(line) as { peer: string }).peer);
  // The coordinator makes what follows from the config alone.
  expect(new Set(peers).size).toBe(run.peers.length);
});

test('one daemon on AVX2 makes it again', async () => {
  const environment = process.arch === 'x64' ? { QUANTD_ISA: 'avx2' } : {};
  const again = ['reproduce', lockPath(), '--source', source, '--solo'];
  const { stdout } = await mustRunQuantd(again, { data: data('alone'), environment });
  expect(stdout).toContain('reproduced');
});

test('five daemons make it again', async () => {
  await Promise.all(['c', 'd'].map(joinAs));
  await untilCluster(coordinator, (view) => connectedNames(view).length === 4, 'five');
  const again = ['reproduce', lockPath(), '--source', source];
  const { stdout } = await mustRunQuantd(again, { data: data('nas') });
  expect(stdout).toContain('reproduced');
});

/** The lines of every block that a page marks as commands. */
function commandsOf(page: string): string[] {
  return [...page.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = '']) =>
    block.split('\n').filter((line) => line !== ''),
  );
}

describe('every command as it is printed', () => {
  const oracle = openOracle();
  afterAll(() => oracle.close());
  /** Both pages name the command that compares. */
  const run = new Set<string>();

  test.each(['README.md', 'REPRODUCE.md'])('in %s', async (page) => {
    const commands = commandsOf(await readFile(join(folder, page), 'utf8'));
    expect(commands.length).toBeGreaterThanOrEqual(3);
    const programs = data('programs');
    await mkdir(programs, { recursive: true });
    await symlink(join(root, 'cli', 'quantd'), join(programs, 'quantd')).catch(() => undefined);
    const env = {
      ...process.env,
      PATH: `${programs}:${process.env['PATH']}`,
      SOURCE: source,
      QUANTD_DATA: data('reader'),
    };
    for (const command of commands.filter((each) => !run.has(each))) {
      run.add(command);
      if (command.startsWith('llama-cli')) await completeWithLlama(command);
      else await promisify(execFile)('bash', ['-ec', command], { cwd: folder, env });
    }
  });

  /** There is no llama-cli in the registry: its library loads the file and goes on with the text. */
  async function completeWithLlama(command: string): Promise<void> {
    const [, file = '', text = ''] = /^llama-cli -m (\S+) -n \d+ -p "([^"]+)"$/.exec(command) ?? [];
    expect(text).not.toBe('');
    if (whyNoOracle() !== undefined) return;
    const [ids = []] = await oracle.tokenize(join(folder, file), [text]);
    const [rows = []] = await oracle.allLogits(join(folder, file), [ids]);
    expect(rows).toHaveLength(ids.length);
    expect([...(rows.at(-1) ?? [])].every(Number.isFinite)).toBe(true);
  }
});
