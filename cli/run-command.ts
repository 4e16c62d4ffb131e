/**
 * Run command: sends a run to the daemon and shows its events.
 *
 *   request ──▶ Client.run ──▶ terminal, plain lines, or NDJSON ──▶ exit code
 */

import type { createLogUpdate } from 'log-update';
import type { RunEvent } from '../proto/api.ts';
import type { RunRequest } from '../proto/requests.ts';
import type { Client } from './client.ts';
import { renderEstimate } from './estimate-view.ts';
import { renderFault } from './fault-view.ts';
import { renderCopied, renderCopy } from './gguf-view.ts';
import { printable } from './inspect-view.ts';
import {
  renderAhead,
  renderCalibration,
  renderCoverage,
  renderImatrix,
  renderMeasured,
  renderPerplexity,
} from './measure-view.ts';
import { renderPublish, renderPublished } from './publish-view.ts';
import {
  renderAssembly,
  renderDone,
  renderLayers,
  renderOutputs,
  renderPlacement,
  renderPlan,
  renderProgress,
  renderRelease,
  renderRepository,
  renderSeconds,
  renderWork,
} from './run-view.ts';
import { renderStatistics } from './statistics-view.ts';
import { renderFinding, renderVerdict } from './verify-view.ts';

// A log that is read later needs a sign of life, not a film.
const PLAIN_INTERVAL_MS = 10_000;
const INTERRUPTED = 130;
// Of what is no terminal: a file may have long lines.
const WIDTH_DEFAULT = 200;

export interface Screen {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
  readonly json: boolean;
}

/**
 * Resolves with the exit code.
 * @param watch called with each event before it is shown
 */
export async function showRun(
  client: Client,
  request: RunRequest,
  screen: Screen,
  watch: (event: RunEvent) => void = () => undefined,
): Promise<number> {
  const view = screen.json ? new JsonView(screen) : new TextView(screen, await makeBar(screen));
  let run: number | undefined;
  let interrupts = 0;
  const onInterrupt = (): void => {
    interrupts++;
    if (interrupts > 1 || run === undefined) process.exit(INTERRUPTED);
    screen.err.write('\nfinishing what is under way; Ctrl-C again stops at once\n');
    client.drain(run).catch(() => process.exit(INTERRUPTED));
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  try {
    let code = 1;
    for await (const event of client.run(request)) {
      if (event.type === 'accepted') run = event.run;
      if (event.type === 'done') code = 0;
      if (event.type === 'fault') code = event.exit;
      watch(event);
      view.show(event);
    }
    return code;
  } finally {
    view.end();
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
  }
}

type Bar = ReturnType<typeof createLogUpdate>;

/** Only of a terminal; no other command loads the package, whose tables of Unicode take 30 ms. */
async function makeBar({ err }: Screen): Promise<Bar | undefined> {
  if (!err.isTTY) return undefined;
  const { createLogUpdate } = await import('log-update');
  return createLogUpdate(err);
}

/** Shows what a run has told before. */
export function showEvents(events: readonly RunEvent[], screen: Screen): void {
  const view = new TextView(screen, undefined);
  for (const event of events) view.show(event);
  view.end();
}

interface View {
  show(event: RunEvent): void;
  end(): void;
}

class JsonView implements View {
  readonly #screen: Screen;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show(event: RunEvent): void {
    this.#screen.out.write(`${JSON.stringify({ ...event, ts: new Date().toISOString() })}\n`);
  }

  end(): void {
    // Every line is whole already.
  }
}

class TextView implements View {
  readonly #screen: Screen;
  readonly #bar: Bar | undefined;
  readonly #outputs: Extract<RunEvent, { type: 'output' }>[] = [];
  readonly #copied: Extract<RunEvent, { type: 'copied' }>[] = [];
  #files: readonly string[] = [];
  #plainMs = Date.now();
  #hasMatrix = false;
  #hasVerdict = false;
  /** Those that have been printed: a hundred damaged tensors need the same one. */
  readonly #hints = new Set<string>();
  #release: Extract<RunEvent, { type: 'release' }> | undefined;
  #isCopy = false;

