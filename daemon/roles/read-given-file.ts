/** Read given file: all of a small file that a user has named, within a limit. */

import { FaultError, type FaultKind } from '../../proto/fault.ts';
import type { OpenFile } from './read-imatrix.ts';

export interface GivenFile {
  /** Absolute. */
  readonly path: string;
  /** As the user wrote it, for faults. */
  readonly given: string;
  readonly bytesMax: number;
  readonly faults: { readonly fileMissing: FaultKind; readonly fileTooLarge: FaultKind };
}

/** @throws FaultError fileMissing, fileTooLarge */
export async function readGivenFile(
  { path, given: file, bytesMax, faults }: GivenFile,
  openFile: OpenFile,
): Promise<Uint8Array> {
  const reader = await openFile(path).catch((cause: unknown) => {
    if (!(cause instanceof FaultError)) throw cause;
    const { why = 'there is no regular file' } = cause.detail;
    throw new FaultError(faults.fileMissing, { file, why }, { cause });
  });
  try {
    if (reader.bytes > bytesMax) {
      const why = `${reader.bytes} bytes, where ${bytesMax} are allowed`;
      throw new FaultError(faults.fileTooLarge, { file, why });
    }
    const bytes = new Uint8Array(reader.bytes);
    if (bytes.length > 0) await reader.read(0, bytes);
    return bytes;
  } finally {
    await reader.close();
  }
}
