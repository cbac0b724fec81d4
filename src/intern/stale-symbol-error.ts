import { PlimsollError } from '../errors.ts';

/** `PLIMSOLL_STALE_SYMBOL`: the text of a symbol has been dropped, or the number is no symbol of this interner. Intern the text again. */
export class StaleSymbolError extends PlimsollError {
  override readonly name: string = 'StaleSymbolError';
  readonly symbol: number;

  constructor(interner: string, symbol: number) {
    super(`${String(symbol)} names no text that \`${interner}\` keeps: its text was dropped, or it is not its symbol`, {
      code: 'PLIMSOLL_STALE_SYMBOL',
      recovery: 'fallback',
    });
    this.symbol = symbol;
  }
}
