import type { BoardLink, Session } from './board-link.ts';
import { byId, element, setText } from './element.ts';
import { bytesText, msText } from './wording.ts';

const STRATEGIES = [
  ['smart', 'what pays by what was learned'],
  ['basic', 'what is unused'],
  ['aggressive', 'also what costs to rebuild, then collect and trim'],
] as const;

/** Buttons for who has the token, the field for the token for who has not. */
export class ActPanel {
  readonly #link: BoardLink;
  readonly #answer = element('p', { class: 'answer', role: 'status' });
  #shown = '';

  constructor(link: BoardLink) {
    this.#link = link;
  }

  show(session: Session): void {
    const { mayAct, hasToken, commands } = session;
    const key = JSON.stringify([mayAct, hasToken, commands]);
    if (key === this.#shown) return;
    this.#shown = key;
    const home = element('div', { class: 'act' });
    if (!commands.collect) home.append(element('p', { class: 'none' }, 'There is nothing here to command.'));
    else if (mayAct) home.append(...this.#buttons(session));
    else if (hasToken) home.append(this.#form());
    else
      home.append(
        element(
          'p',
          { class: 'none' },
          'Start the dashboard with a token to collect, to reclaim and to take heap snapshots from here.',
        ),
      );
    home.append(this.#answer);
    setText(this.#answer, '');
    byId('act').replaceChildren(home);
  }

  #buttons({ commands }: Session): HTMLElement[] {
    const collect = element('button', { type: 'button', id: 'collect' }, 'Collect garbage');
    collect.addEventListener('click', () =>
      this.#run('Collecting', async () => {
        const { durationMs, freedBytes } = await this.#link.collect();
        return `Collected in ${msText(durationMs)}: ${bytesText(freedBytes)} freed.`;
      }),
    );
    const select = element('select', { id: 'strategy', 'aria-label': 'Strategy' });
    for (const [name, what] of STRATEGIES) select.append(element('option', { value: name }, `${name}: ${what}`));
    const reclaim = element('button', { type: 'button', id: 'reclaim' }, 'Reclaim');
    reclaim.addEventListener('click', () =>
      this.#run('Reclaiming', async () => {
        const { claimedBytes, releasedBytes, seenBytes, durationMs } = await this.#link.reclaim(select.value);
        return `In ${msText(durationMs)}: ${bytesText(claimedBytes)} claimed, ${bytesText(releasedBytes)} released, ${bytesText(seenBytes)} observed.`;
      }),
    );
    const lines = [element('div', { class: 'line' }, collect), element('div', { class: 'line' }, select, reclaim)];
    if (!commands.heapSnapshot) return lines;
    const snapshot = element('button', { type: 'button', id: 'heap-snapshot' }, 'Write a heap snapshot');
    snapshot.addEventListener('click', () =>
      this.#run('Writing; the process stands still meanwhile', async () => {
        const { path, bytes } = await this.#link.heapSnapshot();
        return `${bytesText(bytes)} in ${path}.`;
      }),
    );
    return [...lines, element('div', { class: 'line' }, snapshot)];
  }

  #form(): HTMLElement {
    const input = element('input', {
      type: 'password',
      id: 'act-token',
      autocomplete: 'current-password',
      required: true,
    });
    const label = element('label', { for: 'act-token' }, 'To act, show the token');
    const form = element('form', {}, label, input, element('button', { type: 'submit' }, 'Log in'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#run('Logging in', async () => {
        await this.#link.login(input.value);
        await this.#link.start();
        return '';
      });
    });
    return form;
  }

  async #run(what: string, act: () => Promise<string>): Promise<void> {
    const buttons = byId('act').querySelectorAll('button');
    for (const button of buttons) button.disabled = true;
    setText(this.#answer, `${what} …`);
    try {
      setText(this.#answer, await act());
    } catch (error) {
      setText(this.#answer, `Not done: ${(error as Error).message}`);
    }
    for (const button of buttons) button.disabled = false;
  }
}
