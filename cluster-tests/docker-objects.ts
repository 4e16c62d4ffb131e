/**
 * Docker objects: kernels that this machine's compiler made, lent to the same compiler in an image.
 *
 *   build/kernels/objects ──▶ lendObjects ──▶ the same directory of the sources in the image
 *
 * The name of an object holds the digest of its source, of all headers, of the flags and of what the
 * compiler says of itself, so that kernels/build.mjs takes one only where it would make the same; on
 * another release of Debian it takes none. What is compiled once for each instruction set is most of
 * the time and needs nothing of the system but the compiler; the rest, with the system's headers and
 * the packages', the image compiles itself, and it links and tests the addon.
 */

import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const OBJECTS = 'build/kernels/objects';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
// As in affine-avx512-0123456789abcdef.o.
const KERNEL = /^[a-z\d-]+-(scalar|avx2|avx512|avx512bf16|amx|neon)-[\da-f]{16}\.o$/;

/** Copies the objects of kernels from the project at `from` to the one at `into`; how many. */
export async function lendObjects(from: string, into: string): Promise<number> {
  const directory = join(OBJECTS, ARCHITECTURES[process.arch] ?? process.arch);
  const names = (await readdir(join(from, directory))).filter((name) => KERNEL.test(name));
  await mkdir(join(into, directory), { recursive: true });
  for (const name of names) {
    await copyFile(join(from, directory, name), join(into, directory, name));
  }
  return names.length;
}
