import { readFileSync } from 'node:fs';

/** Those that a terminal sends to every process at its foot by itself: passed on, they would come twice. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGWINCH']);

/**
 * Tells which signals are held back from a program, as the terminal has sent them to it already. Who sent a signal cannot be known: the first one is taken to be the terminal's wherever it
 * may be. If the program is there yet when another comes, that is passed on in any case, lest one who sends to this process alone is never heard.
 */
export class HeldSignals {
  readonly #isAtFoot: () => boolean;
  readonly #held = new Set<NodeJS.Signals>();

  /** `isAtFoot` says whether this process is among those that the terminal sends to. */
  constructor(isAtFoot: () => boolean) {
    this.#isAtFoot = isAtFoot;
  }

  /** Whether that one, which has come now, is held back. */
  holds(signal: NodeJS.Signals): boolean {
    if (!FROM_TERMINAL.has(signal) || !this.#isAtFoot()) return false;
    // Of a change of its size every program asks once too often rather than not at all, and nobody sends it by hand.
    if (signal === 'SIGWINCH') return true;
    if (this.#held.has(signal)) return false;
    this.#held.add(signal);
    return true;
  }
}

/**
 * Whether a terminal sends this process what is typed there (proc_pid_stat(5): its own process group is that at the foot of its terminal). Never for the first process of a container, which
 * is ended by signals that are sent to it alone. Where the system does not say, `otherwise`.
 */
export function isAtFootOfTerminal(
  otherwise: boolean,
  pid: number = process.pid,
  stat: () => string = () => readFileSync(`/proc/${pid}/stat`, 'latin1'),
): boolean {
  if (pid === 1) return false;
  try {
    const text = stat();
    // The name before it may have brackets and spaces in it.
    const [, , group, , , foot] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return group === undefined || foot === undefined ? otherwise : group === foot;
  } catch {
    return otherwise;
  }
}
