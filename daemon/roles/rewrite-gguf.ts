/**
 * Rewrite GGUF: splits, merges and retouches GGUFs, whose tensors stay as they are.
 *
 *   GgufRequest ──▶ headers of SOURCE ──▶ CopiedFile[] ──▶ copyGguf ──▶ RunEvents
 *
 * What the files will be is decided in core/gguf/: cut-parts.ts and retouch.ts.
 */

import type { KeyChange, RunEvent } from '../../proto/api.ts';
import { FaultError } from '../../proto/fault.ts';
import type {
  GgufRequest,
  MergeRequest,
  RetouchRequest,
  SplitRequest,
} from '../../proto/gguf-requests.ts';
import type { RunRequest } from '../../proto/requests.ts';
import type { CopiedFile } from '../core/gguf/copy-plan.ts';
import {
  PART_TENSORS_DEFAULT,
  type PartLimit,
  planMerge,
  planSplit,
} from '../core/gguf/cut-parts.ts';
import type { GgufPart } from '../core/gguf/reader.ts';
import { planRetouch } from '../core/gguf/retouch.ts';
import { rewriteFaults } from '../core/gguf/rewrite-faults.ts';
import { readUtf8 } from '../core/gguf/utf8.ts';
import type { Source } from '../ports.ts';
import { type CopyOutcome, type CopyPorts, copyGguf } from './copy-gguf.ts';
import { runFaults } from './faults.ts';
import { openGguf } from './open-gguf.ts';
import type { ImportancePorts } from './open-imatrix.ts';

export interface RewritePorts extends CopyPorts {
  readonly openSource: (path: string) => Promise<Source>;
  readonly openFile: ImportancePorts['openFile'];
  readonly splitPath: (path: string) => { directory: string; file: string };
}

type Report = (event: RunEvent) => void;

/** What a request comes to. */
interface Rewrite {
  readonly source: string;
  readonly directory: string;
  readonly files: readonly CopiedFile[];
  readonly changes: readonly KeyChange[];
  readonly notices: readonly string[];
  readonly inPlace: boolean;
  /** Everything is planned and nothing made. */
  readonly isIdle: boolean;
}

export function isGgufRequest(request: RunRequest): request is GgufRequest {
  return request.kind === 'split' || request.kind === 'merge' || request.kind === 'retouch';
}

/**
 * Runs the request to its end; resolves when every file has its name.
 * @throws FaultError whatever stopped it; files without their names can be continued
 */
export async function rewriteGguf(
  request: GgufRequest,
  ports: RewritePorts,
  report: Report,
  drain: AbortSignal,
): Promise<void> {
  const startMs = ports.clock.now();
  const source = await ports.openSource(request.source);
  try {
    const { named } = source;
    if (named === undefined) {
      throw new FaultError(rewriteFaults.notOneFile, { file: request.source });
    }
    const rewrite = await planned(request, source, named, ports, drain);
    for (const text of rewrite.notices) report({ type: 'notice', text });
    report(copyEvent(rewrite));
    const { sourceBytes, runsWritten }: CopyOutcome = rewrite.isIdle
      ? { sourceBytes: 0, runsWritten: 0 }
      : await copyGguf({ ...rewrite, source, overwrite: request.overwrite }, ports, report, drain);
    report({
      type: 'done',
      seconds: (ports.clock.now() - startMs) / 1000,
      sourceBytes,
      sourceBytesRead: sourceBytes,
      unitsMade: runsWritten,
      outputs: rewrite.isIdle ? 0 : rewrite.files.length,
      peers: [],
    });
  } catch (error) {
    // Whatever was under way is kept; a reading that was called off is nobody's fault.
    if (!drain.aborted || error instanceof FaultError) throw error;
    throw new FaultError(runFaults.interrupted, {}, { cause: error });
  } finally {
    await source.close();
  }
}

async function planned(
  request: GgufRequest,
  source: Source,
  named: string,
  ports: RewritePorts,
  drain: AbortSignal,
): Promise<Rewrite> {
  if (request.kind === 'merge') {
    return mergeOf(request, await openGguf(source, named, drain), ports);
  }
  // Of a part, the parts beside it are nobody's concern here.
  const [first] = await openGguf(alone(source, named), named, drain);
  if (first === undefined) throw new Error(`${named} was not opened`);
  return request.kind === 'split'
    ? splitOf(request, first, ports)
    : await retouchOf(request, first, ports);
}

