import { formatBytes } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { describeCause } from '../describe-cause.ts';
import {
  checkFeedFolder,
  type FeedLine,
  FeedReader,
  feedHome,
  feedPath,
  feedsIn,
  isFeedHeader,
  isRunning,
  type Observation,
} from '../observe/index.ts';
import { NoFeedError } from './no-feed-error.ts';
import { formatDuration, type Page, toneOfLevel } from './page.ts';
import { jsonLines } from './plain-lines.ts';
import { renderPage } from './render.ts';
import { RunRecorder } from './run-recorder.ts';
import { drawnOn, type Screen } from './screen.ts';
import { topPage } from './top-page.ts';
import { TopScreen } from './top-screen.ts';
import { askOnce, followDashboard, followProcess } from './top-source.ts';
import { UsageError } from './usage-error.ts';

export interface TopOptions {
  readonly once: boolean;
  readonly json: boolean;
  /** The shortest time between two pictures where they are not drawn over each other, ms. */
  readonly everyMs: number;
  readonly feed?: string;
  readonly token?: string;
}

/** Of a process on this machine or of a dashboard, or what there is to watch. Throws `PLIMSOLL_USAGE`, `PLIMSOLL_NO_FEED`. */
export async function topCommand(target: string | undefined, options: TopOptions, screen: Screen): Promise<void> {
  const { clock, env } = screen;
  const stop = new AbortController();
  const { signal } = stop;
  const folder = options.feed ?? feedHome();
  if (target !== undefined && /^https?:\/\//i.test(target)) {
    // Not repeated: a password may stand in it.
    if (!URL.canParse(target)) throw new UsageError('the URL of the dashboard cannot be read');
    const url = new URL(target);
    if (url.username !== '' || url.password !== '') {
      throw new UsageError('no name or password in the URL: a token stands in PLIMSOLL_TOKEN');
    }
    const remote = { url, token: options.token ?? env.PLIMSOLL_TOKEN, clock, signal };
    if (options.once) return showOnce([await askOnce(remote)], url.host, options, screen);
    return watch(followDashboard(remote), url.host, options, screen, stop);
  }
  const named = target === undefined ? undefined : pidOf(target);
  checkFolder(folder);
  const pid = named ?? onlyFeed(folder);
  if (pid === undefined) return showFeeds(folder, options, screen);
  const source = followProcess(folder, pid, clock, signal);
  if (!options.once) return watch(source, String(pid), options, screen, stop);
  const { value } = await source.next();
  await source.return(undefined);
  showOnce(value ?? [], String(pid), options, screen);
}

function pidOf(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  const shown = text.includes('@') ? 'the target' : `\`${text}\``;
  throw new UsageError(`${shown} is neither the number of a process nor an http URL`);
}

function checkFolder(folder: string): void {
  try {
    checkFeedFolder(folder);
  } catch (cause) {
    throw new NoFeedError(describeCause(cause), cause);
  }
}

/** Undefined where there are several to choose from. */
function onlyFeed(folder: string): number | undefined {
  const running = feedsIn(folder).filter(isRunning);
  if (running.length === 0) {
    throw new NoFeedError(
      `nothing writes a feed in ${folder}: start a program with PLIMSOLL_FEED=on node --import plimsoll/auto app.js`,
    );
  }
  return running.length === 1 ? running[0] : undefined;
}

function showOnce(lines: readonly FeedLine[], name: string, { json }: TopOptions, screen: Screen): void {
  const shown = new Shown(name);
  shown.note(lines);
  const { look } = shown;
  if (look === undefined) throw new NoFeedError('there was no look yet: try again in a moment');
  const { stdout, env } = screen;
  stdout.write(json ? jsonLines(look) : renderPage(shown.page(look), drawnOn(stdout, env)));
}

/** What was seen of one process. */
class Shown {
  #program: string;
  #recorder: RunRecorder | undefined;

  constructor(program: string) {
    this.#program = program;
  }

  get look(): Observation | undefined {
    return this.#recorder?.last;
  }

  note(lines: readonly FeedLine[]): void {
    for (const line of lines) {
      if (isFeedHeader(line)) this.#program = line.program;
      // The process behind a URL may have been started anew.
      if ('snapshot' in line && line.pid !== this.#recorder?.pid) this.#recorder = new RunRecorder(line.pid);
      this.#recorder?.note(line);
    }
  }

  page(look: Observation): Page {
    return topPage(look, this.#recorder!, this.#program);
  }
}

async function watch(
  source: AsyncGenerator<readonly FeedLine[]>,
  name: string,
  { json, everyMs }: TopOptions,
  screen: Screen,
  stop: AbortController,
): Promise<void> {
  const { stdout, env, clock } = screen;
  const shown = new Shown(name);
  using drawn =
    !json && stdout.isTTY === true && env.TERM !== 'dumb' ? new TopScreen(stdout, () => stop.abort()) : undefined;
  let due = Number.NEGATIVE_INFINITY;
  for await (const lines of source) {
    shown.note(lines);
    const { look } = shown;
    if (look === undefined) continue;
    if (json) {
      for (const line of lines) if ('snapshot' in line) stdout.write(jsonLines(line));
    } else if (drawn !== undefined) drawn.draw(renderPage(shown.page(look), drawnOn(stdout, env)));
    else if (isDue(clock, due)) {
      due = clock.now() + everyMs;
      stdout.write(`${renderPage(shown.page(look), drawnOn(stdout, env))}\n`);
    }
  }
}

const isDue = (clock: Clock, due: number): boolean => clock.now() >= due;

function showFeeds(folder: string, { json }: TopOptions, { stdout, env, clock }: Screen): void {
  const rows = feedsIn(folder)
    .filter(isRunning)
    .flatMap((pid) => {
      const shown = new Shown(String(pid));
      const lines = linesOf(folder, pid);
      shown.note(lines);
      const header = lines.find(isFeedHeader);
      return shown.look === undefined || header === undefined ? [] : [{ header, look: shown.look }];
    });
  if (json) {
    const list = rows.map(({ header, look }) => ({
      ...header,
      level: look.snapshot.level,
      meters: look.snapshot.meters,
    }));
    stdout.write(jsonLines(list));
    return;
  }
  const page: Page = {
    title: 'plimsoll top: several programs write a feed',
    about: 'plimsoll top PID',
    blocks: [
      {
        kind: 'table',
        head: ['program', 'pid', 'for', 'level', 'rss', 'the line'],
        rows: rows.map(({ header, look: { snapshot } }) => [
          header.program,
          String(header.pid),
          formatDuration(Math.max(0, clock.wall() - header.startedAt)),
          { text: snapshot.level, tone: toneOfLevel(snapshot.level) },
          formatBytes(snapshot.meters.find(({ name }) => name === 'rss')?.bytes ?? 0),
          formatBytes(snapshot.limitBytes),
        ]),
      },
    ],
  };
  stdout.write(renderPage(page, drawnOn(stdout, env)));
}

/** None for one that cannot be read: the others are shown all the same. */
function linesOf(folder: string, pid: number): readonly FeedLine[] {
  using reader = new FeedReader(feedPath(folder, pid));
  try {
    return reader.read();
  } catch {
    return [];
  }
}
