import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { ManualClock } from '../../src/clock.ts';
import { EventStreams } from '../../src/dashboard/event-streams.ts';

class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  isFull = false;
  ended = '';

  write(frame: string): boolean {
    this.written.push(frame);
    return !this.isFull;
  }

  end(): void {
    this.ended ||= 'end';
    this.emit('close');
  }

  destroy(): void {
    this.ended ||= 'destroy';
    this.emit('close');
  }
}

function make(maxStreams = 4) {
  const clock = new ManualClock();
  const streams = new EventStreams({ maxStreams, stuckMs: 1_000, clock });
  const join = (isLive = () => true) => {
    const response = new FakeResponse();
    streams.add(response as unknown as ServerResponse, isLive, 'first');
    return response;
  };
  return { clock, streams, join };
}

it('tells all of each frame', () => {
  const { streams, join } = make();
  const responses = [join(), join()];
  streams.send('a');
  for (const { written } of responses) expect(written).toEqual(['first', 'a']);
});

it('a slow client is kept no queue for: it gets the newest when it takes something again, and the others are not slowed', () => {
  const { streams, join } = make();
  const [slow, other] = [join(), join()];
  slow.isFull = true;
  for (const frame of ['a', 'b', 'c', 'd']) streams.send(frame);
  expect(slow.written).toEqual(['first', 'a']);
  slow.isFull = false;
  slow.emit('drain');
  expect(slow.written).toEqual(['first', 'a', 'd']);
  expect(streams.skipped).toBe(2);
  expect(other.written).toEqual(['first', 'a', 'b', 'c', 'd']);
  slow.emit('close');
  expect(streams.skipped).toBe(2);
  expect(streams.size).toBe(1);
});

it('one that takes nothing any more is let go of', () => {
  const { clock, streams, join } = make();
  const stuck = join();
  stuck.isFull = true;
  streams.send('a');
  clock.advance(999);
  expect(stuck.ended).toBe('');
  clock.advance(1);
  expect(stuck.ended).toBe('destroy');
  expect(streams.size).toBe(0);
  expect(clock.pending).toBe(0);
});

it('ends with the session that it was opened with', () => {
  const { streams, join } = make();
  let isLive = true;
  const response = join(() => isLive);
  isLive = false;
  streams.send('secret');
  expect(response.written).toEqual(['first']);
  expect(response.ended).toBe('end');
});

it('is full at its bound, and when it is over; disposing ends all, twice is once', () => {
  const { clock, streams, join } = make(2);
  const first = join();
  expect(streams.isFull).toBe(false);
  const second = join();
  second.isFull = true;
  streams.send('a');
  expect(streams.isFull).toBe(true);
  streams[Symbol.dispose]();
  streams[Symbol.dispose]();
  expect([first.ended, second.ended]).toEqual(['end', 'destroy']);
  expect(streams.isFull).toBe(true);
  expect(clock.pending).toBe(0);
});
