import type { BodyHold } from './body-hold.ts';
import { expectBody, HeldFlow, noRoom } from './held-flow.ts';

type RawHeaders = readonly (Uint8Array | string)[] | null;

/** What hears of a response, of undici 6. */
export interface UndiciLegacyHandler {
  onConnect?(abort: (reason?: unknown) => void, context: unknown): void;
  onUpgrade?(statusCode: number, headers: RawHeaders, socket: unknown): void;
  onResponseStarted?(): void;
  /** False: nothing more until `resume` is called. */
  onHeaders?(statusCode: number, headers: RawHeaders, resume: () => void, statusText?: string): boolean;
  onData?(chunk: Uint8Array): boolean;
  onComplete?(trailers: RawHeaders): void;
  onError?(error: Error): void;
  onBodySent?(chunk: Uint8Array): void;
  onRequestSent?(): void;
}

/** Counts the body that goes to `handler`. */
export class GovernedLegacyHandler implements UndiciLegacyHandler {
  readonly #handler: UndiciLegacyHandler;
  readonly #hold: BodyHold;
  readonly #noBody: boolean;
  #flow: HeldFlow | undefined;
  #resume: () => void = () => {};
  #isPausedByUser = false;
  #hasEnded = false;

  constructor(handler: UndiciLegacyHandler, hold: BodyHold, noBody: boolean) {
    this.#handler = handler;
    this.#hold = hold;
    this.#noBody = noBody;
  }

  onConnect(abort: (reason?: unknown) => void, context: unknown): void {
    const letGo = () => {
      if (!this.#isPausedByUser) this.#resume();
    };
    this.#flow = new HeldFlow(
      this.#hold,
      () => {},
      letGo,
      (cause) => {
        if (this.#hasEnded) this.#handler.onError?.(cause as Error);
        else abort(cause);
      },
    );
    this.#handler.onConnect?.(abort, context);
  }

  onUpgrade(statusCode: number, headers: RawHeaders, socket: unknown): void {
    this.#hold.release();
    this.#handler.onUpgrade?.(statusCode, headers, socket);
  }

  onResponseStarted(): void {
    this.#handler.onResponseStarted?.();
  }

  onHeaders(statusCode: number, headers: RawHeaders, resume: () => void, statusText?: string): boolean {
    this.#resume = resume;
    if (statusCode >= 200) {
      const header = (name: string) => rawHeader(headers, name);
      this.#flow?.run(() => expectBody(this.#hold, statusCode, this.#noBody, header), noRoom);
    }
    const goOn = () => {
      this.#isPausedByUser = false;
      if (this.#flow?.isWaiting !== true) resume();
    };
    return this.#goesOn(this.#handler.onHeaders?.(statusCode, headers, goOn, statusText));
  }

  onData(chunk: Uint8Array): boolean {
    const flow = this.#flow;
    const deliver = () => void this.#goesOn(this.#handler.onData?.(chunk));
    if (flow === undefined) deliver();
    else flow.run(() => this.#hold.arrive(chunk.byteLength), deliver);
    return !this.#isPausedByUser && flow?.isWaiting !== true;
  }

  onComplete(trailers: RawHeaders): void {
    const end = () => {
      this.#hold.release();
      this.#handler.onComplete?.(trailers);
    };
    this.#hasEnded = true;
    if (this.#flow === undefined) end();
    else this.#flow.run(noRoom, end);
  }

  onError(error: Error): void {
    this.#flow?.end();
    this.#hold.release();
    this.#handler.onError?.(error);
  }

  onBodySent(chunk: Uint8Array): void {
    this.#handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.#handler.onRequestSent?.();
  }

  #goesOn(answer: boolean | undefined): boolean {
    this.#isPausedByUser = answer === false;
    return !this.#isPausedByUser && this.#flow?.isWaiting !== true;
  }
}

function rawHeader(headers: RawHeaders, name: string): string | undefined {
  for (let at = 0; headers !== null && at + 1 < headers.length; at += 2) {
    if (text(headers[at]!).toLowerCase() === name) return text(headers[at + 1]!);
  }
  return undefined;
}

function text(raw: Uint8Array | string): string {
  return typeof raw === 'string' ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1');
}
