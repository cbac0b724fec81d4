import { destination, type Logger, pino } from 'pino';
import { maskText } from '../sources/mask.ts';

/** JSON lines on standard error, written at once; credentials in any message are masked. `quiet` leaves warnings and errors. */
export function createLog(options: { readonly quiet: boolean }): Logger {
  return pino(
    {
      name: 'plimsoll-playlist',
      level: options.quiet ? 'warn' : 'info',
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: maskText },
    },
    destination({ fd: 2, sync: true }),
  );
}
