// Demo: installs, builds, joins three daemons into a cluster that measures the importance matrix of the
// embedded model and makes a release of three GGUFs with it, and shows that one machine alone, which has
// nothing but the lockfile, makes the same bytes.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDaemon, stopDaemons, untilMembers } from './daemons.mjs';
import { setup } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// In the project's own build directory, so that a demo leaves nothing elsewhere.
const scratch = join(root, 'build', 'demo');
const dataOf = (name) => join(scratch, name);
const types = 'Q2_K,IQ3_XXS,Q4_K_M';
// Enough to see it work; a release takes all of the text.
const chunks = '32';
const source = 'fixtures/tiny-gemma4';
const folder = 'out/tiny-gemma4-GGUF';
const releaseWords = [
  ...['release', source, '--type', types, '--out', 'out'],
  ...['--calibration', 'default', '--chunks', chunks, '--ppl'],
  ...['--name', 'tiny-gemma4', '--overwrite'],
];

function quantd(words, data) {
  console.log(`\n$ quantd ${words.join(' ')}`);
  const args = ['cli/quantd', ...words, '--data', data];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`quantd ${words[0]} ended with ${status}`);
}

function fail(why) {
  console.error(`\ndemo: ${why}`);
  process.exitCode = 1;
}

async function demo() {
  console.log(
    '\n$ quantd up --listen 127.0.0.1:0 --threads 0              # the machine with the model',
  );
  const { invite } = await startDaemon(
    'nas',
    ['up', '--listen', '127.0.0.1:0', '--threads', '0'],
    dataOf('nas'),
  );
  const joins = ['tower', 'laptop'].map((name) =>
    startDaemon(name, ['join', invite.token, '--threads', '1'], dataOf(name)),
  );
  console.log(
    `$ quantd join ${invite.token.slice(0, 16)}…                              # on tower and on laptop`,
  );
  for (const { coordinator, role, seconds } of await Promise.all(joins)) {
    console.log(`joined ${coordinator} as ${role} in ${seconds.toFixed(1)} s`);
  }
  await untilMembers(dataOf('nas'), 3);
  quantd(['peers'], dataOf('nas'));
  quantd(releaseWords, dataOf('nas'));
  quantd(['verify', folder, '--source', source], dataOf('nas'));

  console.log('\nThe same on one machine, which knows of no other:');
  const lock = `${folder}/quantd.lock.json`;
  quantd(['reproduce', lock, '--source', source, '--solo'], dataOf('solo'));
}

await setup();
rmSync(scratch, { recursive: true, force: true });
try {
  await demo();
} catch (error) {
  fail(error.message);
} finally {
  await stopDaemons();
}
if (process.exitCode === undefined) {
  console.log(`
Next:
  cli/quantd inspect out/tiny-gemma4-GGUF/tiny-gemma4-Q4_K_M.gguf   what is in a file
  cli/quantd plan SOURCE --type Q4_K_M                   what your own checkpoint would take
  cli/quantd release SOURCE --type Q4_K_M --out DIR      a folder to upload of it
  cli/quantd imatrix SOURCE --out imatrix.gguf           its importance matrix
  cli/quantd up --lan                                    a daemon that others may join
  npm test                                               compare with llama.cpp
`);
}
