/**
 * Docker image: does what a Dockerfile says without Docker, in directories that become roots.
 *
 *   Dockerfile + sources ──▶ buildImage ──▶ a root directory and how to start what is in it
 *
 * The base image is made here too: Debian from its mirror by debootstrap, and this machine's Node
 * and npm where the official image has its own. Only the instructions that our Dockerfile uses are
 * known. What is not Docker's: the network is that of the machine, and there are no layers; where
 * docker-objects.ts says so, the compiler in the image finds objects that the same one made here.
 */

import { spawn } from 'node:child_process';
import { cp, mkdir, realpath, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { untilWeDie, whyFails, whyNoRoot } from './privileges.ts';

export interface Image {
  readonly root: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  /** As `1000:1000`. */
  readonly user: string;
  readonly ports: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

export interface ImageSources {
  readonly dockerfile: string;
  /** The text of the ignore file. */
  readonly ignore: string;
  /** Where the project is. */
  readonly context: string;
  /** An empty directory, for all that is made. */
  readonly work: string;
  /** Does what it likes in the directory that the sources were copied to. */
  prepare?(directory: string): Promise<unknown>;
}

interface Instruction {
  readonly name: string;
  readonly text: string;
}

type Stage = { -readonly [Key in keyof Image]: Image[Key] };

/** Debian's mirror does not answer: nothing that a change of ours could mend. */
export class MirrorError extends Error {
  override readonly name = 'MirrorError';
}

// What the official Node image sets.
const BASE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
// The end of what a command said; before it stand only packages.
const SAID_CHARACTERS_MAX = 4_000;

/** Why no image can be made here; undefined where one can, if the mirror answers. */
export function whyNoImages(): string | undefined {
  return (
    whyNoRoot() ??
    whyFails('debootstrap', '--version') ??
    whyFails('setpriv', '--version') ??
    whyFails('unshare', '--mount', 'true')
  );
}

/** Each instruction with its text, lines that continue joined. */
export function parseDockerfile(text: string): Instruction[] {
  return text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', ...words] = line.split(/\s+/);
      return { name, text: words.join(' ') };
    });
}

/** The names of the project that the ignore file lets through: `*` and then `!name` of each. */
export function parseIgnore(text: string): string[] {
  const [first, ...lines] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const names = lines.map((line) => /^!([\w.-]+)$/.exec(line)?.[1]);
  if (first !== '*') throw new Error('the ignore file must begin with *');
  return names.map((name, index) => {
    if (name === undefined) throw new Error(`not known in an ignore file: ${lines[index]}`);
    return name;
  });
}

/** The last stage of the Dockerfile. */
export async function buildImage(sources: ImageSources): Promise<Image> {
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  for (const instruction of parseDockerfile(sources.dockerfile)) {
    if (instruction.name === 'FROM') {
      const [image = '', , name = `stage-${stages.size}`] = instruction.text.split(' ');
      const root = join(sources.work, name);
      await execute(['cp', '-a', '--reflink=auto', await makeBase(image, sources.work), root]);
      stage = newStage(root);
      stages.set(name, stage);
    } else if (stage === undefined) {
      throw new Error('a Dockerfile begins with FROM');
    } else if (instruction.name === 'COPY') {
      await copy(instruction.text, stage, stages, sources);
    } else {
      await follow(instruction, stage);
    }
  }
  if (stage === undefined) throw new Error('the Dockerfile is empty');
  return stage;
}

const newStage = (root: string): Stage => ({
  root,
  environment: { PATH: BASE_PATH },
  directory: '/',
  user: '0:0',
  ports: [],
  entrypoint: [],
  command: [],
  healthcheck: [],
});

export interface ContainerOptions {
  /** What stands before it all, to enter a network. */
  readonly before?: readonly string[];
  /** Directories of this machine by the place in the image where they are seen. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** Nothing may be written but to the mounts and /tmp. */
  readonly isReadOnly?: boolean;
}

// Its mounts are seen by one command alone, and go with it. `$0` is the root, the words before `--`
// are sources and targets.
const enterScript = `
  set -e
  mount --bind "$0" "$0"
  while [ "$1" != -- ]; do mount --bind "$1" "$0$2"; shift 2; done
  shift
  mount -t proc proc "$0/proc"
  if [ "$1" = ro ]; then mount -t tmpfs tmpfs "$0/tmp"; mount -o remount,bind,ro "$0"; fi
  shift
  exec chroot "$0" "$@"
`;

/** What stands before a command so that it runs in the image, as its user. */
export function prefixOf(image: Image, options: ContainerOptions = {}): string[] {
  const { before = [], mounts = {}, isReadOnly = false } = options;
  const { root, user, directory, environment } = image;
  const [uid, gid] = user.split(':');
  // A user that the image does not name has the root as its home.
  const variables = Object.entries({ HOME: '/', ...environment }).map(
    ([name, value]) => `${name}=${value}`,
  );
  return [
    ...[...before, 'unshare', '--mount', 'sh', '-c', enterScript, root],
    ...Object.entries(mounts).flatMap(([target, source]) => [source, target]),
    ...['--', isReadOnly ? 'ro' : 'rw'],
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...untilWeDie.slice(1)],
    ...['env', '-i', '-C', directory, ...variables],
  ];
}

