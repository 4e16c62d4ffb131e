/**
 * Perplexity: how well a GGUF predicts held-out text under llama.cpp.
 *
 *   a text ──▶ textChunks ──▶ perplexity ──▶ exp(mean negative log-likelihood), its error bar
 *
 * As llama-imatrix and llama-perplexity measure it: the second half of every chunk counts.
 */

import { assert } from '../../proto/assert.ts';
import type { Oracle } from '../oracle/llama.ts';
import { type ForwardRequest, llamaForward } from './llama-forward.ts';

export interface Perplexity {
  readonly perplexity: number;
  /** Of the perplexity: one standard error of the mean, by its derivative. */
  readonly error: number;
  /** Predictions that were counted. */
  readonly tokens: number;
  /** Negative log-likelihood of each. */
  readonly losses: readonly number[];
}

export type PerplexityRequest = Pick<ForwardRequest, 'gguf' | 'chunks' | 'cpu' | 'threads'>;

/** Cuts a text into `count` chunks of `tokens`, each begun with the first token of all, a BOS. */
export async function textChunks(
  oracle: Pick<Oracle, 'tokenize'>,
  gguf: string,
  text: string,
  { count, tokens }: { readonly count: number; readonly tokens: number },
): Promise<Int32Array[]> {
  const [ids = []] = await oracle.tokenize(gguf, [text], { parseSpecial: false });
  assert(ids.length >= count * tokens, `the text has ${ids.length} tokens`);
  const [bos = 0] = ids;
  return Array.from({ length: count }, (_, chunk) =>
    Int32Array.from(ids.slice(chunk * tokens, (chunk + 1) * tokens)).with(0, bos),
  );
}

/** The perplexity of the chunks' second halves. */
export async function perplexity(request: PerplexityRequest): Promise<Perplexity> {
  const { logits, vocabulary } = await llamaForward({ ...request, want: { logits: true } });
  const losses = logits.flatMap((rows, index) =>
    chunkLosses(rows, vocabulary, request.chunks[index] ?? new Int32Array()),
  );
  return summarize(losses);
}

/** Negative log-likelihoods of the tokens that positions n/2 to n - 2 predict. */
function chunkLosses(logits: Float32Array, vocabulary: number, ids: Int32Array): number[] {
  const losses: number[] = [];
  for (let position = Math.floor(ids.length / 2); position < ids.length - 1; position++) {
    const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
    losses.push(lossOf(row, ids[position + 1] ?? 0));
  }
  return losses;
}

/** -log softmax(logits)[id], in binary64. */
export function lossOf(logits: Float32Array, id: number): number {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return largest + Math.log(sum) - (logits[id] ?? Number.NaN);
}

/** From the losses of single tokens. */
export function summarize(losses: readonly number[]): Perplexity {
  const count = losses.length;
  assert(count > 1, 'there are predictions to count');
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / count;
  const squares = losses.reduce((sum, loss) => sum + loss * loss, 0) / count;
  const deviation = Math.sqrt(Math.max(0, squares - mean * mean) / (count - 1));
  const result = Math.exp(mean);
  return { perplexity: result, error: deviation * result, tokens: count, losses };
}
