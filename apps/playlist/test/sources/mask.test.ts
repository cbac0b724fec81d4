import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskSecrets, maskText, maskUrl } from '../../src/sources/mask.ts';

describe('masking', () => {
  it.each([
    ['http://me:pw@tv.example/list.m3u', 'http://***@tv.example/list.m3u'],
    [
      'https://tv.example/get.php?username=me&password=pw&type=m3u_plus',
      'https://tv.example/get.php?username=***&password=***&type=m3u_plus',
    ],
    ['https://tv.example/x?a=1&access_token=t#f', 'https://tv.example/x?a=1&access_token=***#f'],
    ['http://tv.example:8080/live/me/pw/1.ts', 'http://tv.example:8080/live/***/***/1.ts'],
    ['http://tv.example/me/pw/123.ts', 'http://tv.example/***/***/123.ts'],
    ['http://tv.example/me/pw/123', 'http://tv.example/***/***/123'],
    [
      'cannot read http://me:p@w@tv.example/ twice, http://x/?token=t',
      'cannot read http://***@tv.example/ twice, http://x/?token=***',
    ],
    ['guide at xmltv.php?username=me&amp;password=pw', 'guide at xmltv.php?username=***&amp;password=***'],
    ['https://tv.example/lists/news.m3u', 'https://tv.example/lists/news.m3u'],
    ['/home/me/lists/a.m3u', '/home/me/lists/a.m3u'],
    ['http:/me:pw@tv.example/x', 'http:/***@tv.example/x'],
    ['HTTP:me:pw@tv.example/x', 'HTTP:***@tv.example/x'],
    ['http:\\\\me:pw@tv.example', 'http:\\\\***@tv.example'],
    ['http://me:p w@tv.example/x', 'http://***@tv.example/x'],
    ['http://me:1234/pw@tv.example/x', 'http://***@tv.example/x'],
    ['http://tv.example:8080/me@mail.example/pw/1.ts', 'http://tv.example:8080/***/***/1.ts'],
    ['https://tv.example/@channel/live.m3u8', 'https://tv.example/@channel/live.m3u8'],
  ])('%s', (url, masked) => {
    expect(maskText(url)).toBe(masked);
  });

  it.each([
    ['http:/me:pw@tv.example/x', 'http:/***@tv.example/x'],
    ['http://me:80/pw@tv.example/x', 'http://***@tv.example/x'],
    ["http://me:p' w@tv.example/x", 'http://***@tv.example/x'],
    ['http://me:p/w@tv.example/x?token=t', 'http://***@tv.example/x?token=***'],
    ['http://me:p w@[tv/x', 'http://***@[tv/x'],
    ['me:pw@tv.example/x', '***@tv.example/x'],
    ['ftp://me:pw@tv.example/x', '***@tv.example/x'],
  ])('a text that is meant to be one URL: %s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });

  const secret = fc.stringMatching(/^[A-Z0-9]{8,16}$/).map((word) => `S${word}`);
  const host = fc.constantFrom('tv.example', 'tv.example:8080', '10.0.0.1', '[::1]:80');
  const around = fc.stringMatching(/^[a-z ,.()]{0,20}$/);

  it('leaves no user name or password of any of the known forms, wherever the URL stands', () => {
    const forms = [
      (h: string, u: string, p: string) => `http://${u}:${p}@${h}/x.m3u`,
      (h: string, u: string, p: string) => `http:/${u}:${p}@${h}/x.m3u`,
      (h: string, u: string, p: string) => `http://${u}:${p}/w@${h}/x.m3u`,
      (h: string, u: string, p: string) => `http://${u}:x?${p}#w@${h}/x.m3u`,
      (h: string, u: string, p: string) => `https://${h}/get.php?username=${u}&password=${p}&type=m3u`,
      (h: string, u: string, p: string) => `https://${h}/get.php?type=m3u&password=${p}&username=${u}`,
      (h: string, u: string, p: string) => `http://${h}/live/${u}/${p}/77.ts`,
      (h: string, u: string, p: string) => `http://${h}/movie/${u}/${p}/77.mkv`,
      (h: string, u: string, p: string) => `http://${h}/${u}/${p}/77`,
      (h: string, u: string, p: string) => `http://${h}/x?token=${p}&api_key=${u}`,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...forms), host, secret, secret, around, around, (form, h, u, p, before, after) => {
        const masked = maskText(`${before} ${form(h, u, p)} ${after}`);
        expect(masked).not.toContain(u);
        expect(masked).not.toContain(p);
        expect(masked).toContain(h);
        expect(maskText(masked)).toBe(masked);
      }),
    );
  });

  it('hides words known to be secret in any text, encoded or not', () => {
    expect(maskSecrets('login of jo&e failed: jo%26e', ['jo&e'])).toBe('login of *** failed: ***');
    expect(maskSecrets('a b c', ['a', ''])).toBe('a b c');
  });

  it('takes time linear in the text', () => {
    const hostile = ['http://', 'a:/'.repeat(3), '?p=', '/live/', 'a', 'a:', '@', 'http:@'].map((part) =>
      part.repeat(20_000),
    );
    const started = performance.now();
    for (const text of hostile) maskText(text);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
