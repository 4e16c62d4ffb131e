/**
 * Goal: a release of three daemons is made again, to the byte and from its lockfile alone, by one machine
 * with another instruction set and by five daemons; and what its pages tell a reader to type is right.
 * Method: whole processes; that several machines had a part in it is seen in who made how many units, and
 * in who signed them. Every command of the pages is typed as it is printed.
 */

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../cli/client.ts';
import { attestationLine } from '../proto/lockfile.ts';
import { type Daemon, endDaemons } from './cluster.ts';
import { startRun } from './cluster-run.ts';
import { startCoordinator, startWorkers } from './measure-run.ts';
import { openOracle, whyNoOracle } from './oracle/llama.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = 'fixtures/tiny-gemma4';

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let coordinator: Daemon;
let folder: string;
beforeAll(async () => {
  scratch = await makeScratch('release-cluster');
  coordinator = await startCoordinator(scratch.path);
  await startWorkers(scratch.path, coordinator, [{ name: 'a' }, { name: 'b' }]);
});
afterAll(async () => {
  await endDaemons();
  await scratch.remove();
});

const workersOf = (peers: readonly { name: string; units: number }[]): string[] =>
  peers.flatMap(({ name, units }) => (units > 0 ? [name] : [])).sort();

test('three daemons make it', async () => {
  const calibration = ['--calibration', 'default', '--chunks', '4', '--ctx', '64'];
  const words = ['release', SOURCE, '--type', 'Q4_K_M,Q2_K', '--name', 'Tiny', '--json'];
  const run = startRun([...words, ...calibration, '--out', scratch.path], coordinator.data);
  await run.done;
  const placed = run.events.find((event) => event.type === 'placement');
  expect(placed?.peers.map(({ name }) => name)).toEqual(expect.arrayContaining(['a', 'b']));
  folder = join(scratch.path, 'Tiny-GGUF');
  expect(existsSync(join(folder, 'quantd.lock.json.sig'))).toBe(true);
});

test('every machine that made something has signed it', () => {
  const lines = readFileSync(join(folder, 'attestations.ndjson'), 'utf8').trim().split('\n');
  const signers = lines.map((line) => attestationLine.parse(JSON.parse(line)).peer);
  // Both workers, and the coordinator for what follows from the config alone.
  expect(new Set(signers).size).toBe(3);
});

test('one machine makes it again by another instruction set', async () => {
  const words = ['reproduce', join(folder, 'quantd.lock.json'), '--source', SOURCE, '--solo'];
  const run = await mustRunQuantd(words, { environment: { QUANTD_ISA: otherIsa() } });
  expect(run.stdout).toMatch(/^reproduced: Tiny is the same/m);
});

/** Not the one that the daemons have chosen, on the machines that tests run on. */
function otherIsa(): string {
  return process.arch === 'x64' ? 'avx2' : 'scalar';
}

test('five daemons make it again, interrupted and gone on with', async () => {
  await startWorkers(scratch.path, coordinator, [{ name: 'c' }, { name: 'd' }]);
  const words = ['reproduce', folder, '--source', SOURCE, '--json'];
  const first = startRun(words, coordinator.data);
  const accepted = await first.until(({ type }) => type === 'accepted');
  await first.until(({ type }) => type === 'layers' || type === 'plan');
  const number = accepted.type === 'accepted' ? accepted.run : 0;
  await new Client(join(coordinator.data, 'api.sock')).drain(number);
  await expect(first.done).rejects.toThrow('QD-1301');
  const begun = readdirSync(scratch.path).filter((name) => name.startsWith('.quantd-reproduce-'));
  expect(begun.length).toBe(1);

  const second = startRun(words, coordinator.data);
  const { peers } = await second.done;
  // Which of them, and whether all, is for their speeds to say.
  expect(workersOf(peers).length).toBeGreaterThan(1);
  expect(second.events).toContainEqual(
    expect.objectContaining({ type: 'reproduced', isSame: true, differences: 0 }),
  );
  expect(existsSync(join(scratch.path, begun[0] ?? ''))).toBe(false);
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
    const commands = commandsOf(readFileSync(join(folder, page), 'utf8'));
    expect(commands.length).toBeGreaterThanOrEqual(3);
    const programs = join(scratch.path, 'programs');
    await mkdir(programs, { recursive: true });
    await symlink(join(root, 'cli', 'quantd'), join(programs, 'quantd')).catch(() => undefined);
    const env = {
      ...process.env,
      PATH: `${programs}:${process.env['PATH']}`,
      SOURCE: join(root, SOURCE),
      QUANTD_DATA: join(scratch.path, 'reader'),
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
