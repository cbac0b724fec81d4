import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What a browser has of a document, as far as it is asked here: these tests are compiled without a browser's types. */
interface Browserish {
  readonly document: {
    querySelectorAll(selector: string): Iterable<{
      readonly id: string;
      readonly width: number;
      readonly height: number;
      readonly textContent: string | null;
      getAttribute(name: string): string | null;
      closest(selector: string): { readonly id: string } | null;
      getContext(kind: string): {
        getImageData(x: number, y: number, w: number, h: number): { readonly data: Uint8ClampedArray };
      };
    }>;
    readonly documentElement: { readonly scrollWidth: number };
  };
}

export interface DrawnCanvas {
  /** Of the element around the chart. */
  readonly where: string;
  readonly pixels: number;
  /** Those that are not the background, and how many colours they have. */
  readonly drawn: number;
  readonly colours: number;
}

/** What is drawn on each canvas that can be seen. */
export function canvasesOf(page: Page): Promise<DrawnCanvas[]> {
  return page.evaluate(() => {
    const { document } = globalThis as unknown as Browserish;
    return [...document.querySelectorAll('.canvas canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set<number>();
      let drawn = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] === 0) continue;
        drawn++;
        colours.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!);
      }
      return {
        where: canvas.closest('[id$="-chart"]')?.id ?? '?',
        pixels: data.length / 4,
        drawn,
        colours: colours.size,
      };
    });
  });
}

/** What axe finds wrong, a line each. By the debugger's way, so that the page's policy, which lets in no other script, stays on. */
export async function axeFaults(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as {
    violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
  };
  return violations.map(({ id, help, nodes }) => {
    return `${id} (${help}), ${nodes.length}×, such as ${nodes[0]?.html.slice(0, 160)}: ${nodes[0]?.failureSummary?.replaceAll(/\s+/g, ' ').slice(0, 200)}`;
  });
}

export function widthOf(page: Page): Promise<number> {
  return page.evaluate(() => (globalThis as unknown as Browserish).document.documentElement.scrollWidth);
}

/** An attribute of each that fits a selector. */
export function attributesOf(page: Page, selector: string, name: string): Promise<string[]> {
  return page.evaluate(
    ({ wanted, named }) => {
      const { document } = globalThis as unknown as Browserish;
      return [...document.querySelectorAll(wanted)].map((found) => found.getAttribute(named) ?? '');
    },
    { wanted: selector, named: name },
  );
}

/** The texts of what fits a selector. */
export function textsOf(page: Page, selector: string): Promise<string[]> {
  return page.evaluate((wanted) => {
    const { document } = globalThis as unknown as Browserish;
    return [...document.querySelectorAll(wanted)].map(({ textContent }) => textContent ?? '');
  }, selector);
}
