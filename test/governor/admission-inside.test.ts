/** Code of others runs while one that would wait is let in at once, and lets in others: the bound on passing holds for all of them. */
import type { Reclaimer } from 'plimsoll';
import { expect, it } from 'vitest';
import { BareBooks, settle, Watched } from './bare-books.ts';

it.each(['sample', 'reclaimer'] as const)('who is let in by a %s uses up the turn of who was asking', async (where) => {
  let armed = false;
  const inside: Watched<unknown>[] = [];
  const letIn = () => {
    if (armed && inside.length === 0) inside.push(new Watched(job.admit(2)));
  };
  const books = new BareBooks({
    maxBypass: 1,
    sampleEveryBytes: where === 'sample' ? 10 : 2 ** 40,
    onSampleDue: () => where === 'sample' && letIn(),
  });
  const job = books.consumer('job');
  job.reserve(where === 'sample' ? 20 : 77);
  const big = new Watched(job.admit(90));
  const reclaimer: Reclaimer = {
    reclaimableBytes: () => cached.bytes,
    reclaimNow: () => {
      letIn();
      cached.shrink(10);
      return 10;
    },
  };
  const cached = books.consumer('cache', { reclaimer }).reserve(20);
  armed = true;
  const next = new Watched(job.admit(10));
  await settle();
  expect([inside.map(({ state }) => state), next.state, big.state]).toEqual([['done'], 'waiting', 'waiting']);
});

it('who came first and is held back after all waits, and has its turn', async () => {
  let armed = false;
  const books = new BareBooks({
    maxBypass: 0,
    sampleEveryBytes: 10,
    onSampleDue: () => {
      if (!armed) return;
      armed = false;
      other.push(new Watched(job.admit(90)));
    },
  });
  const other: Watched<unknown>[] = [];
  const job = books.consumer('job');
  const held = job.reserve(20);
  armed = true;
  const first = new Watched(job.admit(10));
  await settle();
  expect([first.state, other[0]?.state]).toEqual(['waiting', 'waiting']);
  held[Symbol.dispose]();
  await settle();
  expect([first.state, other[0]?.state]).toEqual(['done', 'done']);
});
