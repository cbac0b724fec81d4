import { createGovernor, type Governor, type GovernorOptions } from '../governor/index.ts';
import { copyOptions, invalidOption } from '../invalid-option.ts';

/** The token under which Nest hands out the governor: `@Inject(PLIMSOLL) governor: Governor`. */
export const PLIMSOLL = 'PLIMSOLL';
const OWNED = 'PLIMSOLL_OWNED';

/** One of the two. */
export interface PlimsollModuleOptions {
  /** One that is there already; whoever made it disposes it. */
  readonly governor?: Governor;
  /** For one that is made with the application and disposed with it. */
  readonly options?: GovernorOptions;
}

/** What Nest takes as a provider: a value, or what a factory makes. */
export type PlimsollProvider =
  | { provide: string; useValue: unknown }
  | { provide: string; useFactory: (...injected: never[]) => unknown; inject: string[] };

/** What Nest calls a dynamic module. */
export interface PlimsollDynamicModule {
  module: typeof PlimsollModule;
  global: true;
  providers: PlimsollProvider[];
  exports: string[];
}

/** Disposed by Nest's `onApplicationShutdown`, once nobody serves any more. */
class OwnedGovernor {
  readonly governor: Governor;

  constructor(options: GovernorOptions) {
    this.governor = createGovernor(options);
  }

  onApplicationShutdown(): void {
    this.governor[Symbol.dispose]();
  }
}

/**
 * The governor as a module of Nest, global, so that it is imported once, at the root. No decorators, no import of Nest: a plain dynamic module.
 *
 * With `governor` it hands out that one. With `options` it makes one when the application starts, and unsound options fail that start; it is disposed in
 * `onApplicationShutdown`, so by `app.close()`, and by signals only after `app.enableShutdownHooks()`.
 * @example
 * import { PLIMSOLL, PlimsollModule } from 'plimsoll/adopt';
 * @Module({ imports: [PlimsollModule.forRoot({ options: { share: 0.5 } })] })
 * export class AppModule {}
 */
// biome-ignore lint/complexity/noStaticOnlyClass: Nest knows a module by its class
export class PlimsollModule {
  /** Throws `RangeError` unless exactly one of the two is given. */
  static forRoot(given: PlimsollModuleOptions): PlimsollDynamicModule {
    const { governor, options } = copyOptions('PlimsollModule.forRoot', given, ['governor', 'options']);
    if ((governor === undefined) === (options === undefined)) {
      throw invalidOption('governor', 'given, or else `options` to make one from, and not both', governor);
    }
    const providers: PlimsollProvider[] =
      governor !== undefined
        ? [{ provide: PLIMSOLL, useValue: governor }]
        : [
            { provide: OWNED, useFactory: () => new OwnedGovernor(options!), inject: [] },
            { provide: PLIMSOLL, useFactory: ({ governor }: OwnedGovernor) => governor, inject: [OWNED] },
          ];
    return { module: PlimsollModule, global: true, providers, exports: [PLIMSOLL] };
  }
}
