import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { FailOpen } from '../fail-open.ts';
import { type AutoMode, type AutoSignal, readMode } from './settings.ts';

const EVERY_MS = 1_000;
/** More than a word and what may stand around it. */
const READ_BYTES = 256;
const SHOWN = 30;

export interface ModeSwitchOptions {
  /** As started: what holds while neither file nor signal says anything else. */
  readonly mode: AutoMode;
  readonly clock: Clock;
  /** Looked at now and once a second, one `stat`; its first word is the mode. Absent, or not there: as started. */
  readonly controlPath?: string | undefined;
  /** Switches off, and back when it comes again. Absent: no listener is added, because one changes what the signal does. */
  readonly signal?: AutoSignal | undefined;
  /** Called when another mode is to hold; also once at the start when the file asks for one. */
  readonly onMode: (mode: AutoMode, by: string) => void;
  /** Told once for each content of the file that says no mode. */
  readonly complain: (text: string) => void;
}

/** The kill switch at run time. Its timer keeps no process alive; dispose it to stop looking and listening. */
export class ModeSwitch implements Disposable {
  readonly #options: ModeSwitchOptions;
  readonly #failOpen = new FailOpen('auto mode switch');
  #mode: AutoMode;
  /** What the file asks for. */
  #fileMode: AutoMode | undefined;
  /** Tells one state of the file from another. */
  #seen = '';
  #isOff = false;
  #timer: Disposable | undefined;
  #disposed = false;
  readonly #onSignal = () => {
    this.#isOff = !this.#isOff;
    this.#settle(`by ${this.#options.signal}`);
  };

  constructor(options: ModeSwitchOptions) {
    this.#options = options;
    this.#mode = options.mode;
    const { signal, controlPath } = options;
    if (signal !== undefined) this.#failOpen.run(() => void process.on(signal, this.#onSignal), undefined);
    if (controlPath !== undefined) this.#tick(controlPath);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    const { signal } = this.#options;
    if (signal !== undefined) process.off(signal, this.#onSignal);
  }

  #tick(path: string): void {
    this.#failOpen.run(() => this.#look(path), undefined);
    if (!this.#disposed) this.#timer = this.#options.clock.after(EVERY_MS, () => this.#tick(path));
  }

  #look(path: string): void {
    const seen = stateOf(path);
    if (seen === this.#seen) return;
    // Throws where no file can be opened, and is tried again then: who is short of descriptors may well want to switch off.
    const text = seen === '' ? '' : readStart(path);
    this.#seen = seen;
    this.#fileMode = readMode(text);
    if (this.#fileMode === undefined && text.trim() !== '') {
      const shown = text.trim().slice(0, SHOWN);
      this.#options.complain(`${path} begins with \`${shown}\`, which is none of off, observe, on: as started`);
    }
    this.#settle(seen === '' ? `${path} is gone` : `by ${path}`);
  }

  #settle(by: string): void {
    const mode = this.#isOff ? 'off' : (this.#fileMode ?? this.#options.mode);
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#failOpen.run(() => this.#options.onMode(mode, by), undefined);
  }
}

/** Empty for what is not there and for what is no file: opening a pipe would wait for somebody to write. */
function stateOf(path: string): string {
  try {
    const stat = statSync(path, { bigint: true });
    return stat.isFile() ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` : '';
  } catch {
    return '';
  }
}

function readStart(path: string): string {
  const bytes = Buffer.alloc(READ_BYTES);
  const file = openSync(path, 'r');
  try {
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, READ_BYTES, 0));
  } finally {
    closeSync(file);
  }
}
