import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The fenced blocks of a language, in order. */
function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((match) => match[1]!);
}

describe('README', () => {
  it('its example prints what it says', () => {
    const [example] = blocks('ts');
    const [output] = blocks('text');
    // Inside the project, so that `plimsoll` resolves as it does for a user.
    const dir = mkdtempSync(join(ROOT, 'test', '.readme-'));
    try {
      const file = join(dir, 'example.ts');
      writeFileSync(file, example!);
      const run = spawnSync(process.execPath, ['--conditions=source', file], {
        encoding: 'utf8',
        env: { ...process.env, PLIMSOLL: '' },
      });
      expect(run.stderr).toBe('');
      expect(run.stdout).toBe(output);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('its commands exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = [...README.matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.length).toBeGreaterThan(3);
    for (const name of named) expect(scripts).toHaveProperty(name);
  });

  it('its links lead somewhere', () => {
    const links = [...README.matchAll(/\]\(([^)#]+)\)/g)]
      .map((match) => match[1]!)
      .filter((link) => !link.includes('://'));
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(() => readFileSync(join(ROOT, link)), link).not.toThrow();
  });
});
