import { ShedPolicy } from 'plimsoll/http';
import { describe, expect, it } from 'vitest';
import { MIB, setUp } from '../governor/fake-meter.ts';

const call = (path: string, method = 'GET') => ({ method, path });

describe('a shed policy', () => {
  it('knows paths whole, by their beginning, or by a function', () => {
    const { governor, rss } = setUp({ collect: false });
    const answers = (policy: ShedPolicy, paths: readonly string[]) =>
      paths.map((path) => policy.decide(call(path)) === undefined);
    const lists = new ShedPolicy(governor, { exempt: ['/up', '/static/*'] });
    const byFunction = new ShedPolicy(governor, { exempt: ({ method, path }) => method === 'GET' && path === '/up' });
    rss.bytes = 90 * MIB;
    governor.sample();
    const paths = ['/up', '/up?deep=1', '/up/', '/static/a.css', '/static', '/UP', '/'];
    expect(answers(lists, paths)).toEqual([true, true, false, true, false, false, false]);
    expect(answers(byFunction, paths)).toEqual([true, true, false, false, false, false, false]);
    expect([lists.decide(call('/'), 'exempt'), lists.decide(call('/up'), 'first')?.status]).toEqual([undefined, 503]);
  });

  it('draws Retry-After evenly, both ends included', () => {
    const { governor } = setUp();
    let drawn = 0;
    const policy = new ShedPolicy(governor, {
      firstRule: { level: 'optimal' },
      retryAfterSeconds: { from: 2, to: 4 },
      random: () => drawn,
    });
    const seconds = [0, 0.3, 0.34, 0.66, 0.67, 0.999, 1, Number.NaN].map((value) => {
      drawn = value;
      return policy.decide(call('/'), 'first')?.headers['retry-after'];
    });
    expect(seconds).toEqual(['2', '2', '3', '3', '4', '4', '2', '2']);
  });

  it('leaves a rule that the point has', () => {
    const { governor } = setUp({ shed: { 'http.first': { level: 'optimal' } } });
    const policy = new ShedPolicy(governor, { firstToGo: ['/report/*'] });
    expect(policy.decide(call('/report/1'))?.status).toBe(503);
    new ShedPolicy(governor, { firstToGo: ['/report/*'], firstRule: { level: 'emergency' } });
    expect(policy.decide(call('/report/1'))?.status).toBe(503);
  });

  it('unsound options are named', () => {
    const { governor } = setUp();
    const make = (options: object) => () => new ShedPolicy(governor, options);
    expect(make({ exempt: 'x' })).toThrow('`exempt`');
    expect(make({ exempt: ['health'] })).toThrow('`exempt[0]`');
    expect(make({ firstToGo: ['/a*b'] })).toThrow('`firstToGo[0]`');
    expect(make({ retryAfterSeconds: { from: 5, to: 1 } })).toThrow('`retryAfterSeconds.to`');
    expect(make({ status: 200 })).toThrow('`status`');
    expect(make({ body: 'x'.repeat(2_000) })).toThrow('`body`');
    expect(make({ scope: {} })).toThrow('`scope.maxBytes`');
    expect(make({ scope: { maxBytes: 1, upFrontBytes: 2 } })).toThrow('`scope.upFrontBytes`');
    expect(make({ firstRule: { level: 'low' } })).toThrow('`shed.http.first.level`');
    expect(make({ expempt: [] })).toThrow('did you mean `exempt`?');
    expect(() => new ShedPolicy(undefined as never)).toThrow('`governor`');
  });
});
