import type { Governor } from 'plimsoll';
import { PLIMSOLL, type PlimsollDynamicModule, PlimsollModule } from 'plimsoll/adopt';
import { describe, expect, it } from 'vitest';
import { breakable } from '../contract/broken-governor.ts';
import { setUp } from '../governor/fake-meter.ts';

/** As Nest's injector does it: each provider once, by token; hooks of all instances at the end. The gate `recipes` runs the real one. */
function start({ providers, exports }: PlimsollDynamicModule) {
  const made = new Map<string, object>();
  for (const provider of providers) {
    const value =
      'useValue' in provider
        ? provider.useValue
        : (provider.useFactory as (...injected: unknown[]) => unknown)(
            ...provider.inject.map((token) => made.get(token)),
          );
    made.set(provider.provide, value as object);
  }
  return {
    governor: made.get(exports[0]!) as Governor,
    async close() {
      for (const value of made.values()) {
        await (value as { onApplicationShutdown?: () => void }).onApplicationShutdown?.();
      }
    },
  };
}

describe('the module for Nest', () => {
  it('hands out a governor that is there, and leaves it to its owner', async () => {
    const { governor } = setUp();
    const module = PlimsollModule.forRoot({ governor });
    expect(module).toMatchObject({ module: PlimsollModule, global: true, exports: [PLIMSOLL] });
    const app = start(module);
    expect(app.governor).toBe(governor);
    await app.close();
    expect(governor.disposed).toBe(false);
  });

  it('makes one with the application, and disposes it with the application', async () => {
    const module = PlimsollModule.forRoot({ options: { limitBytes: 2 ** 30, mode: 'observe' } });
    const [one, other] = [start(module), start(module)];
    expect(one.governor.mode).toBe('observe');
    expect(one.governor).not.toBe(other.governor);
    await one.close();
    expect(one.governor.disposed).toBe(true);
    expect(other.governor.disposed).toBe(false);
    await other.close();
  });

  it('starts and ends with a governor that is broken', async () => {
    const { governor, breakIt } = breakable(setUp().governor);
    breakIt();
    const [provider] = PlimsollModule.forRoot({ governor }).providers;
    expect(provider).toMatchObject({ provide: PLIMSOLL });
  });

  it.each([{}, { governor: setUp().governor, options: {} }, { gouvernor: 1 }, undefined])('refuses %o', (options) => {
    expect(() => PlimsollModule.forRoot(options as never)).toThrow(RangeError);
  });
});
