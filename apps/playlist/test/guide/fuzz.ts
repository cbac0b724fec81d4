import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { generateGuide } from './generate-guide.ts';
import { scanAll } from './scan-all.ts';
import type { PlaylistChannel } from './wanted-fixture.ts';

const SHARED = resolve(import.meta.dirname, '../../../../../shared/data/xmltv');
/** One small input must not take longer than this, ms. Far more than it should, so that a busy machine is no failure. */
const HANG_MS = 5000;

export interface FuzzResult {
  readonly inputs: number;
  /** Elements that stood before the first changed byte and were all found again. */
  readonly keptElements: number;
  readonly damaged: number;
}

/**
 * Scans and writes `count` guides that are mutations of well-formed ones. Throws, naming the seed of the input, when something crashes, hangs, or loses
 * a well-formed element that stands wholly before the first changed byte. The same seed gives the same inputs.
 */
export async function fuzzXmltv(count: number, seed: number): Promise<FuzzResult> {
  const guides = await Promise.all(seedGuides().map(prepare));
  let keptElements = 0;
  let damaged = 0;
  for (let number = 0; number < count; number++) {
    const inputSeed = (seed + Math.imul(number, 0x9e3779b1)) >>> 0;
    const random = mulberry32(inputSeed);
    const guide = guides[Math.floor(random() * guides.length)]!;
    const { bytes, firstChange } = mutate(guide.bytes, random);
    const started = performance.now();
    try {
      const result = await check(guide, bytes, firstChange, random);
      keptElements += result.kept;
      if (result.isDamaged) damaged++;
      if (performance.now() - started > HANG_MS) throw new Error('took too long');
    } catch (cause) {
      throw new Error(`input ${number} of seed ${seed} (${inputSeed}): ${bytes.toString('latin1').slice(0, 4000)}`, {
        cause,
      });
    }
  }
  return { inputs: count, keptElements, damaged };
}

interface SeedGuide {
  readonly bytes: Buffer;
  readonly elements: readonly string[];
  readonly ends: readonly number[];
  readonly playlist: readonly PlaylistChannel[];
}

async function check(
  guide: SeedGuide,
  bytes: Buffer,
  firstChange: number,
  random: () => number,
): Promise<{ kept: number; isDamaged: boolean }> {
  const pieces = [1 + Math.floor(random() * 400), 1 + Math.floor(random() * 40)];
  const wanted = random() < 0.5;
  const scanned = await scanAll(bytes, pieces, { wants: () => wanted });
  let kept = 0;
  while (kept < guide.ends.length && guide.ends[kept]! <= firstChange) {
    if (scanned.elements[kept] !== guide.elements[kept]) throw new Error(`lost ${guide.elements[kept]}`);
    kept++;
  }
  if (random() < 0.25) {
    const options = { pieces, bufferBytes: 256 };
    const out = await generateGuide(guide.playlist, [bytes], options);
    for (let i = 0; i < kept; i++)
      if (!out.body.includes(guide.elements[i]!)) throw new Error(`not written: ${guide.elements[i]}`);
  }
  return { kept, isDamaged: scanned.damage.length > 0 };
}

async function prepare(text: string): Promise<SeedGuide> {
  const bytes = Buffer.from(text);
  const { elements, offsets, damage } = await scanAll(bytes);
  if (damage.length > 0) throw new Error(`a seed is damaged: ${damage[0]}`);
  const ends = elements.map((element, i) => offsets[i]! + Buffer.byteLength(element.trimStart()));
  const ids = [...text.matchAll(/<(?:channel[^>]*\sid|programme[^>]*\schannel)\s*=\s*["']([^"']*)["']/g)].map(
    (match) => match[1]!,
  );
  return { bytes, elements, ends, playlist: [...new Set(ids)].map((id) => ({ id: id.replaceAll('&amp;', '&') })) };
}

