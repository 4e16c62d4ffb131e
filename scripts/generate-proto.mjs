// Makes proto/generated/ from proto/peer.proto; what it writes is committed.
//   node scripts/generate-proto.mjs [directory]
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

// Static code alone: schemas that are read or compiled while running are where protobuf's
// attacks live. No converters and no verifiers: peer-codec.ts checks every field.
const pbjsOptions = [
  '--target=static-module',
  '--wrap=es6',
  '--es6',
  '--dependency=protobufjs/minimal.js',
  '--root=quantd-peer',
  '--no-create',
  '--no-verify',
  '--no-convert',
  '--no-delimited',
  '--no-typeurl',
  '--no-service',
  '--force-number',
];

function run(tool, args) {
  const path = join(root, 'node_modules/protobufjs-cli/bin', tool);
  const { status, stderr } = spawnSync(process.execPath, [path, ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${tool}: ${stderr}`);
}

/** Writes peer.generated.js and its types into `directory`. */
export function generateProto(directory) {
  mkdirSync(directory, { recursive: true });
  const code = join(directory, 'peer.generated.js');
  const types = join(directory, 'peer.generated.d.ts');
  // The types are read out of comments that the code itself can do without.
  run('pbjs', [...pbjsOptions, `--out=${code}`, 'proto/peer.proto']);
  run('pbts', ['--no-comments', `--out=${types}`, code]);
  run('pbjs', [...pbjsOptions, '--no-comments', `--out=${code}`, 'proto/peer.proto']);
  for (const file of [code, types]) {
    const said = '// Generated from peer.proto by scripts/generate-proto.mjs.\n';
    writeFileSync(file, said + readFileSync(file, 'utf8'));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  generateProto(process.argv[2] ?? join(root, 'proto/generated'));
}
