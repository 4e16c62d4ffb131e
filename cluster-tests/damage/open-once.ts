/**
 * A program that opens one checkpoint and prints what it cost, for checkpoint-cases.test.ts.
 *
 *   node open-once.mjs DIRECTORY ──▶ {"code", "cpuSeconds", "grownBytes"}
 */

import { openSourceDirectory } from '../../daemon/adapters/source-directory.ts';
import { openCheckpoint } from '../../daemon/roles/open-checkpoint.ts';
import { FaultError } from '../../proto/fault.ts';
import { peakBytes, startOfPeak } from './peak-memory.ts';

const [dir] = process.argv.slice(2);
if (dir === undefined) throw new Error('which directory?');

const before = startOfPeak();
const cpuBefore = process.cpuUsage();
let code = 'opened';
try {
  const hashFile = () => Promise.reject(new Error('nothing is hashed to open a checkpoint'));
  await openCheckpoint(await openSourceDirectory(dir, { hashFile }));
} catch (error) {
  if (!(error instanceof FaultError)) throw error;
  code = error.kind.code;
}
const { user, system } = process.cpuUsage(cpuBefore);
const grownBytes = peakBytes() - before;
console.log(JSON.stringify({ code, cpuSeconds: (user + system) / 1e6, grownBytes }));
