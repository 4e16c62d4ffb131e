// Bench of a cluster: a checkpoint through one coordinator and two workers on this machine, the
// speed of it, and how long the event loops are late while kernels use every core.
//   node scripts/bench-cluster.mjs [--smoke]
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventsOf, runQuantd } from './bench-programs.mjs';
import { makeCheckpoint } from './bench-source.mjs';
import { ask, startDaemon, stopDaemons, untilMembers } from './daemons.mjs';
import { setup } from './setup.mjs';

// What the design allows: a daemon that computes still answers at once.
const DELAY_MS_MAX = 50;

/** Prints the table; `small` only looks whether it still runs. */
export async function benchCluster({ small = false } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'quantd-bench-cluster-'));
  const data = (name) => join(scratch, name);
  const names = ['nas', 'a', 'b'];
  // Each worker may use every core, so that the machine has more to do than it can.
  const threads = String(availableParallelism());
  try {
    const source = await makeCheckpoint(data('source'), small ? 5e8 : 4e9);
    const up = ['up', '--listen', '127.0.0.1:0', '--threads', '0'];
    const { invite } = await startDaemon('nas', up, data('nas'));
    for (const name of ['a', 'b']) {
      await startDaemon(name, ['join', invite.token, '--threads', threads], data(name));
    }
    await untilMembers(data('nas'), names.length);
    // Each answer tells of the time since the one before.
    for (const name of names) await ask(data(name), '/v1/status');
    const words = ['quantize', source.path, '--type', 'Q4_K_M', '--out', data('out')];
    const run = await runQuantd([...words, '--name', 'bench'], data('nas'));
    const done = eventsOf(run).at(-1);
    const { seconds } = done.stages.find(({ stage }) => stage === 'quantize');
    const rate = (done.sourceBytes / 1e6 / seconds).toFixed(0);
    console.log(`\nthree daemons: ${(done.sourceBytes / 1e9).toFixed(2)} GB, Q4_K_M, ${rate} MB/s`);
    console.log(`event loops, 99th percentile of the delay, at most ${DELAY_MS_MAX} ms wanted:`);
    for (const name of names) {
      const { eventLoopDelayMs } = await ask(data(name), '/v1/status');
      const verdict = eventLoopDelayMs <= DELAY_MS_MAX ? '' : '  above it';
      console.log(`  ${name.padEnd(4)} ${eventLoopDelayMs.toFixed(1).padStart(6)} ms${verdict}`);
    }
  } finally {
    await stopDaemons();
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setup({ dev: true });
  await benchCluster({ small: process.argv.includes('--smoke') });
}