async function follow({ name, text }: Instruction, stage: Stage): Promise<void> {
  const set: Record<string, () => unknown> = {
    RUN: () => runInBuild(stage, text),
    ENV: () => {
      const [, key = '', value = ''] = /^(\w+)=(\S+)$/.exec(text) ?? [];
      stage.environment = { ...stage.environment, [key]: value };
    },
    WORKDIR: () => {
      stage.directory = text;
      return mkdir(join(stage.root, text), { recursive: true });
    },
    USER: () => {
      stage.user = text;
    },
    EXPOSE: () => {
      stage.ports = text.split(' ');
    },
    // A volume changes nothing of what a first container finds in it.
    VOLUME: () => undefined,
    HEALTHCHECK: () => {
      stage.healthcheck = parseWords(text.replace(/^.*?CMD /, ''));
    },
    ENTRYPOINT: () => {
      stage.entrypoint = parseWords(text);
    },
    CMD: () => {
      stage.command = parseWords(text);
    },
  };
  const action = set[name];
  if (action === undefined) throw new Error(`not known in a Dockerfile: ${name}`);
  await action();
}

/** Words as the Dockerfile has them: `["quantd", "up"]`. */
function parseWords(text: string): string[] {
  const words: unknown = JSON.parse(text);
  if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  throw new Error(`not a list of words: ${text}`);
}

async function runInBuild(stage: Stage, command: string): Promise<void> {
  const environment = { ...stage.environment, HOME: '/root', ...(await packageSettings()) };
  await execute([...prefixOf({ ...stage, environment }), '/bin/sh', '-c', command]);
}

async function copy(
  text: string,
  stage: Stage,
  stages: ReadonlyMap<string, Stage>,
  { context, ignore, prepare }: ImageSources,
): Promise<void> {
  const words = text.split(' ');
  const option = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3);
  const [source = '', target = '', ...more] = words.filter((word) => !word.startsWith('--'));
  const from = option('from');
  if (more.length > 0 || (from === undefined && source !== '.')) {
    throw new Error(`not known in a Dockerfile: COPY ${text}`);
  }
  const into = join(stage.root, target.startsWith('/') ? target : join(stage.directory, target));
  await mkdir(into, { recursive: true });
  if (from === undefined) {
    const names = parseIgnore(ignore).map((name) => join(context, name));
    await execute(['cp', '-a', ...names, into]);
    await prepare?.(into);
  } else {
    const root = stages.get(from)?.root ?? `no stage ${from}`;
    // What is in the directory, not the directory.
    await execute(['cp', '-a', `${join(root, source)}/.`, into]);
  }
  const owner = option('chown');
  if (owner !== undefined) await execute(['chown', '-R', owner, into]);
}

const bases = new Map<string, Promise<string>>();

/** The root of `node:VERSION-SUITE-slim`, made once in each work directory. */
function makeBase(image: string, work: string): Promise<string> {
  const [, suite] = /^node:[\d.]+-([a-z]+)-slim$/.exec(image) ?? [];
  if (suite === undefined) throw new Error(`not known as a base: ${image}`);
  const root = join(work, `base-${suite}`);
  const made = bases.get(root) ?? bootstrap(suite, root);
  bases.set(root, made);
  return made;
}

async function bootstrap(suite: string, root: string): Promise<string> {
  try {
    await execute(['debootstrap', '--variant=minbase', suite, root]);
  } catch (error) {
    const said = error instanceof Error ? error.message : '';
    if (!/Failed getting release file|Couldn't download/.test(said)) throw error;
    throw new MirrorError(`Debian's mirror does not answer: ${said}`);
  }
  const local = join(root, 'usr/local');
  await cp(await realpath(process.execPath), join(local, 'bin/node'));
  // npm's command is a link into its package: PACKAGE/bin/npm-cli.js.
  const npm = dirname(dirname(await realpath((await execute(['which', 'npm'])).trim())));
  await mkdir(join(local, 'lib/node_modules'), { recursive: true });
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  for (const file of new Set(Object.values(await packageSettings()))) {
    if (!file.startsWith('/')) continue;
    await mkdir(join(root, dirname(file)), { recursive: true });
    await cp(await realpath(file), join(root, file));
  }
  return root;
}

/** Where this machine has packages from, and whom it trusts for it; the base image knows neither. */
async function packageSettings(): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const name of ['registry', 'cafile']) {
    const value = (await execute(['npm', 'config', 'get', name])).trim();
    if (value !== 'null' && value !== '') settings[`npm_config_${name}`] = value;
  }
  const { NODE_EXTRA_CA_CERTS: trusted } = process.env;
  return trusted === undefined ? settings : { ...settings, NODE_EXTRA_CA_CERTS: trusted };
}

/** What a command printed; an error with the end of all it said when it fails. */
function execute(words: readonly string[]): Promise<string> {
  const [command = '', ...args] = words;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(printed);
      const end = said.slice(-SAID_CHARACTERS_MAX);
      reject(new Error(`${words.join(' ')} ended with ${code ?? signal}\n${end}`));
    });
  });
}
