import type { BodyHold } from './body-hold.ts';
import { expectBody, HeldFlow, noRoom } from './held-flow.ts';

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What steers a request, of undici 7 and later. */
export interface UndiciController {
  readonly aborted: boolean;
  readonly paused: boolean;
  readonly reason: Error | null;
  rawHeaders?: unknown;
  rawTrailers?: unknown;
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

/** What hears of a response, of undici 7 and later. */
export interface UndiciHandler {
  onRequestStart?(controller: UndiciController, context: unknown): void;
  onRequestUpgrade?(controller: UndiciController, statusCode: number, headers: Headers, socket: unknown): void;
  onResponseStarted?(): void;
  onResponseStart?(controller: UndiciController, statusCode: number, headers: Headers, statusMessage?: string): void;
  onResponseData?(controller: UndiciController, chunk: Uint8Array): void;
  onResponseEnd?(controller: UndiciController, trailers: Headers): void;
  onResponseError?(controller: UndiciController | undefined, error: Error): void;
  onBodySent?(chunk: Uint8Array): void;
  onRequestSent?(): void;
}

/** Paused while its user, or the budget, would have it so. */
class SharedController implements UndiciController {
  readonly #inner: UndiciController;
  #isPausedByUser = false;
  #isHeld = false;

  constructor(inner: UndiciController) {
    this.#inner = inner;
  }

  get aborted(): boolean {
    return this.#inner.aborted;
  }

  get reason(): Error | null {
    return this.#inner.reason;
  }

  get paused(): boolean {
    return this.#isPausedByUser;
  }

  get rawHeaders(): unknown {
    return this.#inner.rawHeaders;
  }

  set rawHeaders(headers: unknown) {
    this.#inner.rawHeaders = headers;
  }

  get rawTrailers(): unknown {
    return this.#inner.rawTrailers;
  }

  set rawTrailers(trailers: unknown) {
    this.#inner.rawTrailers = trailers;
  }

  abort(reason: Error): void {
    this.#inner.abort(reason);
  }

  pause(): void {
    this.#isPausedByUser = true;
    this.#inner.pause();
  }

  resume(): void {
    this.#isPausedByUser = false;
    if (!this.#isHeld) this.#inner.resume();
  }

  hold(): void {
    this.#isHeld = true;
    this.#inner.pause();
  }

  letGo(): void {
    this.#isHeld = false;
    if (!this.#isPausedByUser) this.#inner.resume();
  }
}

/** Counts the body that goes to `handler`. */
export class GovernedHandler implements UndiciHandler {
  readonly #handler: UndiciHandler;
  readonly #hold: BodyHold;
  readonly #noBody: boolean;
  #controller: SharedController | undefined;
  #flow: HeldFlow | undefined;
  /** All has come, though not all need have been handed on. */
  #hasEnded = false;

  constructor(handler: UndiciHandler, hold: BodyHold, noBody: boolean) {
    this.#handler = handler;
    this.#hold = hold;
    this.#noBody = noBody;
  }

  onRequestStart(inner: UndiciController, context: unknown): void {
    const controller = (this.#controller = new SharedController(inner));
    this.#flow = new HeldFlow(
      this.#hold,
      () => controller.hold(),
      () => controller.letGo(),
      (cause) => this.#fail(controller, cause as Error),
    );
    this.#handler.onRequestStart?.(controller, context);
  }

  onRequestUpgrade(inner: UndiciController, statusCode: number, headers: Headers, socket: unknown): void {
    this.#hold.release();
    this.#handler.onRequestUpgrade?.(this.#controller ?? inner, statusCode, headers, socket);
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.();
  }

  onResponseStart(inner: UndiciController, statusCode: number, headers: Headers, statusMessage?: string): void {
    const controller = this.#controller ?? inner;
    if (statusCode >= 200) {
      const header = (name: string) => headers[name]?.toString();
      this.#flow?.run(() => expectBody(this.#hold, statusCode, this.#noBody, header), noRoom);
    }
    this.#handler.onResponseStart?.(controller, statusCode, headers, statusMessage);
  }

  onResponseData(inner: UndiciController, chunk: Uint8Array): void {
    const deliver = () => this.#handler.onResponseData?.(this.#controller ?? inner, chunk);
    if (this.#flow === undefined) deliver();
    else this.#flow.run(() => this.#hold.arrive(chunk.byteLength), deliver);
  }

  onResponseEnd(inner: UndiciController, trailers: Headers): void {
    const end = () => {
      this.#hold.release();
      this.#handler.onResponseEnd?.(this.#controller ?? inner, trailers);
    };
    this.#hasEnded = true;
    if (this.#flow === undefined) end();
    else this.#flow.run(noRoom, end);
  }

  onResponseError(inner: UndiciController | undefined, error: Error): void {
    this.#flow?.end();
    this.#hold.release();
    this.#handler.onResponseError?.(this.#controller ?? inner, error);
  }

  onBodySent(chunk: Uint8Array): void {
    this.#handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.();
  }

  /** For undici a request that has ended cannot be aborted any more: nobody would hear of it. */
  #fail(controller: UndiciController, cause: Error): void {
    if (this.#hasEnded) this.#handler.onResponseError?.(controller, cause);
    else controller.abort(cause);
  }
}
