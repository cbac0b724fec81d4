import { type Observation, pointOf } from '../src/observe/observation.ts';
import { ActPanel } from './act-panel.ts';
import { BoardLink, type Session } from './board-link.ts';
import { ConsumerPanel } from './consumer-panel.ts';
import { byId, element, setText } from './element.ts';
import { MemoryPanel } from './memory-panel.ts';
import { PointHistory } from './point-history.ts';
import { PressurePanel } from './pressure-panel.ts';
import { RecordPanel } from './record-panel.ts';
import { bytesText, countText, percentText } from './wording.ts';

const RUN_KINDS: ReadonlySet<string> = new Set(['started', 'completed', 'stage', 'tool', 'mode', 'spill']);

/** The page: what comes from the server goes to the panels. */
class Board {
  readonly #history = new PointHistory();
  readonly #memory = new MemoryPanel(this.#history);
  readonly #consumers = new ConsumerPanel(this.#history);
  readonly #pressure = new PressurePanel(this.#history);
  readonly #records = new RecordPanel();
  readonly #link = new BoardLink({
    onSession: (session) => this.#onSession(session),
    onState: (state, text) => this.#onState(state, text),
    onObservation: (observation) => this.#onObservation(observation),
    onOpen: () => this.#catchUp(),
  });
  readonly #act = new ActPanel(this.#link);
  #before: Observation | undefined;
  #title = 'Plimsoll';

  async start(): Promise<void> {
    byId<HTMLFormElement>('login-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#login();
    });
    byId('logout').addEventListener('click', () => {
      void this.#link.logout().finally(() => this.#link.start());
    });
    await this.#link.start();
  }

  async #login(): Promise<void> {
    const token = byId<HTMLInputElement>('token');
    try {
      await this.#link.login(token.value);
      token.value = '';
      setText(byId('login-answer'), '');
      await this.#link.start();
    } catch (error) {
      setText(byId('login-answer'), `Not let in: ${(error as Error).message}`);
    }
  }

  #onSession(session: Session): void {
    byId('login').hidden = session.mayRead;
    byId('board').hidden = !session.mayRead;
    byId('logout').hidden = !session.mayAct;
    byId('login-form').hidden = !session.hasToken;
    byId('login-none').hidden = session.hasToken;
    if (!session.mayRead && session.hasToken) byId('token').focus();
    this.#title = session.title ?? 'Plimsoll';
    setText(byId('title'), this.#title);
    this.#act.show(session);
  }

  #onState(state: string, text: string): void {
    const link = byId('link');
    link.dataset.state = state;
    setText(link, text);
  }

  /** What was missed: the charts go on where they were. */
  async #catchUp(): Promise<void> {
    this.#history.add(await this.#link.points(this.#history.gapFreeUpTo));
    this.#showCharts();
    this.#records.addEvents(await this.#link.events());
    this.#records.showRuns(await this.#link.runs());
    this.#records.showJournal(await this.#link.journal());
  }

  #onObservation(observation: Observation): void {
    const before = this.#before;
    const isAnother = before !== undefined && (before.pid !== observation.pid || observation.number < before.number);
    if (isAnother) {
      // The process was started again: its numbers begin anew.
      this.#history.clear();
      this.#records.clear();
      fetchOrMiss(this.#catchUp());
    }
    this.#before = observation;
    this.#history.add([pointOf(observation, isAnother || before === undefined ? observation : before)]);
    this.#showHead(observation, isAnother ? undefined : before);
    this.#memory.show(observation);
    this.#consumers.show(observation);
    this.#pressure.showChart();
    this.#records.show(observation);
    if (observation.snapshot.trains.count !== before?.snapshot.trains.count) {
      fetchOrMiss(this.#link.journal().then((rows) => this.#records.showJournal(rows)));
    }
    if (observation.events.some(({ kind }) => RUN_KINDS.has(kind))) {
      fetchOrMiss(this.#link.runs().then((rows) => this.#records.showRuns(rows)));
    }
  }

  #showCharts(): void {
    this.#memory.showChart();
    this.#consumers.showChart();
    this.#pressure.showChart();
  }

  #showHead({ snapshot, pid, alerts }: Observation, before: Observation | undefined): void {
    const { level, decidingMeter, meters, reservedBytes, availableBytes, refusals, waiting, mode, faults } = snapshot;
    const badge = byId('level');
    setText(badge, level);
    badge.dataset.level = level;
    const deciding = meters.find(({ name }) => name === decidingMeter);
    const of =
      deciding === undefined
        ? ''
        : `${percentText(deciding.ratio)} by ${decidingMeter}: ${bytesText(deciding.bytes)} of ${bytesText(deciding.limitBytes)}`;
    setText(
      byId('headline'),
      [of, `${bytesText(reservedBytes)} reserved`, `${bytesText(availableBytes)} free`].join(' · '),
    );
    setText(byId('process'), `pid ${pid}`);
    document.title = `${level} · ${this.#title}`;
    const off = snapshot.acting ? '' : ', switched off by a fault';
    setText(
      byId('foot'),
      `Mode ${mode}${off}, strategy ${snapshot.strategy} · limit from ${snapshot.limitFrom} · ${countText(refusals)} refused, ${countText(waiting)} waiting · ` +
        `watching takes ${(snapshot.samples.share * 100).toFixed(2)}% of a core`,
    );
    const known = [
      ...snapshot.warnings,
      ...faults.map(({ part, message }) => `A part of the governor failed: ${part}: ${message}`),
    ];
    byId('warnings').hidden = known.length === 0;
    const list = byId('warning-list');
    if (list.childElementCount !== known.length) list.replaceChildren(...known.map(() => element('li')));
    for (const [i, text] of known.entries()) setText(list.children[i]!, text);
    if (before !== undefined && before.snapshot.level !== level) setText(byId('announce'), `Pressure is ${level} now`);
    const raised = alerts.filter(({ phase }) => phase === 'raised').map(({ rule }) => rule);
    const news = raised.filter((rule) => !before?.alerts.some((row) => row.rule === rule && row.phase === 'raised'));
    if (news.length > 0) setText(byId('announce'), `Alert: ${news.join(', ')}`);
  }
}

/** What is not there because the connection was lost is fetched when it is back. */
function fetchOrMiss(fetching: Promise<void>): void {
  fetching.catch(() => {});
}

void new Board().start();
