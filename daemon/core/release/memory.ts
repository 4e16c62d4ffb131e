/**
 * Memory: what a program needs to hold a model and its keys and values.
 *
 *   metadata + context ──▶ kvCacheBytes
 *
 * The keys are those of the GGUF format document (`<architecture>.attention.*`), read as loaders do.
 */

import type { KeyValue, MetadataValue } from '../gguf/metadata.ts';

/** Context of the card's column. */
export const CARD_CONTEXT = 4096;
// Keys and values are binary16 unless a user asks for less.
const ELEMENT_BYTES = 2;

/**
 * Bytes of all layers' keys and values for `context` tokens; undefined where the metadata does not
 * tell, as that of models without attention.
 */
export function kvCacheBytes(
  metadata: readonly KeyValue[],
  architecture: string,
  context: number,
): number | undefined {
  const values = new Map(metadata.map(({ key, value }) => [key, value]));
  const at = (name: string): MetadataValue | undefined => values.get(`${architecture}.${name}`);
  const layers = numberOf(at('block_count'));
  const heads = numberOf(at('attention.head_count'), 0);
  const hidden = numberOf(at('embedding_length'));
  if (layers === undefined || heads === undefined || hidden === undefined || heads === 0) {
    return undefined;
  }
  const whole = hidden / heads;
  const keys = numberOf(at('attention.key_length')) ?? whole;
  const vectors = numberOf(at('attention.value_length')) ?? whole;
  const slidingKeys = numberOf(at('attention.key_length_swa')) ?? keys;
  const slidingVectors = numberOf(at('attention.value_length_swa')) ?? vectors;
  const window = numberOf(at('attention.sliding_window')) ?? context;
  const pattern = at('attention.sliding_window_pattern');
  const sharing = numberOf(at('attention.shared_kv_layers')) ?? 0;
  let bytes = 0;
  // Layers that share the keys and values of others come last and hold none.
  for (let layer = 0; layer < layers - sharing; layer++) {
    const kvHeads = numberOf(at('attention.head_count_kv'), layer) ?? heads;
    const slides = isTrue(pattern, layer);
    const positions = slides ? Math.min(context, window) : context;
    const width = slides ? slidingKeys + slidingVectors : keys + vectors;
    bytes += positions * kvHeads * width * ELEMENT_BYTES;
  }
  return bytes;
}

/** A whole number, or that of a layer where there is one for each. */
function numberOf(value: MetadataValue | undefined, layer?: number): number | undefined {
  if (value === undefined) return undefined;
  if (value.type === 'array') {
    const found = layer === undefined ? undefined : value.value[layer];
    return typeof found === 'number' ? found : undefined;
  }
  return typeof value.value === 'number' ? value.value : undefined;
}

function isTrue(value: MetadataValue | undefined, layer: number): boolean {
  return value?.type === 'array' && value.value[layer] === true;
}
