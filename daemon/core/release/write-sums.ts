/**
 * Write sums: SHA256SUMS, as `sha256sum` of the coreutils writes it.
 *
 *   files and digests ──▶ encodeSums ──▶ text   (checksums.ts reads it)
 */

/** A line each, in the order of the names; digests in lower-case hex. */
export function encodeSums(
  files: readonly { readonly file: string; readonly sha256: string }[],
): string {
  return files
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
    .map(({ file, sha256 }) => `${sha256}  ${file}\n`)
    .join('');
}
