// Debian packages: commands that some tests need, installed on CI, named elsewhere.
import { spawnSync } from 'node:child_process';
import { runOrExit } from './setup.mjs';

const isThere = (command) =>
  spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { stdio: 'ignore' }).status === 0;

/** Whether the commands are there, if need be after an installation; on CI as root they must. */
export function provide(commands, packages) {
  if (commands.every(isThere)) return true;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  if (process.env.CI === undefined || process.getuid?.() !== 0) {
    console.log(`left out, it needs ${commands.join(' and ')}:  ${install.join(' ')}`);
    return false;
  }
  runOrExit('apt-get', ['update', '-qq']);
  runOrExit(install[0], install.slice(1));
  return true;
}
