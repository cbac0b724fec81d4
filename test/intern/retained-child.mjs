/** What an interner makes V8 keep: `slices` cut from a large text, or what so many `entries` take by its own account and by V8's. Prints a line of JSON; run with --expose-gc. */
import { StringInterner } from 'plimsoll/intern';

const [what, ...args] = process.argv.slice(2);

function used() {
  for (let i = 0; i < 4; i++) gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const ROW = 20_000;

/** A text of 20,000 rows of a kilobyte, as a file that was read whole. */
function makeParent() {
  const rows = [];
  for (let i = 0; i < ROW; i++) rows.push(`channel number ${i % 500} `.padEnd(1_000, 'filler '), '\n');
  return Buffer.from(rows.join(''), 'latin1').toString('latin1');
}

function slices(interned) {
  using interner = new StringInterner();
  used();
  const before = used();
  const keep = cut(interned ? (slice) => interner.intern(slice) : (slice) => slice);
  const retained = used() - before;
  return { parentBytes: ROW * 1_001, retained, kept: keep.length, first: keep[0] };
}

/** A function of its own: nothing of its frame is there when it is looked at. */
function cut(each) {
  const parent = makeParent();
  const keep = [];
  for (let i = 0; i < ROW; i += 40) keep.push(each(parent.slice(i * 1_001, i * 1_001 + 30)));
  return keep;
}

const SHAPES = {
  ascii: (i) => `group ${i} of the list`,
  short: (i) => `${i}`,
  latin: (i) => `chaîne numéro ${i}`,
  wide: (i) => `канал ${i} ещё`,
  long: (i) => `https://example.org/${'path/'.repeat(40)}${i}.png`,
};

function fill(interner, count, make) {
  const bytes = Buffer.alloc(4_096);
  for (let i = 0; i < count; i++) {
    // Half by bytes, half as texts.
    if (i % 2 === 0) interner.internBytes(bytes, 0, bytes.write(make(i)));
    else interner.intern(make(i));
  }
}

function entries(count) {
  const figures = {};
  // Once through, so that code and feedback are there before.
  for (const make of Object.values(SHAPES)) fill(new StringInterner({ maxBytes: 100_000 }), count, make);
  for (const [shape, make] of Object.entries(SHAPES)) {
    const interner = new StringInterner({ maxBytes: 1e9 });
    const [before, saidBefore] = [used(), interner.bytes];
    fill(interner, count, make);
    figures[shape] = { said: interner.bytes - saidBefore, retained: used() - before, count: interner.size };
    interner.clear();
  }
  return figures;
}

console.log(JSON.stringify(what === 'slices' ? slices(args[0] === 'interned') : entries(Number(args[0]))));