const TOKENS = [
  '<',
  '>',
  '"',
  "'",
  '/',
  '=',
  '&',
  ';',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<?',
  '?>',
  '<!DOCTYPE tv [',
  ']>',
  '</programme>',
  '<programme ',
  '<programme channel="a">',
  '</channel>',
  '<channel id="a">',
  '<title>',
  '</title>',
  '<tv>',
  '</tv>',
  '\u0000',
  '\u00ff',
  ' ',
  '\n',
  '&#0;',
  '&lt;',
];

function mutate(bytes: Buffer, random: () => number): { bytes: Buffer; firstChange: number } {
  let result = bytes;
  let firstChange = bytes.length;
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(result.length + 1);
    const until = Math.min(result.length, at + (random() < 0.7 ? below(8) : below(result.length)));
    const kind = below(6);
    let middle = Buffer.alloc(0);
    if (kind === 1) middle = Buffer.from(TOKENS[below(TOKENS.length)]!, 'latin1');
    else if (kind === 2) middle = Buffer.concat([result.subarray(at, until), result.subarray(at, until)]);
    else if (kind === 3) middle = Buffer.from(Array.from({ length: until - at }, () => below(256)));
    else if (kind === 4) middle = Buffer.from(result.subarray(at, until)).reverse();
    const rest = kind === 5 ? Buffer.alloc(0) : result.subarray(kind === 1 && random() < 0.5 ? at : until);
    result = Buffer.concat([result.subarray(0, at), middle, rest]);
    firstChange = Math.min(firstChange, at);
  }
  return { bytes: result.subarray(0, 20_000), firstChange: Math.min(firstChange, 20_000) };
}

/** T. Ettinger's 32-bit generator: small, and the same everywhere. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function seedGuides(): string[] {
  const real = existsSync(SHARED)
    ? readdirSync(SHARED).map((name) => excerpt(readFileSync(join(SHARED, name), 'utf8')))
    : [];
  return [...BUILT_IN, ...real];
}

/** The first elements of a real guide, as a guide of its own. */
function excerpt(text: string): string {
  const head = text.slice(0, text.indexOf('<channel'));
  const take = (name: string, count: number): string =>
    [...text.matchAll(new RegExp(`\\s*<${name} [\\s\\S]*?</${name}>`, 'g'))].slice(0, count).join('');
  return `${head}${take('channel', 3)}${take('programme', 6)}\n</tv>`;
}

const BUILT_IN = [
  `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tv SYSTEM "xmltv.dtd" [ <!ENTITY x "]>"> <!-- ' --> ]>
<!-- <programme channel="a"> -->
<tv generator-info-name="a > b">
  <channel id="a"><display-name lang="en">Alpha &amp; Co</display-name><icon src="x"/></channel>
  <channel
    id = 'b.c' ><display-name><![CDATA[</channel>]]></display-name></channel>
  <channel id="c"/>
  <programme start="20210101000000 +0000" stop="20210101010000 +0000" channel="a">
    <title lang="en">First</title>
    <desc>The programme of the day &#x2014; &lt;programme&gt;</desc>
  </programme>
  <!-- </tv> -->
  <programme channel='a' start='20210101010000 +0000'><title><![CDATA[</programme><programme channel="z">]]></title></programme>
  <?pi <programme ?>
  <programme start="20210101000000" channel="b.c" showview="1>2"><credits><actor role="x">y</actor></credits><!-- </programme> --></programme >
  <programme start="20210102000000" channel="c"/>
</tv>
`,
  '<tv><channel id="a"/><programme start="20210101000000" channel="a"><title>1</title></programme><programme start="20210102000000" channel="a"><title>2</title></programme></tv>',
  `<tv>${[1, 2, 3, 4, 5].map((day) => `<programme start="2021010${day}000000" channel="é&amp;"><title>Ünï ${day}</title><category>x</category></programme>`).join('\n')}</tv>`,
];
