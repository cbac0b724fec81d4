import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { maskText, maskUrl } from '../../src/sources/mask.ts';

const folder = mkdtempSync(join(tmpdir(), 'playlist-issue-'));
const file = join(folder, 'my.toml');
afterAll(() => rmSync(folder, { recursive: true }));

function problems(toml: string): string {
  writeFileSync(file, toml);
  try {
    loadConfig({ file, env: {} });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.join('\n').replaceAll(file, 'my.toml');
  }
  return '';
}

const SHAPES: readonly ((secret: string) => string)[] = [
  (secret) => `http://alice:${secret}@h.example/x`,
  (secret) => `http:/alice:${secret}@h.example/x`,
  (secret) => `http:alice:${secret}@h.example/x`,
  (secret) => `http:\\\\alice:${secret}@h.example/x`,
  (secret) => `http://alice:${secret}/pw@h.example/x`,
  (secret) => `http://alice:80/${secret}@h.example/x`,
  (secret) => `http://alice:x?${secret}@h.example/x`,
  (secret) => `http://alice:s3#${secret}@h.example/x`,
  (secret) => `http://alice:s3 ${secret}@[h/x`,
  (secret) => `http://${secret}:pw@[h/x`,
  (secret) => `alice:${secret}@h.example/x`,
  (secret) => `ftp://alice:${secret}@h.example/x`,
];
const shape = fc.constantFrom(...SHAPES);
/** Letters and signs that stand nowhere else in a message, or digits, which may pass for a port. */
const secret = fc.oneof(
  fc.stringMatching(/^[a-z0-9 /?#:@%'&=\\-]{0,20}$/).map((rest) => `Qz${rest}Zq`),
  fc.stringMatching(/^[1-9][0-9]{3,5}$/),
);

describe('a line about the configuration', () => {
  it('shows no secret of any URL-like value, however broken; nor do the messages of a run', () => {
    fc.assert(
      fc.property(shape, secret, fc.constantFrom('url', 'host', 'path'), (form, word, key) => {
        const value = form(word);
        const quoted = JSON.stringify(value);
        const lines = [
          problems(`[[source]]\n${key} = ${quoted}\n`),
          problems(`[[source]]\ntype = "xtream"\nuser = ""\npassword = ""\nhost = ${quoted}\n`),
          maskUrl(value),
          maskText(`source far: ${maskUrl(value)}: the server answers 404`),
        ];
        for (const line of lines) {
          expect(line).not.toContain(word);
          expect(line).not.toMatch(/Qz|Zq/);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('shows no value of a secret key, nor what stands where the name of a header belongs', () => {
    const text = problems(
      '[[source]]\nurl = "http://h/x"\nheaders = { "Authorization: Bearer s3cr3tpw" = "x", Key = 71717171 }\n[serve]\ntoken = "s3cr3"\n',
    );
    expect(text).toMatch(/source\[1\]\.headers\.\*\*\*: Expected the name of an HTTP header/);
    expect(text).not.toMatch(/s3cr3|71717171/);
  });

  it('still shows what is wrong with a URL', () => {
    expect(problems('[[source]]\nurl = "http://alice:s3/cr3t@h.example/x"\n')).toMatch(
      /got `http:\/\/\*\*\*@h\.example\/x`$/,
    );
    expect(problems('[[source]]\nurl = "h.example/x"\n')).toMatch(/got `h\.example\/x`$/);
  });
});
