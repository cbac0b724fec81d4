import { describe, expect, test } from 'vitest';
import { GuideScanner, Token } from '../../src/guide/scanner.ts';
import { countingConsumer } from './counting-consumer.ts';
import { memorySource } from './memory-source.ts';

const KIB = 1024;
const tv = (body: string): string => `<tv><channel id="c"/>${body}</tv>`;
const programme = (body: string): string => tv(`<programme channel="a">${body}</programme>`);
const channel = (body: string): string => tv(`<channel id="a">${body}</channel>`);
const inSection = (part: string, rest: string) => (n: number) =>
  tv(`${part.repeat(n)}]]>${rest.repeat(n)}</programme><programme/>`);

/** Bytes of content that the scanner looked at, for each byte of the guide. */
async function workPerByte(guide: string, wanted: boolean, pieceBytes = 64 * KIB): Promise<number> {
  const bytes = Buffer.from(guide);
  const onDamage = (): void => {
    if (scanner.searchedBytes > 100 * bytes.length) throw new Error('looked at each byte 100 times');
  };
  using scanner = new GuideScanner(countingConsumer(), { onDamage, wants: () => wanted });
  const source = memorySource(bytes, [pieceBytes]);
  for (;;) {
    const token = scanner.next();
    if (token === Token.end) return scanner.searchedBytes / bytes.length;
    if (token === Token.more) await scanner.refill(source);
  }
}

const CASES: readonly (readonly [string, (n: number) => string])[] = [
  ['comments in a programme', (n) => programme('<!---->'.repeat(n))],
  ['instructions in a programme', (n) => programme('<??>'.repeat(n))],
  ['CDATA in a programme', (n) => programme('<![CDATA[]]>'.repeat(n))],
  ['all of them and tags', (n) => programme('<!--x--><b/><??>y<![CDATA[z]]>'.repeat(n))],
  ['the word between comments', (n) => programme('<!---->programme'.repeat(n))],
  ['beginnings of declarations', (n) => programme('<!'.repeat(n))],
  ['beginnings of instructions', (n) => programme('<?'.repeat(n))],
  ['declarations', (n) => programme('<!x>'.repeat(n))],
  ['exclamations and questions', (n) => programme('!?'.repeat(n))],
  ['comments before a programme that breaks off', (n) => `<tv><programme>${'<!---->'.repeat(n)}`],
  ['comments, then an open one', (n) => programme(`${'<!---->'.repeat(n)}<!--`)],
  ['comments in a channel', (n) => channel('<!---->'.repeat(n))],
  ['instructions in a channel', (n) => channel('<??>'.repeat(n))],
  ['CDATA in a channel', (n) => channel('<![CDATA[]]>'.repeat(n))],
  ['comments between elements', (n) => tv('<!---->'.repeat(n))],
  ['instructions between elements', (n) => tv('<??>'.repeat(n))],
  ['CDATA between elements', (n) => tv('<![CDATA[]]>'.repeat(n))],
  ['open CDATA between elements', (n) => tv('<![CDATA['.repeat(n))],
  ['programmes that break off in comments', (n) => tv('<programme><!-- -->'.repeat(n))],
  ['programmes that break off in one comment', (n) => tv(`${'<programme><!--'.repeat(n)}-->${'<b/>'.repeat(n)}`)],
  ['programmes that break off in one section', inSection('<programme><![CDATA[', 'x')],
  ['the same with tags behind it', inSection('<programme><b><![CDATA[', '<b/>')],
  ['the same with comments behind it', inSection('<programme><![CDATA[', '<!---->')],
  ['the same with sections behind it', inSection('<programme><![CDATA[', '<![CDATA[]]>')],
  ['one section, then no end', (n) => `<tv>${'<programme><![CDATA['.repeat(n)}]]>${'xxxx'.repeat(n)}`],
  ['one section, comments, then no end', (n) => `<tv>${'<programme><![CDATA['.repeat(n)}]]>${'<!---->'.repeat(n)}`],
  ['what begins like a section', inSection('<programme><![', '<b/>')],
  ['channels that break off in one section', inSection('<channel id="a"><b><![CDATA[', '<b/>')],
  ['comments in the DOCTYPE', (n) => `<!DOCTYPE tv [${'<!---->'.repeat(n)}]><tv></tv>`],
  ['entities in the DOCTYPE', (n) => `<!DOCTYPE tv [${'<!ENTITY a "b">'.repeat(n)}]><tv></tv>`],
  ['quotes in the DOCTYPE', (n) => `<!DOCTYPE tv [${`"'"`.repeat(n)}]><tv></tv>`],
  ['open DOCTYPES', (n) => '<!DOCTYPE tv ['.repeat(n)],
  ['attributes', (n) => tv(`<programme ${'a="b" '.repeat(n)}/>`)],
  ['tags without end', (n) => tv('<programme channel="x" '.repeat(n))],
  ['attributes without end', (n) => tv(`<programme a='`.repeat(n))],
  ['attributes of children', (n) => programme(`<b ${'c="d>" '.repeat(n)}/>`)],
  ['attributes of children without end', (n) => programme('<b c="'.repeat(n))],
  ['ends of tags that do not end', (n) => programme('</programme '.repeat(n))],
];

describe.each([
  ['wanted', true],
  ['not wanted', false],
])('the work stays in proportion to the guide, its programmes being %s', (_, wanted) => {
  test.each(CASES)('%s', async (_name, guide) => {
    const started = performance.now();
    // Each byte is looked at by five searches at most, and for a long element again while the buffer grows to hold it.
    const small = await workPerByte(guide(20_000), wanted);
    const large = await workPerByte(guide(80_000), wanted);
    expect(Math.max(small, large)).toBeLessThan(20);
    // What does not count bytes is bounded by the clock; each of these took a second or nothing at all.
    expect(performance.now() - started).toBeLessThan(3000);
  });

  test.each([1, 4, 64])('a long element that comes in pieces of %i KiB is looked at a few times', async (kib) => {
    const guide = programme(`<desc>${'x'.repeat(3_900 * KIB)}</desc>`);
    expect(await workPerByte(guide, wanted, kib * KIB)).toBeLessThan(10);
  });
});
