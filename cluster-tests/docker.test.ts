/**
 * Goal: the image builds, and what is in it makes the same bytes as here, as a plain user. Method:
 * the Dockerfile is followed without Docker (docker-image.ts), since no engine runs where the tests
 * run; compose.yaml, which needs one, is held against the schema of its specification.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { chown, cp, mkdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readServices, type Service } from './docker-compose.ts';
import {
  buildImage,
  type ContainerOptions,
  type Image,
  MirrorError,
  prefixOf,
  whyNoImages,
} from './docker-image.ts';
import { lendObjects } from './docker-objects.ts';
import { type Host, makeNetwork, whyNoNamespaces } from './namespaces.ts';
import { requireOrSkip } from './privileges.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };
const NAME = /^quantd-image-(\d+)-/;
const PLAIN_USER = 1000;

/** Removes what killed runs of this test have left: it is large. */
function sweepStale(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = NAME.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A process in the image, by the words that Docker would start. */
function start(image: Image, words: readonly string[], options?: ContainerOptions): ChildProcess {
  const [command = '', ...args] = [...prefixOf(image, options), ...words];
  return spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

async function run(
  image: Image,
  words: readonly string[],
  options?: ContainerOptions,
): Promise<{ code: number; said: string }> {
  const [command = '', ...args] = [...prefixOf(image, options), ...words];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number];
  return { code, said };
}

const sha256 = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

describe.skipIf(requireOrSkip('the image', whyNoImages()))('the image', () => {
  let scratch: Awaited<ReturnType<typeof makeScratch>>;
  let image: Image;
  let leftOut = false;
  const models = (): string => join(image.root, 'models');

  // A Debian of its own, a compiler, the packages and every kernel: minutes on a busy machine.
  beforeAll(async () => {
    sweepStale();
    scratch = await makeScratch(`image-${process.pid}`);
    try {
      image = await buildImage({
        dockerfile: read('docker/Dockerfile'),
        ignore: read('docker/Dockerfile.dockerignore'),
        context: root,
        work: scratch.path,
        prepare: (directory) => lendObjects(root, directory),
      });
    } catch (error) {
      if (!(error instanceof MirrorError)) throw error;
      leftOut = requireOrSkip('the image', error.message);
      return;
    }
    await mkdir(models());
    await cp(join(root, 'fixtures/tiny-gemma4'), join(models(), 'tiny'), { recursive: true });
    await chown(models(), PLAIN_USER, PLAIN_USER);
  }, 600_000);
  afterAll(() => scratch.remove());

  test('is of this version, and has a plain user', async (context) => {
    context.skip(leftOut);
    const said = await run(image, [...image.entrypoint, '--version']);
    expect(said).toEqual({ code: 0, said: `${version}\n` });
    expect(await run(image, ['id', '-u'])).toEqual({ code: 0, said: `${PLAIN_USER}\n` });
    expect((await run(image, ['touch', '/opt/quantd/cli/quantd'])).code).not.toBe(0);
    expect((await run(image, ['touch', '/data/file', '/invite/file'])).code).toBe(0);
    // What only the building needs has stayed behind.
    expect((await run(image, ['which', 'g++'])).code).not.toBe(0);
  });

  test('makes the bytes that this machine makes', async (context) => {
    context.skip(leftOut);
    const words = ['--type', 'Q4_K_M', '--name', 'tiny'];
    const inside = ['quantize', '/models/tiny', '--out', '/models/out', ...words];
    const { code, said } = await run(image, [...image.entrypoint, ...inside]);
    expect(code, said).toBe(0);
    const out = join(scratch.path, 'out');
    await mustRunQuantd(['quantize', 'fixtures/tiny-gemma4', '--out', out, ...words]);
    const [file = ''] = readdirSync(out).filter((name) => name.endsWith('.gguf'));
    expect(await sha256(join(models(), 'out', file))).toBe(await sha256(join(out, file)));
  });

  test('is healthy while its daemon runs, and stops when it is told to', async (context) => {
    context.skip(leftOut);
    expect((await run(image, image.healthcheck)).code).not.toBe(0);
    const daemon = start(image, [...image.entrypoint, ...image.command]);
    const ended = once(daemon, 'exit');
    await until(daemon, async () => (await run(image, image.healthcheck)).code === 0);
    daemon.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect((await run(image, image.healthcheck)).code).not.toBe(0);
  });

  test('is a cluster of three as compose.yaml starts it', async (context) => {
    context.skip(leftOut || requireOrSkip('the composed cluster', whyNoNamespaces()));
    const services = readServices(read('docker/compose.yaml'), image);
    const network = await makeNetwork(services.size);
    const composed = new Map<string, Composed>();
    try {
      for (const [index, [name, service]] of [...services].entries()) {
        const host = network.hosts[index];
        if (host === undefined) throw new Error('no host');
        // Each is started when what it depends on has been: the file names them in that order.
        expect([...composed.keys()]).toEqual(expect.arrayContaining([...service.dependsOn]));
        composed.set(name, await compose(image, scratch.path, service, host));
      }
      const coordinator = composed.get('coordinator');
      if (coordinator === undefined) throw new Error('no coordinator');
      await sees(image, coordinator, 2);

      // A worker that comes again goes on as the member that it is.
      const worker = composed.get('worker-1');
      if (worker === undefined) throw new Error('no worker');
      const ended = once(worker.process, 'exit');
      worker.process.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      await sees(image, coordinator, 1);
      start(image, worker.words, worker.options);
      await sees(image, coordinator, 2);
    } finally {
      await network.remove();
    }
  });
});

interface Composed {
  readonly process: ChildProcess;
  readonly words: readonly string[];
  readonly options: ContainerOptions;
}

/** Starts a service and waits until it is healthy, or has ended where it is to do so. */
async function compose(
  image: Image,
  scratch: string,
  { words, volumes, isReadOnly, hasNetwork }: Service,
  host: Host,
): Promise<Composed> {
  const mounts: Record<string, string> = {};
  for (const { source, target } of volumes) {
    if (source.includes('/')) continue;
    // Docker gives a new volume the owner that its place has in the image.
    mounts[target] = join(scratch, `volume-${source}`);
    await mkdir(mounts[target], { recursive: true });
    const { uid, gid } = await stat(join(image.root, target));
    await chown(mounts[target], uid, gid);
  }
  const before = hasNetwork ? host.prefix : ['unshare', '--net'];
  const options = { before, mounts, isReadOnly };
  const process = start(image, words, options);
  if (hasNetwork) {
    await until(process, async () => (await run(image, image.healthcheck, options)).code === 0);
  } else {
    expect(await once(process, 'exit')).toEqual([0, null]);
  }
  return { process, words, options };
}

/** Waits until so many workers are connected to the coordinator. */
async function sees(image: Image, coordinator: Composed, workers: number): Promise<void> {
  await until(coordinator.process, async () => {
    const { said } = await run(image, ['quantd', 'peers', '--json'], coordinator.options);
    const { members } = JSON.parse(said) as {
      members: { isSelf: boolean; isConnected: boolean }[];
    };
    return members.filter(({ isSelf, isConnected }) => !isSelf && isConnected).length === workers;
  });
}

/** Asks until it holds; an error when the process has ended before. */
async function until(process: ChildProcess, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (process.exitCode !== null) throw new Error(`ended with ${process.exitCode}`);
    await wait(100);
  }
}
