/**
 * Goal: machines of a cluster fetch their parts of a repository by themselves, each byte once, and
 * make the files of one machine that has the directory; a wrong bit on one way is found before
 * anything is sealed, and machines may die or have no way to the hub.
 * Method: real daemons and the loopback hub, which knows what each of them asked for.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectedNames, type Daemon, endDaemons, startDaemon, untilCluster } from './cluster.ts';
import { digestsOf, past, type RunningCommand, startRun } from './cluster-run.ts';
import { askedBy, type LoopbackHub, MACHINE_TOKENS, startHub } from './hub/loopback-hub.ts';
import { directoryRepository } from './hub/repository.ts';
import { makeScratch, mustRunQuantd } from './quantd.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const CHECKPOINT = join(root, 'fixtures/tiny-gemma4');
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const [FIRST = '', SECOND = ''] = SHARDS;
const TYPES = 'BF16,Q4_0,Q8_0';
const MIB = 1 << 20;
// The same kernels on all of them: each gets its share.
const SLOW = { QUANTD_ISA: 'scalar' };
const [OWN_TOKEN = '', ...WORKER_TOKENS] = MACHINE_TOKENS;
const sizeOf = (file: string): number => statSync(join(CHECKPOINT, file)).size;

let scratch: Awaited<ReturnType<typeof makeScratch>>;
let hub: LoopbackHub;
let reference: Map<string, string>;
const at = (name: string): string => join(scratch.path, name);

beforeAll(async () => {
  scratch = await makeScratch('hub-pool');
  await mustRunQuantd([
    ...['quantize', CHECKPOINT, '--type', TYPES, '--name', 'tiny'],
    ...['--out', at('alone'), '--solo'],
  ]);
  reference = digestsOf(at('alone'));
});
afterEach(async () => {
  await endDaemons();
  await hub.close();
});
afterAll(() => scratch.remove());

/** A coordinator and workers that have each a token of their own. */
async function startCluster(
  name: string,
  threads: number,
  hubUrls: readonly (string | undefined)[],
): Promise<Daemon[]> {
  hub = await startHub(await directoryRepository(CHECKPOINT, { name: 'test-org/tiny' }));
  const coordinator = await startDaemon(
    ['up', '--name', 'nas', '--threads', String(threads), '--listen', '127.0.0.1:0'],
    { data: at(`${name}-nas`), environment: SLOW },
  );
  const workers = await Promise.all(
    hubUrls.map((url, index) => {
      const words = ['join', coordinator.token, '--name', `w${index}`, '--threads', '1'];
      const environment = {
        ...SLOW,
        ...{ HF_ENDPOINT: url ?? hub.url, HF_TOKEN: WORKER_TOKENS[index] ?? '' },
      };
      return startDaemon(words, { data: at(`${name}-w${index}`), environment });
    }),
  );
  const isWhole = (view: Parameters<typeof connectedNames>[0]): boolean =>
    connectedNames(view).length === hubUrls.length;
  await untilCluster(coordinator, isWhole, 'whole');
  return [coordinator, ...workers];
}

function quantize(coordinator: Daemon | undefined, out: string): RunningCommand {
  const words = [
    ...['quantize', 'test-org/tiny', '--type', TYPES, '--out', at(out)],
    ...['--hub-url', hub.url, '--json'],
  ];
  return startRun(words, coordinator?.data ?? '', { HF_TOKEN: OWN_TOKEN });
}

function total(bytes: ReadonlyMap<string, number>): number {
  return SHARDS.reduce((sum, file) => sum + (bytes.get(file) ?? 0), 0);
}

test('each machine fetches its own part, once; a flipped bit is found, and fetched anew', async () => {
  const [coordinator, ...workers] = await startCluster('two', 0, [undefined, undefined]);
  const { peers } = await quantize(coordinator, 'clean').done;
  expect(digestsOf(at('clean'))).toEqual(reference);
  // Of the headers a leaf each, whatever else stands in it.
  for (const file of SHARDS) expect(hub.served.get(file)).toBeLessThanOrEqual(sizeOf(file) + MIB);
  for (const token of WORKER_TOKENS.slice(0, workers.length)) {
    expect(total(askedBy(hub, token))).toBeGreaterThan(MIB);
  }
  expect(total(askedBy(hub, OWN_TOKEN))).toBeLessThanOrEqual(SHARDS.length * MIB);
  expect(peers.map(({ sourceBytes }) => sourceBytes)).toEqual(peers.map(() => 0));
  // Nothing of the source stays anywhere.
  for (const { data } of [coordinator, ...workers].flatMap((each) => each ?? [])) {
    expect(existsSync(join(data, 'hub', 'test-org--tiny'))).toBe(false);
    const kept = readdirSync(join(data, 'leaves'), { recursive: true });
    expect(kept).toEqual([]);
  }

  // After the header, so that it is one of the workers.
  hub.rule({ at: 'storage', path: SECOND, after: 1, trouble: { kind: 'flip' } });
  const wrong = quantize(coordinator, 'flipped');
  await expect(wrong.done).rejects.toThrow(/QD-6801/);
  expect(wrong.events.at(-1)).toMatchObject({ type: 'fault', exit: 6, file: SECOND });
  expect(digestsOf(at('flipped')).size).toBe(0);
  const before = new Map(hub.served);
  await quantize(coordinator, 'flipped').done;
  expect(digestsOf(at('flipped'))).toEqual(reference);
  // The other file is not fetched again, but for its header.
  expect((hub.served.get(FIRST) ?? 0) - (before.get(FIRST) ?? 0)).toBeLessThanOrEqual(MIB);
});

test('one is killed, one has no way to the hub, and the coordinator has a part too', async () => {
  const [coordinator, , killed] = await startCluster('three', 1, [
    'http://127.0.0.1:9',
    undefined,
    undefined,
  ]);
  const run = quantize(coordinator, 'killed');
  await run.until(past(0.3));
  await killed?.kill();
  await run.done;
  expect(digestsOf(at('killed'))).toEqual(reference);
  const notices = run.events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
  expect(notices).toContainEqual(
    expect.stringMatching(/^w0 gets its part .*--hub-url|another hub/),
  );
  expect(askedBy(hub, WORKER_TOKENS[0] ?? '').size).toBe(0);
});