  constructor(screen: Screen, bar: Bar | undefined) {
    this.#screen = screen;
    this.#bar = bar;
  }

  show(event: RunEvent): void {
    switch (event.type) {
      case 'plan':
        this.#files = event.outputs.map(({ file }) => file);
        this.#lines(renderPlan(event));
        break;
      case 'progress':
        this.#progress(event);
        break;
      case 'imatrix':
        this.#hasMatrix = true;
        this.#lines(renderImatrix(event));
        break;
      case 'release':
        this.#release = event;
        break;
      case 'finding':
        this.#lines(renderFinding(event, this.#hints));
        break;
      case 'reproduced':
      case 'verified':
        this.#hasVerdict = true;
        this.#lines(renderVerdict(event));
        break;
      case 'copy':
        this.#isCopy = true;
        this.#lines(renderCopy(event));
        break;
      case 'copied':
        this.#copied.push(event);
        break;
      case 'publish':
        this.#hasVerdict = true;
        this.#lines(renderPublish(event));
        break;
      case 'output':
        this.#outputs.push(event);
        break;
      case 'done':
        this.#lines(this.#ending(event));
        break;
      case 'fault':
        this.#bar?.clear();
        this.#screen.err.write(`${renderFault(event).join('\n')}\n`);
        break;
      default:
        this.#lines(toldLines(event, this.#screen.out.columns || WIDTH_DEFAULT));
    }
  }

  end(): void {
    this.#bar?.clear();
    this.#bar?.done();
  }

  #ending(event: Extract<RunEvent, { type: 'done' }>): string[] {
    if (this.#hasVerdict) return [renderSeconds(event)];
    if (this.#isCopy && event.outputs === 0) return ['nothing was made'];
    if (this.#isCopy) return ['', ...renderCopied(this.#copied), '', renderSeconds(event)];
    if (event.outputs === 0 && !this.#hasMatrix) return ['dry run: nothing was made'];
    if (event.outputs === 0) return ['', renderSeconds(event)];
    const ending = [...renderWork(event), renderDone(event)];
    const release = this.#release === undefined ? [] : renderRelease(this.#release);
    return ['', ...renderOutputs(this.#inOrder()), ...release, '', ...ending];
  }

  /** As the user named the types, whichever was finished first. */
  #inOrder(): Extract<RunEvent, { type: 'output' }>[] {
    const place = ({ file }: { file: string }): number => this.#files.indexOf(file);
    return this.#outputs.toSorted((a, b) => place(a) - place(b));
  }

  #progress(event: Extract<RunEvent, { type: 'progress' }>): void {
    if (this.#bar !== undefined) {
      // A terminal that does not know its width says 0.
      this.#bar(renderProgress(event, this.#screen.err.columns || 80));
    } else if (Date.now() - this.#plainMs >= PLAIN_INTERVAL_MS) {
      this.#plainMs = Date.now();
      this.#screen.err.write(`${renderProgress(event, 200)}\n`);
    }
  }

  #lines(lines: readonly string[]): void {
    if (lines.length === 0) return;
    this.#bar?.clear();
    this.#screen.out.write(`${lines.join('\n')}\n`);
  }
}

/** Of events that are told at once and then forgotten; none for the others. */
function toldLines(event: RunEvent, width: number): readonly string[] {
  switch (event.type) {
    case 'repository':
      return [renderRepository(event)];
    case 'layers':
      return renderLayers(event);
    case 'estimate':
      return renderEstimate(event);
    case 'placement':
      return renderPlacement(event);
    case 'assembly':
      return renderAssembly(event);
    case 'notice':
      return [printable(`note     ${event.text}`)];
    case 'calibration':
      return renderCalibration(event);
    case 'measured':
      return renderMeasured(event);
    case 'ahead':
      return renderAhead(event);
    case 'coverage':
      return renderCoverage(event);
    case 'perplexity':
      return [renderPerplexity(event)];
    case 'statistics':
      return renderStatistics(event, width);
    case 'published':
      return renderPublished(event);
    default:
      return [];
  }
}