/** The source with the named file as its only one. */
function alone(source: Source, named: string): Pick<Source, 'list' | 'read'> {
  return {
    list: async () => (await source.list()).filter(({ file }) => file === named),
    read: (...place) => source.read(...place),
  };
}

function splitOf(request: SplitRequest, part: GgufPart, ports: RewritePorts): Rewrite {
  const { maxTensors, maxBytes } = request;
  if (maxTensors !== undefined && maxBytes !== undefined) {
    throw new FaultError(rewriteFaults.twoLimits);
  }
  const limit: PartLimit =
    maxBytes === undefined
      ? { of: 'tensors', most: maxTensors ?? PART_TENSORS_DEFAULT }
      : { of: 'bytes', most: maxBytes };
  const { directory, file: stem } = ports.splitPath(request.out);
  // A part's name is this and the number: what no file is called cannot begin one.
  if (stem === '' || stem === '.' || stem === '..') {
    throw new FaultError(rewriteFaults.badPrefix, { file: request.out });
  }
  const files = planSplit(part, stem, limit, request.noTensorFirstSplit);
  return { ...rewriteOf(part.file, directory, files), isIdle: request.dryRun };
}

function mergeOf(request: MergeRequest, parts: readonly GgufPart[], ports: RewritePorts): Rewrite {
  const { directory, file } = ports.splitPath(request.out);
  const { whole, notices } = planMerge(parts, file);
  return { ...rewriteOf(parts[0]?.file ?? file, directory, [whole]), notices };
}

async function retouchOf(
  request: RetouchRequest,
  part: GgufPart,
  ports: RewritePorts,
): Promise<Rewrite> {
  const { set, remove, name, force } = request;
  const template = request.chatTemplate;
  const chatTemplate = template === undefined ? undefined : await readTemplate(template, ports);
  const { directory, file } = ports.splitPath(request.out ?? request.source);
  const { copied, changes } = planRetouch(part, { set, remove, name, chatTemplate, force }, file);
  const inPlace = request.out === undefined;
  const isIdle = inPlace && changes.length === 0;
  return {
    ...rewriteOf(part.file, directory, [copied]),
    ...{ changes, inPlace, isIdle },
    notices: retouchNotices(part, inPlace, isIdle),
  };
}

function retouchNotices(
  { gguf: { split } }: GgufPart,
  inPlace: boolean,
  isIdle: boolean,
): string[] {
  if (isIdle) return ['everything is as it was asked to be: the file is left alone'];
  if (inPlace || split === undefined || split.parts === 1) return [];
  // A part that goes elsewhere cannot be read alone.
  const others = split.parts - 1;
  return [
    `the ${others} other ${others === 1 ? 'part is' : 'parts are'} not copied: they belong beside it, under names like its own`,
  ];
}

function rewriteOf(source: string, directory: string, files: readonly CopiedFile[]): Rewrite {
  return { source, directory, files, changes: [], notices: [], inPlace: false, isIdle: false };
}

// Some fifty times the longest template in use.
const TEMPLATE_BYTES_MAX = 2 ** 20;

async function readTemplate(path: string, { openFile }: RewritePorts): Promise<string> {
  const file = await openFile(path);
  try {
    if (file.bytes === 0 || file.bytes > TEMPLATE_BYTES_MAX) {
      const why = `${file.bytes} bytes instead of 1 to ${TEMPLATE_BYTES_MAX}`;
      throw new FaultError(rewriteFaults.badTemplate, { file: path, why });
    }
    const bytes = new Uint8Array(file.bytes);
    await file.read(0, bytes);
    const text = readUtf8(bytes);
    if (text === undefined || text.includes('\0')) {
      throw new FaultError(rewriteFaults.badTemplate, { file: path, why: 'it is no UTF-8 text' });
    }
    return text;
  } finally {
    await file.close();
  }
}

function copyEvent({ source, files, changes }: Rewrite): RunEvent {
  return {
    type: 'copy',
    source,
    tensors: files.reduce((sum, { layout }) => sum + layout.tensors.length, 0),
    bytes: files.reduce(
      (sum, { layout }) => layout.tensors.reduce((part, { bytes }) => part + bytes, sum),
      0,
    ),
    files: files.map(({ file, layout }) => ({
      file,
      tensors: layout.tensors.length,
      bytes: layout.fileBytes,
    })),
    changes,
  };
}
