/** Scopes one in another, and where the stack ends. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ScopeTag } from '../../src/governor/scope-tag.ts';
import { BareBooks, gate, settle, Watched } from './bare-books.ts';
import { free } from './scope-stage.ts';

const LONG = 3_000;

describe('a chain of scopes, each begun inside the one before', () => {
  it('keeps none of those that have ended', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const tags: WeakRef<ScopeTag>[] = [];
    let deepest = 0;
    const next = async (left: number): Promise<void> => {
      await books.scopes.run({ ...free, name: `job ${left}` }, async () => {
        const held = job.reserve(1);
        const tag = books.scopes.current()!;
        tags.push(new WeakRef(tag));
        deepest = Math.max(deepest, tag.depth);
        if (left > 0) setImmediate(() => void next(left - 1));
        else done();
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
        held[Symbol.dispose]();
      });
    };
    const { opened, open: done } = gate();
    void next(LONG);
    await opened;
    expect(deepest).toBeLessThan(6);
    expect(books.scopes.count).toBeLessThan(6);
    await new Promise((resolve) => setImmediate(resolve));
    gc!();
    expect(tags.filter((tag) => tag.deref() !== undefined).length).toBeLessThan(LONG / 10);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    expect([books.heldBytes, books.scopes.count]).toEqual([0, 0]);
  });

  it('what was aborted stays so for those inside it, after it has ended and been let go of', () => {
    const reason = new Error('too large');
    const tenant = new ScopeTag('tenant', 100, undefined, 0);
    const request = new ScopeTag('request', 100, tenant, 0);
    const inner = new ScopeTag('inner', 100, request, 0);
    request.fail(reason);
    request.ended = true;
    expect([inner.failure?.reason, inner.outer, inner.depth]).toEqual([reason, tenant, 2]);
    tenant.ended = true;
    expect([inner.failure?.reason, inner.outer, inner.isWithin(tenant)]).toEqual([reason, undefined, false]);
  });

  it('counts for those around it that still run, and for no other', async () => {
    const books = new BareBooks();
    const job = books.consumer('job');
    const { opened, open } = gate();
    const seen: unknown[] = [];
    await books.scopes.run({ ...free, name: 'tenant', maxBytes: 30 }, async (tenant) => {
      let inner: Promise<void> | undefined;
      await books.scopes.run({ ...free, name: 'request', maxBytes: 5 }, () => {
        inner = books.scopes.run({ ...free, name: 'inner' }, async (scope) => {
          await opened;
          using held = job.reserve(20);
          seen.push(job.tryReserve(11), scope.heldBytes, tenant.heldBytes, held.bytes);
        });
      });
      open();
      await inner;
    });
    expect(seen).toEqual([undefined, 20, 20, 20]);
  });
});

describe('how deep they go', () => {
  const nest = async (books: BareBooks, depth: number): Promise<number> =>
    depth === 0
      ? books.scopes.count
      : await books.scopes.run({ ...free, name: `at ${depth}` }, () => nest(books, depth - 1));

  it('is 64, and one more is turned away with a message that says so', async () => {
    const books = new BareBooks();
    expect(await nest(books, 64)).toBe(64);
    const one = new Watched(nest(books, 65));
    await settle();
    expect(one.error).toMatchObject({
      code: 'PLIMSOLL_TOO_MANY_SCOPES',
      maxScopes: 64,
      message:
        'the scope at 1 was turned away: it would run inside 64 others, one in another, and that is the most: a scope is for a request or a tenant',
    });
    expect(books.scopes.count).toBe(0);
  });

  it('bounds nothing where the governor only watches: work goes on in the innermost', async () => {
    const books = new BareBooks({ mode: 'observe' });
    expect(await nest(books, 100)).toBe(64);
    expect([books.scopes.count, books.faults.rows()[0]?.part]).toEqual([0, 'maxScopes']);
  });
});

describe('where the stack ends', () => {
  it.each(['returns', 'throws', 'waits', 'declares'])(
    'a scope whose work %s leaves nothing open, and scopes stay on',
    async (work) => {
      const child = join(import.meta.dirname, 'stack-child.ts');
      // What Node says of promises that are rejected there is of no interest.
      const run = promisify(execFile)(process.execPath, ['--conditions=source', child, work], { maxBuffer: 2 ** 28 });
      const { stdout } = await run;
      expect(JSON.parse(stdout)).toEqual({ scopeCount: 0, faults: [], heldBytes: 0, bounded: true });
    },
  );
});
