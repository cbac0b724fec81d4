import { faultEvents } from '../events.ts';

const MOST_PARTS = 16;

/** Writes a line for the first fault of each part, sixteen at most, until the result is disposed. */
export function tellFaults(write: (line: string) => void): Disposable {
  const told = new Set<string>();
  return faultEvents.subscribe(({ part, message, off }) => {
    if (told.has(part) || told.size >= MOST_PARTS) return;
    told.add(part);
    write(`${part} failed${off ? ' and is switched off' : ''}, the program goes on: ${message}`);
  });
}
