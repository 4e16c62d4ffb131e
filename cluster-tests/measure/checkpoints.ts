/**
 * Checkpoints: models on disk for the comparison with llama.cpp, in each form that it needs.
 *
 *   a name ──▶ the checkpoint, the same in F32, and quantd's GGUFs of it in BF16 and F32
 *
 * A form is made when it is first asked for and kept until `close`. The specs of the generated
 * ones stand in specs.ts; the others are the fixtures.
 */

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../proto/assert.ts';
import { writeCheckpoint } from '../checkpoints/generate.ts';
import { seededRandom } from '../checkpoints/random.ts';
import { connectQuantd, makeScratch, mustRunQuantd } from '../quantd.ts';
import { measureSpecs, TOKENS } from './specs.ts';
import { widenSafetensors } from './widen-safetensors.ts';

const fixtures = fileURLToPath(new URL('../../fixtures', import.meta.url));

export const fixtureNames = ['tiny-gemma4', 'tiny-gemma4-k', 'tiny-gemma4-e'] as const;
/** Every checkpoint of these tests, the generated ones first. */
export const checkpointNames: readonly string[] = [
  ...measureSpecs.map(({ name }) => name),
  ...fixtureNames,
];

/**
 * Past this depth noise outgrows any tolerance: over twelve layers llama.cpp's own AVX2 and
 * AVX-512 libraries are 0.35 apart in a logit of a BF16 file, over six 0.05.
 */
const END_TO_END_LAYERS_MAX = 6;

/** Those whose logits and whole matrix can be compared; layer by layer all of them can. */
export const endToEndNames: readonly string[] = checkpointNames.filter((name) => {
  const layers = measureSpecs.find((spec) => spec.name === name)?.layers ?? '';
  return layers.length <= END_TO_END_LAYERS_MAX;
});

export interface Checkpoints {
  /** The checkpoint's directory. */
  checkpoint(name: string): Promise<string>;
  /** A directory with the same checkpoint in F32: every weight widened, which is exact. */
  f32Checkpoint(name: string): Promise<string>;
  /** What `quantd convert` makes of it. */
  bf16Gguf(name: string): Promise<string>;
  f32Gguf(name: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts a daemon of its own for the conversions. */
export async function openCheckpoints(): Promise<Checkpoints> {
  const scratch = await makeScratch('measure');
  const data = join(scratch.path, 'data');
  const daemon = await connectQuantd(data);
  const made = new Map<string, Promise<string>>();
  const once = (form: string, name: string, make: (path: string) => Promise<void>) => {
    const path = join(scratch.path, name, form);
    const known = made.get(path) ?? make(path).then(() => path);
    made.set(path, known);
    return known;
  };

  const checkpoint = (name: string): Promise<string> => {
    if (fixtureNames.some((fixture) => fixture === name)) {
      return Promise.resolve(join(fixtures, name));
    }
    return once('source', name, async (path) => {
      const spec = measureSpecs.find((candidate) => candidate.name === name);
      assert(spec !== undefined, `there is a spec ${name}`);
      await writeCheckpoint(path, spec);
    });
  };
  const convert = (name: string, type: 'BF16' | 'F32'): Promise<string> =>
    // Each run wants an output directory of its own.
    once(join(type, 'model.gguf'), name, async (path) => {
      const words = ['convert', await checkpoint(name), '--type', type, '--out', path];
      await mustRunQuantd([...words, '--name', name], { data });
    });
  return {
    checkpoint,
    f32Checkpoint: (name) =>
      once('widened', name, async (path) => widenCheckpoint(await checkpoint(name), path)),
    bf16Gguf: (name) => convert(name, 'BF16'),
    f32Gguf: (name) => convert(name, 'F32'),
    async close() {
      await daemon.close();
      await scratch.remove();
    },
  };
}

/** Copies a checkpoint with every tensor in F32. */
export async function widenCheckpoint(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const file of await readdir(from)) {
    const [source, target] = [join(from, file), join(to, file)];
    if (file.endsWith('.safetensors')) {
      await writeFile(target, widenSafetensors(await readFile(source)));
    } else if (file === 'config.json') {
      const config = await readFile(source, 'utf8');
      await writeFile(target, config.replace(/"b?float16"/g, '"float32"'));
    } else await cp(source, target);
  }
}

/** Below them are control tokens and markers, which no text of these tests holds. */
const FIRST_PLAIN_ID = 10;
const BOS = 2;

/** Chunks of random tokens after a BOS, the same for the same seed. */
export function drawChunks(
  vocabulary: number,
  { count = 2, tokens = TOKENS, seed = 1 }: DrawOptions = {},
): Int32Array[] {
  const random = seededRandom(seed);
  const draw = (): number => FIRST_PLAIN_ID + random.below(vocabulary - FIRST_PLAIN_ID);
  return Array.from({ length: count }, () =>
    Int32Array.from({ length: tokens }, (_, index) => (index === 0 ? BOS : draw())),
  );
}

export interface DrawOptions {
  readonly count?: number;
  readonly tokens?: number;
  readonly seed?: number;
}
