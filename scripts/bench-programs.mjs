// Bench programs: one run of quantd, one call of llama.cpp's quantizer, each timed.
//
//   runQuantd(words, data) ──▶ {seconds, cpu, stdout}   quantizeWithLlama(request) ──▶ {seconds, cpu}
import { fork, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const libraries = join(root, 'node_modules/@node-llama-cpp/linux-x64/bins/linux-x64');

// As kernels/pool.cpp.
const NICENESS = 10;

/** Why there is nothing to compare with; undefined where there is. */
export function whyNoLlama() {
  return existsSync(libraries) ? undefined : '@node-llama-cpp/linux-x64 is not installed';
}

const secondsSince = (start) => Number(process.hrtime.bigint() - start) / 1e9;

// Of /proc, where x86-64 and Arm Linux count CPU time.
const TICKS_PER_SECOND = 100;

/**
 * CPU seconds of a process, or of the children that it has waited for; what other programs do at
 * the same time hardly changes them. NaN where there is no /proc.
 */
function cpuSeconds(pid, whose) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name of the program stands in brackets and may hold anything.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [user, system] = whose === 'children' ? fields.slice(13, 15) : fields.slice(11, 13);
    return (user + system) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

/**
 * Runs `quantd` and waits for its end: the time is that of the whole process, with its daemon's
 * start and end. `data` is the daemon's data directory.
 */
export function runQuantd(words, data) {
  const cpuBefore = cpuSeconds('self', 'children');
  const start = process.hrtime.bigint();
  const child = spawn(process.execPath, ['cli/quantd', ...words, '--data', data, '--json'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const seconds = secondsSince(start);
      const cpu = cpuSeconds('self', 'children') - cpuBefore;
      if (code === 0) resolve({ seconds, cpu, stdout });
      else reject(new Error(`quantd ${words.join(' ')}\n${stdout.slice(-2000)}${stderr}`));
    });
  });
}

/** The events of a run, a JSON object a line. */
export function eventsOf({ stdout }) {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/**
 * One call of `llama_model_quantize` in a process of its own, as cluster-tests/oracle makes it; the
 * seconds are those of the call, without the start of the process.
 * @returns {Promise<{seconds: number, cpu: number}>}
 */
export async function quantizeWithLlama(request, threads) {
  const script = join(root, 'cluster-tests/oracle/llama-child.mjs');
  const child = fork(script, [libraries, String(threads)], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  // Quantd's threads lower themselves as much: what else the machine does must hit both alike.
  setPriority(child.pid, NICENESS);
  const next = () =>
    new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code, signal) => reject(new Error(`llama.cpp: ${signal ?? code}`)));
    });
  await next();
  const answered = next();
  const cpuBefore = cpuSeconds(child.pid, 'own');
  const start = process.hrtime.bigint();
  child.send({ id: 0, task: 'quantize', ...request });
  const { ok, error } = await answered;
  const seconds = secondsSince(start);
  const cpu = cpuSeconds(child.pid, 'own') - cpuBefore;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.disconnect();
  await ended;
  if (!ok) throw new Error(error);
  return { seconds, cpu };
}
