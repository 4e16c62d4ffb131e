/**
 * Limits of a GGUF's header: what the reader accepts and the writer keeps to.
 *
 * Every number here is an upper bound on what a stranger's file can make us allocate or loop over.
 * Format: docs/gguf.md.
 */

// The header's fixed part: magic, version, number of tensors, number of keys.
export const FIXED_BYTES = 24;

// Where no key says otherwise.
export const ALIGNMENT_DEFAULT = 32;

// A larger one only blows padding up: the widest in use is a 64 KiB page.
export const ALIGNMENT_MAX = 2 ** 20;

// Twelve times the largest header in use: 262 144 tokens with 514 906 merges make about 20 MB.
export const HEADER_BYTES_MAX = 256 * 2 ** 20;

// A model writes some 40 keys, a vision tower or a merge recipe a few hundred.
export const KEYS_MAX = 2 ** 16;

// The largest models in use have about 100 000 tensors when experts are not stacked.
export const TENSORS_MAX = 2 ** 17;

// Of all arrays together. A tokenizer of 262 144 tokens has 1.3 million; each costs 8 bytes or more.
export const ARRAY_ELEMENTS_MAX = 2 ** 23;

// A chat template has some 20 kB; this leaves room for a whole licence or a model card.
export const STRING_BYTES_MAX = 64 * 2 ** 20;

// The format's own bound on a key.
export const KEY_BYTES_MAX = 65_535;

// ggml keeps a name in 64 bytes with its terminator.
export const NAME_BYTES_MAX = 63;

// ggml's tensors have four dimensions.
export const DIMENSIONS_MAX = 4;

// Above this a JavaScript number no longer holds every integer, so sizes end here.
export const SIZE_MAX = Number.MAX_SAFE_INTEGER;

// The smallest records there are, so that a count can be checked against the bytes that are left.
// A key of one byte: length 8 + 1, type 4, a value of one byte.
export const KEY_RECORD_BYTES_MIN = 14;
// A name of one byte: length 8 + 1, number of dimensions 4, one of them 8, type 4, offset 8.
export const TENSOR_RECORD_BYTES_MIN = 33;

/** a · b, or undefined where the product is no exact size. Both must be sizes themselves. */
export function times(a: number, b: number): number | undefined {
  // Two integers below 2^53 whose exact product is 2^53 or more never round to less.
  const product = a * b;
  return product <= SIZE_MAX ? product : undefined;
}

/** The next multiple of `alignment` at or above `bytes`. */
export function padded(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** Whether a number is an alignment: a power of two within the limit. */
export function isAlignment(number: number): boolean {
  return Number.isInteger(Math.log2(number)) && number >= 1 && number <= ALIGNMENT_MAX;
}
